"""Files that are refused, by name and by content."""

import io
import struct

import numpy as np
import pytest
from drawing import (
    picture,
    scene,
)
from PIL import Image

from srn.errors import WorkError
from srn.inference.formats import ifd
from srn.inference.reading import read_photograph


def dng(order="<"):
    """A preview in front, the raw picture below it."""
    entries = {
        254: ifd.Entry(4, 1, struct.pack("<I", 1)),
        256: ifd.short(4),
        257: ifd.short(4),
        258: ifd.short(8, 8, 8),
        262: ifd.short(2),
        277: ifd.short(3),
        278: ifd.short(4),
        330: ifd.Entry(4, 1, struct.pack("<I", 8)),
    }
    return ifd.write(entries, [bytes(48)])


def test_raw_files_are_refused_by_name_and_by_content(tmp_path):
    (tmp_path / "a.tif").write_bytes(dng())
    (tmp_path / "b.NEF").write_bytes(dng())
    (tmp_path / "c.jpg").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(100))
    (tmp_path / "d.jpg").write_bytes(b"\0\0\0\x18ftypcrx " + bytes(100))

    for name in ("a.tif", "b.NEF", "c.jpg", "d.jpg"):
        with pytest.raises(WorkError, match=rf"{name}: is a raw file.*develop it"):
            read_photograph(tmp_path / name)


@pytest.mark.parametrize("name, content", [("a.gif", "GIF"), ("a.png", "PNG"), ("a.webp", "WEBP")])
def test_moving_pictures_are_refused(tmp_path, name, content):
    picture().save(tmp_path / name, format=content, save_all=True, append_images=[picture(seed=1)])

    with pytest.raises(WorkError, match="holds 2 pictures"):
        read_photograph(tmp_path / name)


def test_what_cannot_be_read_names_the_file_and_the_reason(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:300])
    (tmp_path / "empty.jpg").write_bytes(b"")
    Image.fromarray(scene()[..., 0].astype(np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(scene()[..., 0].astype(np.int32)).save(tmp_path / "deep.tif")

    for name, reason in (
        ("text.png", "cannot be read"),
        ("cut.png", "cannot be read"),
        ("empty.jpg", "cannot be read"),
        ("missing.png", "No such file"),
        ("float.tif", "floating-point"),
        ("deep.tif", "more than 16 bits"),
    ):
        with pytest.raises(WorkError, match=rf"{name}: .*{reason}"):
            read_photograph(tmp_path / name)


def test_200_megapixels_are_read_by_their_header_and_the_limit_can_be_moved(tmp_path):
    with open(tmp_path / "a.pgm", "wb") as file:
        file.write(b"P5 16320 12240 255\n")

    with pytest.raises(WorkError, match=r"has 200 megapixels; --max_megapixels=100 is the limit"):
        read_photograph(tmp_path / "a.pgm", max_megapixels=100)
    with pytest.raises(WorkError, match="cannot be read as an image"):  # there are no pixels, and it tried
        read_photograph(tmp_path / "a.pgm")
    assert Image.MAX_IMAGE_PIXELS is not None
