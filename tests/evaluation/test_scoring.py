import io
import math
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from srn import metrics
from srn.data.listing import Pair
from srn.evaluation import scoring
from srn.evaluation.journal import Journal
from srn.evaluation.methods import Method, Network
from srn.evaluation.protocols import PAIRS, Column, Protocol
from srn.evaluation.realblur import REALBLUR
from srn.images import read_rgb


def make_image(height=16, width=24, seed=0):
    return np.random.default_rng(seed).integers(0, 200, (height, width, 3)).astype(np.uint8)


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def make_pair(folder, name, sharp, blurry=None):
    """Writes a pair, its blurry image 10 levels brighter unless given, and returns it."""
    blurry = sharp + 10 if blurry is None else blurry
    return Pair(
        blurry=write_image(folder / "blur" / f"{name}.png", blurry),
        sharp=write_image(folder / "sharp" / f"{name}.png", sharp),
        name=name,
        sequence=name.rpartition("/")[0],
    )


WORKERS = {"now": 0}


@pytest.fixture(autouse=True, params=[0, 3], ids=["no worker", "three workers"])
def workers(request, monkeypatch):
    """Every test here holds with and without workers."""
    monkeypatch.setitem(WORKERS, "now", request.param)
    return request.param


def score_pairs(pairs, restore, folder, journal=None, progress=False):
    """Scores pairs pixel by pixel; `restore` None scores the blurry images."""
    method = Method() if restore is None else Network(restore, "small", folder, {})
    return scoring.score_images(pairs, method, PAIRS, journal, progress, WORKERS["now"])


def brighten_less(image):
    return image - 6


def test_pairs_are_restored_written_and_scored_in_order(tmp_path):
    pairs = [make_pair(tmp_path, f"seq/{index}", make_image(seed=index)) for index in range(3)]

    result = score_pairs(pairs, brighten_less, tmp_path / "out")

    assert result.failures == []
    assert [(score.name, score.groups) for score in result.scores] == [
        (f"seq/{index}", {"sequence": "seq"}) for index in range(3)
    ]
    for pair, score in zip(pairs, result.scores):
        sharp = read_rgb(pair.sharp)
        written = read_rgb(tmp_path / "out" / "restored" / f"{pair.name}.png")
        np.testing.assert_array_equal(written, sharp + 4)
        assert score.psnr == metrics.psnr(written, sharp) == pytest.approx(10 * math.log10(255**2 / 16))
        assert score.values["ssim_channel"] == metrics.ssim_channel(written, sharp)
        assert score.values["ssim_matlab"] == metrics.ssim_matlab(written, sharp)
        assert score.gain == pytest.approx(20 * math.log10(10 / 4))
        assert score.seconds > 0


def test_without_a_restoration_the_blurry_image_is_scored_and_nothing_written(tmp_path):
    pair = make_pair(tmp_path, "1", make_image())

    [score] = score_pairs([pair], None, tmp_path / "out").scores

    assert score.psnr == score.psnr_blurry == pytest.approx(10 * math.log10(255**2 / 100))
    assert score.gain == 0
    assert score.seconds == 0
    assert score.groups == {}
    assert not (tmp_path / "out").exists()


