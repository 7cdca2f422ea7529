"""Metadata that is moved to another format, or left out."""

import io
import struct

import cv2
import numpy as np
import pytest
from drawing import (
    SRGB,
    XMP,
    again,
    camera_exif,
    chunks,
    picture,
    scene,
    segments,
)
from PIL import Image, PngImagePlugin

from srn.inference.writing import Encoding


def test_what_another_format_has_no_room_for_is_said(tmp_path):
    image = picture("RGBA")
    image.putalpha(100)
    image.save(tmp_path / "a.png", pnginfo=_with_text())
    cv2.imwrite(str(tmp_path / "b.png"), scene(dtype=np.uint16))

    assert "transparency is left out" in " ".join(again(tmp_path / "a.png", tmp_path / "a.jpg")[2])
    assert "its texts left out" in " ".join(again(tmp_path / "a.png", tmp_path / "a.jpg")[2])
    assert "16 bits a channel become 8" in " ".join(again(tmp_path / "b.png", tmp_path / "b.jpg")[2])


def _with_text():
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a street")
    return info


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg", ".jp2"])
def test_metadata_moves_to_other_formats(tmp_path, suffix):
    picture().save(tmp_path / "a.jpg", exif=camera_exif(), xmp=XMP, icc_profile=SRGB, dpi=(300, 300))
    picture().save(tmp_path / "a.png", exif=camera_exif(), icc_profile=SRGB, dpi=(300, 300))

    for source in ("a.jpg", "a.png"):
        _, data, _ = again(tmp_path / source, tmp_path / f"{source[2:]}_out{suffix}")

        assert b"Cam\0" in data
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (40, 60)
            if suffix != ".jp2":
                assert image.info["icc_profile"] == SRGB
            if suffix in (".png", ".tif", ".jpg"):
                assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_metadata_can_be_left_out_but_not_what_colours_mean(tmp_path):
    info = _with_text()
    info.add(b"gAMA", struct.pack(">I", 45455))
    picture().save(tmp_path / "a.png", exif=camera_exif(), pnginfo=info)
    picture().save(tmp_path / "a.jpg", exif=camera_exif(), icc_profile=SRGB, comment=b"hello")

    kinds = [kind for kind, _ in chunks(again(tmp_path / "a.png", encoding=Encoding(strip=True))[1])]
    parts = segments(again(tmp_path / "a.jpg", encoding=Encoding(strip=True))[1])

    assert b"gAMA" in kinds and not {b"tEXt", b"eXIf"} & set(kinds)
    assert {0xE2} == {marker for marker, _ in parts if marker >= 0xE1}
