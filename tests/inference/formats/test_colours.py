"""Colours, gray, alpha and depth of files of all formats."""

import io
import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest
from drawing import (
    again,
    picture,
    scene,
)
from PIL import Image, ImageCms

from srn.errors import WorkError
from srn.inference.formats import ifd
from srn.inference.reading import read_photograph


def cmyk_profile():
    """Inks without black print as Lab (50, 60, 0), a pink, whatever they are; black ink as black."""
    pink, black = bytes([128, 188, 128]), bytes([0, 128, 128])
    table = 8 * (pink + black)  # black ink changes fastest
    identity = struct.pack(">9i", *(65536 if index % 4 == 0 else 0 for index in range(9)))
    curve = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * curve + table + 3 * curve
    header = struct.pack(">I4sI4s4s4s", 128 + 16 + len(lut), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    header = header.ljust(128, b"\0")
    return header + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_goes_through_its_profile(tmp_path, suffix):
    picture("CMYK").save(tmp_path / f"a{suffix}", icc_profile=cmyk_profile())

    photograph, data, notes = again(tmp_path / f"a{suffix}")

    assert notes == ["CMYK becomes sRGB, through its profile"]
    red, green, blue = photograph.pixels.reshape(-1, 3).mean(axis=0)
    assert red > 190 and green < 80 and 80 < blue < 160
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_cmyk_without_a_profile_is_a_guess_that_is_said(tmp_path):
    picture("CMYK").save(tmp_path / "plain.jpg", quality=95)
    picture("CMYK").save(tmp_path / "odd.jpg", quality=95, icc_profile=b"no profile at all")
    picture("CMYK").save(tmp_path / "a.tif")

    for name, said in (("plain.jpg", "without a profile"), ("odd.jpg", "is damaged"), ("a.tif", "a guess")):
        photograph, data, notes = again(tmp_path / name)

        assert said in notes[0] and len(notes) == 1
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == "RGB" and "icc_profile" not in image.info
        assert np.abs(photograph.pixels.astype(int) - scene()).mean() < 6


def test_lab_becomes_srgb(tmp_path):
    lab = ImageCms.profileToProfile(
        picture(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "a.tif")

    photograph, _, notes = again(tmp_path / "a.tif")

    assert "becomes sRGB" in notes[0]
    assert np.abs(photograph.pixels.astype(int) - scene()).mean() < 3
    assert photograph.metadata.icc


@pytest.mark.parametrize(
    "mode, suffix",
    [("LA", ".png"), *itertools.product(("1", "L", "RGB", "RGBA", "P"), (".png", ".tif"))],
)
def test_gray_and_transparent_kinds_stay_what_they_are(tmp_path, mode, suffix):
    image = picture(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(picture("L", seed=1))
    image.save(tmp_path / f"a{suffix}")

    photograph, data, notes = again(tmp_path / f"a{suffix}")

    with Image.open(io.BytesIO(data)) as written:
        expected = {"1": "L", "P": "RGB"}.get(mode, mode)
        assert written.mode == expected
        np.testing.assert_array_equal(np.asarray(written), np.asarray(image.convert(expected)))
    assert (photograph.alpha is not None) == (mode in ("LA", "RGBA"))
    assert notes == []


@pytest.mark.parametrize("mode, transparent", [("L", 100), ("P", 3), ("RGB", (1, 2, 3))])
def test_a_colour_that_stands_for_transparency_becomes_alpha(tmp_path, mode, transparent):
    image = picture(mode)
    image.putpixel((0, 0), transparent)
    image.save(tmp_path / "a.png", transparency=transparent)

    photograph, data, _ = again(tmp_path / "a.png")

    assert photograph.alpha[0, 0] == 0 and photograph.alpha.max() == 255
    assert Image.open(io.BytesIO(data)).mode == ("LA" if mode == "L" else "RGBA")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".ppm"])
def test_a_colour_file_without_colours_is_restored_as_gray(tmp_path, suffix):
    gray = picture("L")
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.merge("RGB", [gray] * 3).save(tmp_path / f"a{suffix}", **options)

    photograph, data, _ = again(tmp_path / f"a{suffix}")

    assert photograph.pixels.ndim == 2
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        channels = np.asarray(image)
        assert np.array_equal(channels[..., 0], channels[..., 1])


def deep_gray_alpha_png(pixels):
    """PNG, without filters, of uint16 [H, W, 2]."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2")
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    packed = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_gray_in_webp_with_loss_is_gray_though_its_channels_differ_by_rounding(tmp_path):
    picture("L").save(tmp_path / "a.webp", quality=90)

    photograph, data, _ = again(tmp_path / "a.webp")

    assert photograph.pixels.shape == (40, 60)
    channels = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.ptp(channels, axis=-1).max() <= 1


def test_gray_with_alpha_of_16_bits_becomes_four_channels_where_nothing_else_is_read(tmp_path):
    pixels = np.dstack([scene(80, 120, dtype=np.uint16)[..., :2]])
    (tmp_path / "a.png").write_bytes(deep_gray_alpha_png(pixels))

    for suffix in (".tif", ".jp2"):
        again(tmp_path / "a.png", tmp_path / f"b{suffix}")
        np.testing.assert_array_equal(read_photograph(tmp_path / f"b{suffix}").channels()[..., 2:], pixels)
    assert "transparency is left out" in " ".join(again(tmp_path / "a.png", tmp_path / "b.bmp")[2])


@pytest.mark.parametrize(
    "channels, suffix",
    [
        *itertools.product((1, 3, 4), (".png", ".tif")),
        *((2, ".png"), (1, ".jp2"), (3, ".jp2"), (1, ".pgm"), (3, ".ppm")),
    ],
)
def test_16_bits_stay_16_bits(tmp_path, channels, suffix):
    pixels = np.dstack([scene(80, 120, dtype=np.uint16), scene(80, 120, 1, np.uint16)[..., :1]])
    path = tmp_path / f"a{suffix}"
    if channels == 2:
        path.write_bytes(deep_gray_alpha_png(pixels[..., :2]))
        expected = pixels[..., :2]
    else:
        expected = pixels[..., 0] if channels == 1 else pixels[..., :channels]
        swapped = expected if channels == 1 else expected[..., [2, 1, 0, 3][:channels]]
        options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if suffix == ".jp2" else []
        cv2.imwrite(str(path), swapped, options)

    photograph, _, notes = again(path)
    written = read_photograph(tmp_path / f"a_out{suffix}")

    assert photograph.pixels.dtype == np.uint16
    np.testing.assert_array_equal(photograph.channels(), expected)
    np.testing.assert_array_equal(written.channels(), expected)
    assert notes == []


def test_no_kind_of_16_bits_slips_by_as_8(tmp_path):
    picture().save(tmp_path / "a.sgi", bpc=2)
    (tmp_path / "a.ppm").write_bytes(b"P3 1 1 65535\n0 300 65535\n")
    wide = struct.pack("<H", 16)
    inks = {
        **{256: ifd.short(1), 257: ifd.short(1), 258: ifd.short(16, 16, 16, 16), 259: ifd.short(1)},
        **{262: ifd.short(5), 277: ifd.short(4), 278: ifd.short(1)},
    }
    (tmp_path / "inks.tif").write_bytes(ifd.write(inks, [wide * 4]))
    (tmp_path / "12.tif").write_bytes(
        ifd.write({**inks, 258: ifd.short(12), 262: ifd.short(1), 277: ifd.short(1)}, [wide])
    )

    assert read_photograph(tmp_path / "a.ppm").pixels.ravel().tolist() == [0, 300, 65535]
    for name, reason in (("a.sgi", "more than 8 bits"), ("inks.tif", "other colours"), ("12.tif", "12 bits")):
        with pytest.raises(WorkError, match=rf"{name}: .*{reason}"):
            read_photograph(tmp_path / name)
