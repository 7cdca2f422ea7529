import io
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from srn import metrics
from srn.errors import WorkError
from srn.evaluation import scoring


def make_image(height=16, width=24, seed=0):
    return np.random.default_rng(seed).integers(0, 200, (height, width, 3)).astype(np.uint8)


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def make_pair(folder, name, sharp, blurry=None):
    """Writes a pair, its blurry image 10 levels brighter unless given, and returns it."""
    blurry = sharp + 10 if blurry is None else blurry
    return SimpleNamespace(
        blurry=write_image(folder / "blur" / f"{name}.png", blurry),
        sharp=write_image(folder / "sharp" / f"{name}.png", sharp),
        name=name,
        sequence=name.rpartition("/")[0],
    )


def make_score(name="a/1", psnr=30.0, ssim=0.9, seconds=1.0):
    return scoring.Score(name, name.rpartition("/")[0], psnr, ssim, ssim, seconds, psnr_blurry=25.0)


def brighten_less(image):
    return image - 6


def test_reading_gives_rgb_whatever_the_orientation_in_exif(tmp_path):
    image = make_image()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)

    np.testing.assert_array_equal(scoring.read_image(tmp_path / "turned.png"), image)


def test_reading_a_grey_image_gives_three_equal_channels(tmp_path):
    grey = make_image()[..., 0]

    image = scoring.read_image(write_image(tmp_path / "grey.png", grey))

    np.testing.assert_array_equal(image, np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("fraction", [0, 0.5])
def test_an_incomplete_image_is_an_error_that_names_the_file(tmp_path, fraction):
    path = write_image(tmp_path / "cut.png", make_image())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])

    with pytest.raises(WorkError, match=r"cut\.png: cannot be decoded"):
        scoring.read_image(path)


def test_a_missing_image_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(WorkError, match=r"none\.png: cannot be read \(No such file"):
        scoring.read_image(tmp_path / "none.png")


def test_an_image_of_16_bits_is_an_error_that_names_the_file(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), make_image().astype(np.uint16) * 257)

    with pytest.raises(WorkError, match=r"deep\.png: is stored as uint16"):
        scoring.read_image(tmp_path / "deep.png")


def test_pairs_are_restored_written_and_scored_in_order(tmp_path):
    pairs = [make_pair(tmp_path, f"seq/{index}", make_image(seed=index)) for index in range(3)]

    result = scoring.score_pairs(pairs, brighten_less, tmp_path / "out", progress=False)

    assert result.failures == []
    assert [(score.name, score.sequence) for score in result.scores] == [
        ("seq/0", "seq"),
        ("seq/1", "seq"),
        ("seq/2", "seq"),
    ]
    for pair, score in zip(pairs, result.scores):
        sharp = scoring.read_image(pair.sharp)
        written = scoring.read_image(tmp_path / "out" / "restored" / f"{pair.name}.png")
        np.testing.assert_array_equal(written, sharp + 4)
        assert score.psnr == metrics.psnr(written, sharp) == pytest.approx(10 * math.log10(255**2 / 16))
        assert score.ssim_channel == metrics.ssim_channel(written, sharp)
        assert score.ssim_matlab == metrics.ssim_matlab(written, sharp)
        assert score.gain == pytest.approx(20 * math.log10(10 / 4))
        assert score.seconds > 0


def test_without_a_restoration_the_blurry_image_is_scored_and_nothing_written(tmp_path):
    pair = make_pair(tmp_path, "1", make_image())

    [score] = scoring.score_pairs([pair], None, tmp_path / "out", progress=False).scores

    assert score.psnr == score.psnr_blurry == pytest.approx(10 * math.log10(255**2 / 100))
    assert score.gain == 0
    assert score.seconds == 0
    assert score.sequence == ""
    assert not (tmp_path / "out").exists()


