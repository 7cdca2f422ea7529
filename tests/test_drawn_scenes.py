import json

import cv2
import numpy as np
import pytest

from srn import metrics

SCRIPT = "examples/drawn_scenes.py"
SMALL = ("--train", 4, "--test", 2, "--size", "96x64")


def read_all(folder):
    return {str(path.relative_to(folder)): cv2.imread(str(path)) for path in sorted(folder.glob("*/*/*.png"))}


@pytest.fixture(scope="module")
def drawn(command, tmp_path_factory):
    """A small set, drawn by the script."""
    folder = tmp_path_factory.mktemp("scenes") / "set"
    result = command(SCRIPT, folder, *SMALL)
    assert result.returncode == 0, result.stderr
    return folder


def test_the_set_is_whole(drawn):
    pictures = read_all(drawn)

    names = [f"train/{side}/{k:04d}.png" for side in ("blur", "sharp") for k in range(4)]
    names += [f"test/{side}/{k:04d}.png" for side in ("blur", "sharp") for k in range(2)]
    assert sorted(pictures) == sorted(names)
    assert {picture.shape for picture in pictures.values()} == {(64, 96, 3)}
    assert json.loads((drawn / "scenes.json").read_text())["train"] == 4


def test_every_pair_is_blurred_but_shows_the_same(drawn):
    pictures = read_all(drawn)
    for name, blurry in pictures.items():
        if "/blur/" in name:
            assert 13 < metrics.psnr(blurry, pictures[name.replace("blur", "sharp")], data_range=255) < 36


def test_training_scenes_are_not_those_of_the_test(drawn):
    pictures = read_all(drawn)

    for index in range(2):
        one, other = (pictures[f"{split}/sharp/{index:04d}.png"] for split in ("train", "test"))
        assert metrics.psnr(one, other, data_range=255) < 20


def test_the_same_numbers_draw_the_same_and_nothing_twice(drawn, call, tmp_path):
    again = call(SCRIPT, tmp_path / "set", *SMALL)
    twice = call(SCRIPT, drawn, *SMALL)

    assert again.returncode == twice.returncode == 0
    assert "drawn already" in twice.stdout
    for (name, one), (other_name, other) in zip(read_all(drawn).items(), read_all(tmp_path / "set").items()):
        assert name == other_name
        np.testing.assert_array_equal(one, other)