def test_only_the_restoration_is_timed(tmp_path, monkeypatch):
    clock = iter([5.0, 7.5])
    monkeypatch.setattr(scoring.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(scoring, "tqdm", NoBar)

    [score] = score_pairs([make_pair(tmp_path, "1", make_image())], brighten_less, tmp_path).scores

    assert score.seconds == 2.5


class NoBar(list):
    """Stands in for the progress bar, which reads the clock too."""

    def __init__(self, **_):
        super().__init__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def update(self):
        pass

    def set_postfix_str(self, *_, **__):
        pass


def test_a_pair_that_fails_is_named_and_the_others_go_on(tmp_path):
    names = ["good1", "broken", "sizes", "tiny", "stubborn", "shrinking", "good2"]
    pairs = {name: make_pair(tmp_path, name, make_image(seed=seed)) for seed, name in enumerate(names)}
    pairs["broken"].sharp.write_bytes(b"not an image")
    write_image(pairs["sizes"].sharp, make_image(16, 25))
    pairs["tiny"] = make_pair(tmp_path, "tiny", make_image(8, 8))
    stubborn, shrinking = (read_rgb(pairs[name].blurry) for name in ("stubborn", "shrinking"))

    def restore(image):
        if np.array_equal(image, stubborn):
            raise RuntimeError("out of\nmemory")
        return image[1:] if np.array_equal(image, shrinking) else image

    result = score_pairs(list(pairs.values()), restore, tmp_path / "out")

    assert [score.name for score in result.scores] == ["good1", "good2"]
    broken, sizes, tiny, out_of_memory, shrunk = result.failures
    assert broken.startswith("broken: ") and str(pairs["broken"].sharp) in broken
    assert str(pairs["sizes"].blurry) in sizes and str(pairs["sizes"].sharp) in sizes
    assert "24x16 and 25x16" in sizes
    assert str(pairs["tiny"].blurry) in tiny and "at least 11x11" in tiny
    assert out_of_memory == f"stubborn: {pairs['stubborn'].blurry}: RuntimeError: out of"
    assert "[15, 24, 3] uint8, the sharp one [16, 24, 3]" in shrunk
    written = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert written == ["good1.png", "good2.png"]


class Interrupting:
    """Restores images until Ctrl-C comes; counts them."""

    def __init__(self, until=10**9):
        self.calls, self.until = 0, until

    def __call__(self, image):
        if self.calls == self.until:
            raise KeyboardInterrupt
        self.calls += 1
        return image - 6


def test_an_interruption_keeps_what_is_scored(tmp_path):
    pairs = [make_pair(tmp_path, name, make_image()) for name in ("0", "1", "2")]

    result = score_pairs(pairs, Interrupting(1), tmp_path)

    assert result.interrupted
    assert [score.name for score in result.scores] == ["0"]
    assert result.failures == []


def test_what_is_finished_is_not_restored_again(tmp_path):
    pairs = [make_pair(tmp_path, name, make_image(seed=int(name))) for name in ("0", "1", "2")]
    whole = score_pairs(pairs, brighten_less, tmp_path / "other")

    def run(restore):
        return score_pairs(pairs, restore, tmp_path, Journal(tmp_path, {"weights": 1}))

    assert run(Interrupting(2)).interrupted
    second = Interrupting()
    result = run(second)

    assert (second.calls, result.resumed) == (1, 2)
    assert [score.values for score in result.scores] == [score.values for score in whole.scores]


@pytest.mark.parametrize("change", ["blurry", "sharp", "restored"])
def test_an_image_whose_files_have_changed_is_scored_anew(tmp_path, change):
    pair, other = (make_pair(tmp_path, name, make_image(seed=int(name))) for name in ("0", "1"))

    def run(restore):
        return score_pairs([pair, other], restore, tmp_path, Journal(tmp_path, {}))

    run(Interrupting())
    if change == "restored":
        (tmp_path / "restored/0.png").unlink()
    else:
        write_image(getattr(pair, change), make_image(seed=7))
    again = Interrupting()

    run(again)

    assert again.calls == 1


def test_progress_goes_to_stderr_with_the_running_mean(tmp_path, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    pairs = [make_pair(tmp_path, str(index), make_image(seed=index)) for index in range(2)]

    score_pairs(pairs, None, tmp_path, progress=True)

    assert "2/2" in terminal.getvalue()
    assert "PSNR 28.13 dB" in terminal.getvalue()


def test_a_moved_image_scores_well_once_it_is_aligned(tmp_path):
    """By hand: a shift of two columns costs the unaligned numbers, and nothing of the aligned ones."""
    blocks = np.random.default_rng(0).integers(40, 200, (16, 16, 3))
    large = np.uint8(np.kron(blocks, np.ones((8, 8, 1))))
    smooth = np.uint8(sum(np.roll(large, step, 1) // 4 for step in range(4)))
    pair = make_pair(tmp_path, "s/1", smooth[:, :-2], smooth[:, 2:])

    [score] = scoring.score_images([pair], Method(), REALBLUR).scores

    assert score.values["psnr"] > score.values["psnr_unaligned"] + 10
    assert score.values["ssim_channel"] > 0.99 > score.values["ssim_channel_unaligned"]
    assert set(score.values) == set(REALBLUR.columns)


def test_a_full_disk_ends_the_run_and_keeps_what_is_scored(tmp_path, monkeypatch):
    monkeypatch.setitem(WORKERS, "now", 0)  # or the second image might be written first
    pairs = [make_pair(tmp_path, name, make_image()) for name in ("0", "1", "2")]
    write, written = scoring.write_png, []

    def fill(path, image):
        if written:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        write(path, image)

    monkeypatch.setattr(scoring, "write_png", fill)

    result = score_pairs(pairs, brighten_less, tmp_path / "out")

    assert [score.name for score in result.scores] == ["0"]
    (line,) = result.failures
    assert "1.png: cannot be written (No space left on device)" in line


def test_an_older_result_does_not_stand_for_one_that_fails(tmp_path):
    pair = make_pair(tmp_path, "0", make_image())
    score_pairs([pair], brighten_less, tmp_path)

    result = score_pairs([pair], lambda image: image[1:], tmp_path)

    assert len(result.failures) == 1
    assert not (tmp_path / "restored/0.png").exists()


def test_a_score_that_is_no_number_is_a_failure(tmp_path):
    class Undefined(Protocol):
        columns = {"psnr": Column("PSNR", "undefined", 2, lambda _: math.nan)}

    pair = make_pair(tmp_path, "0", make_image())

    result = scoring.score_images([pair], Method(), Undefined())

    assert result.scores == []
    assert "has no score" in result.failures[0]


def test_a_blurry_image_that_cannot_be_aligned_costs_no_score(tmp_path):
    pair = make_pair(tmp_path, "0", make_image(32, 32), np.zeros((32, 32, 3), np.uint8))
    method = Network(lambda _: read_rgb(pair.sharp), "small", tmp_path, {})

    [score] = scoring.score_images([pair], method, REALBLUR).scores

    assert score.psnr > 40
    assert score.gain is None


def test_workers_hold_few_images_and_leave_restoring_to_one_thread(tmp_path, workers):
    pairs = [make_pair(tmp_path, f"{index:02d}", make_image(seed=index)) for index in range(20)]
    threads, held, read = set(), [], []

    class Watching(Protocol):
        def read(self, item):
            read.append(item.name)
            return super().read(item)

    def restore(image):
        threads.add(threading.get_ident())
        held.append(len(read) - len(held))
        return image

    method = Network(restore, "small", tmp_path)
    result = scoring.score_images(pairs, method, Watching(), workers=workers)

    assert [score.name for score in result.scores] == [pair.name for pair in pairs]
    assert threads == {threading.get_ident()}
    assert max(held) <= max(workers, 1) + 1


def test_a_journal_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def fill(self, score, files):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "add", fill)
    journal = Journal(tmp_path, {})

    result = score_pairs([make_pair(tmp_path, "0", make_image())], None, tmp_path, journal)

    assert result.failures == [f"{journal.path}: cannot be written (No space left on device)"]
    assert result.scores == []