def test_only_the_restoration_is_timed(tmp_path, monkeypatch):
    clock = iter([5.0, 7.5])
    monkeypatch.setattr(scoring.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(scoring, "tqdm", NoBar)

    [score] = scoring.score_pairs([make_pair(tmp_path, "1", make_image())], brighten_less).scores

    assert score.seconds == 2.5


class NoBar(list):
    """Stands in for the progress bar, which reads the clock too."""

    def __init__(self, items, **_):
        super().__init__(items)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def set_postfix_str(self, *_, **__):
        pass


def test_a_pair_that_fails_is_named_and_the_others_go_on(tmp_path):
    names = ["good1", "broken", "sizes", "tiny", "stubborn", "shrinking", "good2"]
    pairs = {name: make_pair(tmp_path, name, make_image(seed=seed)) for seed, name in enumerate(names)}
    pairs["broken"].sharp.write_bytes(b"not an image")
    write_image(pairs["sizes"].sharp, make_image(16, 25))
    pairs["tiny"] = make_pair(tmp_path, "tiny", make_image(8, 8))
    stubborn, shrinking = (scoring.read_image(pairs[name].blurry) for name in ("stubborn", "shrinking"))

    def restore(image):
        if np.array_equal(image, stubborn):
            raise RuntimeError("out of\nmemory")
        return image[1:] if np.array_equal(image, shrinking) else image

    result = scoring.score_pairs(list(pairs.values()), restore, tmp_path / "out", progress=False)

    assert [score.name for score in result.scores] == ["good1", "good2"]
    broken, sizes, tiny, out_of_memory, shrunk = result.failures
    assert broken.startswith("broken: ") and str(pairs["broken"].sharp) in broken
    assert str(pairs["sizes"].blurry) in sizes and str(pairs["sizes"].sharp) in sizes
    assert "24x16 and 25x16" in sizes
    assert str(pairs["tiny"].blurry) in tiny and "at least 11x11" in tiny
    assert out_of_memory == f"stubborn: {pairs['stubborn'].blurry}: RuntimeError: out of memory"
    assert "[15, 24, 3] uint8, the sharp one [16, 24, 3]" in shrunk
    written = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert written == ["good1.png", "good2.png"]


def test_an_interruption_keeps_what_is_scored(tmp_path):
    pairs = [make_pair(tmp_path, name, make_image()) for name in ("0", "1", "2")]
    images = iter([make_image(), KeyboardInterrupt])

    def restore(image):
        if next(images) is KeyboardInterrupt:
            raise KeyboardInterrupt
        return image

    result = scoring.score_pairs(pairs, restore, progress=False)

    assert result.interrupted
    assert [score.name for score in result.scores] == ["0"]
    assert result.failures == []


def test_progress_goes_to_stderr_with_the_running_mean(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    pairs = [make_pair(tmp_path, str(index), make_image(seed=index)) for index in range(2)]

    scoring.score_pairs(pairs, None)

    assert "2/2" in sys.stderr.getvalue()
    assert "PSNR 28.13 dB" in sys.stderr.getvalue()


def test_the_path_of_a_restored_image_keeps_the_whole_name():
    assert scoring.restored_path("out", "seq/0001.a") == Path("out/restored/seq/0001.a.png")


def test_the_summary_is_the_mean_over_images_not_over_sequences():
    scores = [make_score("a/1", 20, 0.5), make_score("a/2", 22, 0.6), make_score("b/1", 30, 1.0)]

    summary = scoring.summarise(scores)

    assert summary["psnr"] == pytest.approx(24)
    assert summary["ssim_channel"] == summary["ssim_matlab"] == pytest.approx(0.7)
    assert summary["images"] == 3
    assert summary["identical"] == 0
    assert list(summary["sequences"]) == ["a", "b"]
    assert summary["sequences"]["a"]["psnr"] == pytest.approx(21)
    assert summary["sequences"]["a"]["images"] == 2


def test_identical_images_are_counted_and_left_out_of_the_mean_of_psnr_only():
    scores = [make_score("a/1", 20, 0.5), make_score("a/2", math.inf, 1.0), make_score("b/1", math.inf, 1.0)]

    summary = scoring.summarise(scores)

    assert summary["psnr"] == 20
    assert summary["ssim_channel"] == pytest.approx(2.5 / 3)
    assert (summary["images"], summary["identical"]) == (3, 2)
    assert summary["sequences"]["a"]["psnr"] == 20
    assert summary["sequences"]["b"]["psnr"] == math.inf


def test_the_time_of_an_image_is_the_median_which_a_slow_first_one_does_not_move():
    scores = [make_score(seconds=seconds) for seconds in (60.0, 1.0, 2.0)]

    assert scoring.summarise(scores)["seconds_per_image"] == 2


def test_a_plain_folder_has_no_sequences():
    assert scoring.summarise([make_score("1")])["sequences"] == {}


def test_nothing_cannot_be_summarised():
    with pytest.raises(ValueError, match="no scores"):
        scoring.summarise([])


def test_an_identical_image_gains_nothing_over_an_identical_input():
    score = scoring.Score("1", "", math.inf, 1, 1, 0, psnr_blurry=math.inf)

    assert score.gain == 0
