"""JPEG files, read and written again."""

import io

import numpy as np
import pytest
from drawing import (
    PHOTOSHOP,
    SRGB,
    XMP,
    XMP_UPRIGHT,
    again,
    camera_exif,
    picture,
    segments,
    with_segments,
)
from PIL import Image

from srn.inference.formats import ifd
from srn.inference.writing import Encoding


def test_every_segment_of_a_jpeg_comes_back(tmp_path):
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG", dpi=(300, 200), comment=b"hello", icc_profile=SRGB)
    added = [
        (0xE1, camera_exif()),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(80)),
        (0xED, b"Photoshop 3.0\0" + PHOTOSHOP),
        (0xE4, b"of the camera's maker"),
    ]
    (tmp_path / "a.jpg").write_bytes(with_segments(buffer.getvalue(), *added))
    before = [part for part in segments((tmp_path / "a.jpg").read_bytes()) if part[0] >= 0xE0]

    _, data, notes = again(tmp_path / "a.jpg")

    after = [part for part in segments(data) if part[0] >= 0xE0]
    expected = dict.fromkeys(before)
    replaced = {added[0]: (0xE1, camera_exif(1)), added[1]: (0xE1, added[1][1].replace(XMP, XMP_UPRIGHT))}
    assert after == [replaced.get(part, part) for part in expected]
    assert notes == []
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["dpi"] == (300, 200)
        assert image.info["comment"] == b"hello"


@pytest.mark.parametrize("quality", [30, 75, 95, 100])
@pytest.mark.parametrize("progressive", [False, True])
def test_no_coefficient_of_a_jpeg_is_coarser_than_before_or_than_at_95(tmp_path, quality, progressive):
    picture().save(tmp_path / "a.jpg", quality=quality, progressive=progressive)
    picture().save(tmp_path / "b.jpg", quality=95)

    _, data, _ = again(tmp_path / "a.jpg")

    with (
        Image.open(tmp_path / "a.jpg") as before,
        Image.open(io.BytesIO(data)) as after,
        Image.open(tmp_path / "b.jpg") as usual,
    ):
        for number in (0, 1):
            assert np.all(np.array(after.quantization[number]) <= before.quantization[number])
            assert np.all(np.array(after.quantization[number]) <= usual.quantization[number])
        assert bool(after.info.get("progressive")) == progressive
        assert [component[1:3] for component in after.layer] == [(1, 1)] * 3


def test_a_quality_can_be_chosen(tmp_path):
    picture(height=200, width=300).save(tmp_path / "a.jpg", quality=95)

    sizes = [len(again(tmp_path / "a.jpg", encoding=Encoding(quality=each))[1]) for each in (20, 60, 98)]

    assert sizes == sorted(sizes) and sizes[0] < sizes[2] / 3


def test_exif_that_is_too_long_for_a_jpeg_is_said(tmp_path):
    large = ifd.write({0x10F: ifd.Entry(2, 70_000, b"x" * 69_999 + b"\0")})
    picture().save(tmp_path / "a.png", exif=large)

    _, same, nothing = again(tmp_path / "a.png")
    _, data, notes = again(tmp_path / "a.png", tmp_path / "a.jpg")

    assert large in same and nothing == []
    assert "EXIF left out" in " ".join(notes)
    Image.open(io.BytesIO(data)).load()


def test_two_views_become_one_and_that_is_said(tmp_path):
    picture().save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[picture(seed=1)])

    _, data, notes = again(tmp_path / "a.jpg")

    assert "a second picture" in notes[0]
    assert not any(payload.startswith(b"MPF") for _, payload in segments(data))
