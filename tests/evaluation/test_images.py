from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from srn.errors import WorkError
from srn.evaluation import images


def make_image(height=16, width=24, seed=0):
    return np.random.default_rng(seed).integers(0, 200, (height, width, 3)).astype(np.uint8)


def write_image(path, image):
    Image.fromarray(image).save(path)
    return path


def test_reading_gives_rgb_whatever_the_orientation_in_exif(tmp_path):
    image = make_image()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)

    np.testing.assert_array_equal(images.read_image(tmp_path / "turned.png"), image)


def test_reading_a_grey_image_gives_three_equal_channels(tmp_path):
    grey = make_image()[..., 0]

    image = images.read_image(write_image(tmp_path / "grey.png", grey))

    np.testing.assert_array_equal(image, np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("fraction", [0, 0.5])
def test_an_incomplete_image_is_an_error_that_names_the_file(tmp_path, fraction):
    path = write_image(tmp_path / "cut.png", make_image())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])

    with pytest.raises(WorkError, match=r"cut\.png: cannot be decoded"):
        images.read_image(path)


def test_a_missing_image_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(WorkError, match=r"none\.png: cannot be read \(No such file"):
        images.read_image(tmp_path / "none.png")


def test_an_image_of_16_bits_is_an_error_that_names_the_file(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), make_image().astype(np.uint16) * 257)

    with pytest.raises(WorkError, match=r"deep\.png: is stored as uint16"):
        images.read_image(tmp_path / "deep.png")


def test_what_is_written_is_read_back(tmp_path):
    image = make_image()

    images.write_image(tmp_path / "seq/0001.a.png", image)

    np.testing.assert_array_equal(images.read_image(tmp_path / "seq/0001.a.png"), image)


def test_the_path_of_a_restored_image_keeps_the_whole_name():
    assert images.restored_path("out", "seq/0001.a") == Path("out/restored/seq/0001.a.png")
