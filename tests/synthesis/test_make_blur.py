import json

import cv2
import numpy as np
import pytest

from srn.data.pairs import find_pairs
from srn.synthesis import frames


def picture(seed, height=40, width=48):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1)


@pytest.fixture
def walk(tmp_path):
    """A folder of 22 frames."""
    (tmp_path / "walk").mkdir()
    for place in range(22):
        cv2.imwrite(str(tmp_path / f"walk/{place}.png"), picture(place))
    return tmp_path / "walk"


@pytest.fixture
def album(tmp_path):
    """A folder of two photographs and what is none."""
    (tmp_path / "album").mkdir()
    for name in ("cat", "dog"):
        cv2.imwrite(str(tmp_path / f"album/{name}.png"), picture(len(name), width=40 + len(name)))
    (tmp_path / "album/notes.txt").write_text("none")
    return tmp_path / "album"


def make(call, out, *words):
    return call("data/make_blur.py", f"--out_dir={out}", *words)


def pictures_of(out):
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.glob("*/*.png"))}


def lines_of_mistake(result, code=2):
    assert result.returncode == code, result.stderr
    lines = result.stderr.splitlines()
    assert lines and all(line.startswith("make_blur.py: ") for line in lines), result.stderr
    return lines


def test_frames_become_pairs_that_a_second_call_keeps(call, walk, tmp_path):
    out = tmp_path / "out"
    words = (f"--frames={walk}", "--window=7", "--gamma=2.2")

    first = make(call, out, *words)
    (out / "blur" / "walk_000010.png").unlink()  # as if interrupted there
    kept = out / "blur" / "walk_000003.png"
    time_of_kept = kept.stat().st_mtime_ns
    again = make(call, out, *words)
    other = make(call, out, f"--frames={walk}", "--window=7-9")

    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    assert "pairs made: 3;" in first.stdout and "pairs made: 1;" in again.stdout
    assert kept.stat().st_mtime_ns == time_of_kept
    assert [pair.name for pair in find_pairs(out, "pairs")] == ["walk_000003", "walk_000010", "walk_000017"]
    stack = np.stack([picture(place) for place in range(7, 14)])
    blurry = cv2.imread(str(out / "blur/walk_000010.png"))
    np.testing.assert_array_equal(blurry, frames.average_window(stack, 2.2))
    np.testing.assert_array_equal(cv2.imread(str(out / "sharp/walk_000010.png")), picture(10))
    (line,) = lines_of_mistake(other)
    assert "max_frames=7 where 9 is asked for" in line and "choose another --out_dir" in line


def test_photographs_become_pairs_by_the_seed(call, album, tmp_path):
    words = (f"--photos={album}", "--count_per_photo=2")

    results = [
        make(call, tmp_path / f"out{seed}{turn}", *words, f"--seed={seed}")
        for seed, turn in ("3a", "3b", "4a")
    ]

    assert [result.returncode for result in results] == [0, 0, 0], results[0].stderr
    same, again, other = (pictures_of(tmp_path / f"out{name}") for name in ("3a", "3b", "4a"))
    names = [pair.name for pair in find_pairs(tmp_path / "out3a", "pairs")]
    assert names == ["album_cat_000", "album_cat_001", "album_dog_000", "album_dog_001"]
    assert same == again
    assert same != other
    settings = json.loads((tmp_path / "out3a" / "make_blur.json").read_text())["settings"]
    assert settings["from"] == "photos" and settings["seed"] == 3


def test_a_photograph_that_cannot_be_read_is_one_line_and_the_others_are_made(call, album, tmp_path):
    (album / "bird.jpg").write_bytes(b"no image")

    result = make(call, tmp_path / "out", f"--photos={album}", "--count_per_photo=2", "--seed=1")

    lines = lines_of_mistake(result, code=1)
    assert len(lines) == 1 and "bird.jpg: cannot be decoded" in lines[0]
    assert len(pictures_of(tmp_path / "out")) == 2 * 4  # all of the others


def test_mistakes_are_one_line_each(call, walk, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    out = tmp_path / "out"

    def line_of(*words):
        (line,) = lines_of_mistake(make(call, out, *words))
        return line

    assert "one of --frames and --photos" in line_of()
    assert "broken.mp4: cannot be opened as a video" in line_of(f"--frames={tmp_path / 'broken.mp4'}")
    assert "walk: has fewer frames than the 31" in line_of(f"--frames={walk}", "--window=31")
    assert "--window=a-b" in line_of(f"--frames={walk}", "--window=a-b")
