"""EXIF: odd and damaged entries, the orientation, maker notes."""

import io
import struct

import numpy as np
import pytest
from drawing import (
    again,
    camera_exif,
    exif,
    picture,
    scene,
    segments,
)
from PIL import Image

from srn.inference.reading import read_photograph


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("tag", [0x112, 0x11A, 0x8769, 0x8825, 0xFFFF])
def test_odd_entries_in_exif_leave_the_pixels_alone(tmp_path, suffix, tag):
    path = tmp_path / f"a{suffix}"
    for kind in range(14):
        for count, value in ((0, bytes(4)), (1, b"\x06\0\0\0"), (4, b"72\0\0"), (0xFFFFFFFF, b"\xff" * 4)):
            block = exif((tag, kind, count, value))
            if suffix == ".tif":
                path.write_bytes(tiff_with_entry(block[16:28]))
            else:
                picture(height=8, width=12).save(path, exif=block)

            photograph, _, _ = again(path)

            assert photograph.pixels.shape in ((8, 12, 3), (12, 8, 3))


def tiff_with_entry(entry):
    """A TIFF file of 12x8 pixels, one of whose entries is given as 12 bytes."""
    buffer = io.BytesIO()
    picture(height=8, width=12).save(buffer, "TIFF", tiffinfo={271: "ACME"})
    data = bytearray(buffer.getvalue())
    (offset,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, offset)
    entries = [data[offset + 2 + 12 * index :][:12] for index in range(count)]
    kept = [each for each in entries if struct.unpack_from("<H", each)[0] != 271] + [entry]
    behind = data[offset + 2 + 12 * count :]
    return bytes(data[:offset] + struct.pack("<H", count) + b"".join(kept) + behind)


def test_random_damage_of_exif_leaves_the_pixels_alone(tmp_path):
    generator = np.random.default_rng(0)
    for order in "<>":
        block = camera_exif(order=order)
        for _ in range(25):
            damaged = bytearray(block)
            for position in generator.integers(6, len(block), 5):
                damaged[position] = generator.integers(0, 256)
            picture().save(tmp_path / "a.jpg", exif=bytes(damaged))

            again(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", [1, 3, 4])
def test_an_orientation_of_any_whole_type_is_followed(tmp_path, kind):
    picture().save(tmp_path / "a.jpg", exif=exif((0x112, kind, 1, b"\x06\0\0\0")))

    assert read_photograph(tmp_path / "a.jpg").pixels.shape == (60, 40, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", "<>")
def test_pixels_are_turned_and_exif_is_the_same_but_for_the_orientation(tmp_path, orientation, order):
    block = camera_exif(orientation, order)
    picture().save(tmp_path / "a.png", exif=block)
    picture().save(tmp_path / "a.jpg", exif=block, quality=95)

    photograph, data, notes = again(tmp_path / "a.jpg")
    upright = np.asarray(
        Image.fromarray(scene()).transpose(
            {
                2: Image.Transpose.FLIP_LEFT_RIGHT,
                3: Image.Transpose.ROTATE_180,
                4: Image.Transpose.FLIP_TOP_BOTTOM,
                5: Image.Transpose.TRANSPOSE,
                6: Image.Transpose.ROTATE_270,
                7: Image.Transpose.TRANSVERSE,
                8: Image.Transpose.ROTATE_90,
            }[orientation]
        )
        if orientation > 1
        else scene()
    )

    (kept,) = [payload for marker, payload in segments(data) if marker == 0xE1]
    assert kept == camera_exif(1, order)
    np.testing.assert_array_equal(read_photograph(tmp_path / "a.png").pixels, upright)
    assert np.abs(photograph.pixels.astype(int) - upright).max() < 30
    assert notes == []
