"""BMP, JPEG 2000, WebP, PNM, HEIC and AVIF files, read and written again."""

import io
import struct

import numpy as np
import pytest
from drawing import (
    SRGB,
    XMP_UPRIGHT,
    again,
    camera_exif,
    picture,
    scene,
)
from PIL import Image

from srn.inference.reading import read_photograph


def test_the_resolution_of_a_bitmap_comes_back_to_the_last_pixel(tmp_path):
    picture().save(tmp_path / "a.bmp", dpi=(300, 200))

    _, data, _ = again(tmp_path / "a.bmp")

    assert data[38:46] == (tmp_path / "a.bmp").read_bytes()[38:46] != bytes(8)


def test_jpeg_2000_keeps_its_boxes(tmp_path):
    profile = b"\2\0\0" + SRGB  # a colour box of method 2
    resolution = b"\0\0\0\x12resc" + struct.pack(">HHHHbb", 300, 1, 200, 1, 2, 2)
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG2000")
    encoded = buffer.getvalue()
    start = encoded.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", encoded, start)
    header = encoded[start + 8 : start + 8 + 22]  # the image header
    for kind, content in ((b"colr", profile), (b"res ", resolution)):
        header += struct.pack(">I4s", len(content) + 8, kind) + content
    header = struct.pack(">I4s", len(header) + 8, b"jp2h") + header
    buffer = io.BytesIO(encoded[:start] + header + encoded[start + size :])
    boxes = [(b"uuid", b"JpgTiffExif->JP2" + camera_exif()[6:]), (b"xml ", b"<a/>")]
    added = b"".join(struct.pack(">I4s", len(content) + 8, kind) + content for kind, content in boxes)
    (tmp_path / "a.jp2").write_bytes(buffer.getvalue() + added)

    photograph, data, _ = again(tmp_path / "a.jp2")

    assert photograph.pixels.shape == (60, 40, 3)
    assert camera_exif(1)[6:] in data and b"xml <a/>" in data
    assert header in data.replace(struct.pack(">II", 60, 40), struct.pack(">II", 40, 60))
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["dpi"] == pytest.approx((508, 762), abs=1)
    assert photograph.metadata.icc == SRGB


def test_webp_without_loss_stays_without(tmp_path):
    picture("RGBA").save(tmp_path / "a.webp", lossless=True, exif=camera_exif(1)[6:], xmp=XMP_UPRIGHT)
    picture().save(tmp_path / "b.webp", quality=80)

    photograph, data, notes = again(tmp_path / "a.webp")
    _, lossy, _ = again(tmp_path / "b.webp")

    assert b"VP8L" in data and b"VP8L" not in lossy and notes == []
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), photograph.channels())
        assert image.info["exif"] == camera_exif(1)[6:] and image.info["xmp"] == XMP_UPRIGHT


@pytest.mark.parametrize("maximum", [1023, 65535])
def test_a_deep_pnm_has_its_full_range(tmp_path, maximum):
    values = np.array([0, 1, maximum], ">u2")
    (tmp_path / "a.ppm").write_bytes(b"P6\n# of a camera\n1 1\n%d\n" % maximum + values.tobytes())

    photograph, data, _ = again(tmp_path / "a.ppm")

    assert photograph.pixels.ravel().tolist() == [0, round(65535 / maximum), 65535]
    assert data.startswith(b"P6\n# of a camera\n1 1\n65535\n")


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_photographs_of_phones_keep_exif_and_stand_upright(tmp_path, suffix):
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    picture(height=64, width=96).save(tmp_path / f"a{suffix}", exif=camera_exif(6), quality=90)

    photograph, data, _ = again(tmp_path / f"a{suffix}")

    assert photograph.pixels.shape == (96, 64, 3)
    assert np.abs(photograph.pixels.astype(int) - np.rot90(scene(64, 96), -1)).mean() < 4
    assert b"MAKER" in data
    assert read_photograph(tmp_path / f"a_out{suffix}").pixels.shape == (96, 64, 3)
