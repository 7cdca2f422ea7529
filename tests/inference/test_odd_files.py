"""Files of rare kinds: what is restored of them, and what their line says where nothing is."""

import io
import struct

import numpy as np
import pytest
from drawing import picture, scene
from PIL import Image, ImageCms

from srn.errors import WorkError
from srn.inference.formats import ifd
from srn.inference.reading import decode_photograph, read_photograph
from srn.inference.writing import choose_format, encode_photograph, write_photograph

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def tiff_file(pixels, extra=(), sample_format=1, photometric=2):
    """An uncompressed TIFF of pixels [H, W, C], the last channels of which are of the kinds `extra`."""
    height, width, channels = pixels.shape
    directory = {
        256: ifd.short(width),
        257: ifd.short(height),
        258: ifd.short(*[8 * pixels.itemsize] * channels),
        259: ifd.short(1),
        262: ifd.short(photometric),
        277: ifd.short(channels),
        278: ifd.short(height),
        284: ifd.short(1),
        339: ifd.short(*[sample_format] * channels),
    }
    if extra:
        directory[338] = ifd.short(*extra)
    return ifd.write(directory, [pixels.tobytes()])


def encoded_as(name, **options):
    buffer = io.BytesIO()
    picture().save(buffer, name, **options)
    return buffer.getvalue()


# TIFF: channels beside the colours


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_that_are_multiplied_with_alpha_are_divided_by_it(dtype):
    half = np.iinfo(dtype).max // 2 + 1
    colours = scene(dtype=dtype)
    pixels = np.dstack([colours // 2, np.full(colours.shape[:2], half, dtype)])

    photograph = decode_photograph(tiff_file(pixels, extra=(1,)), "a.tif")

    assert (photograph.alpha == half).all()
    assert np.abs(photograph.pixels.astype(int) - colours).max() <= 2


def test_alpha_of_16_bits_is_written_as_such():
    colours = scene(dtype=np.uint16)
    data = tiff_file(np.dstack([colours, colours[..., 0]]), extra=(2,))
    photograph = decode_photograph(data, "a.tif")

    written, _ = encode_photograph(photograph, choose_format("a.tif", photograph))

    assert ifd.integers(ifd.read(written)[338]) == [2]
    np.testing.assert_array_equal(decode_photograph(written, "a.tif").alpha, colours[..., 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_channels_that_are_neither_colour_nor_alpha_are_left_out_in_a_line(dtype):
    colours = scene(dtype=dtype)
    data = tiff_file(np.dstack([colours, colours[..., 0]]), extra=(0,))

    photograph = decode_photograph(data, "a.tif")

    assert photograph.alpha is None and photograph.notes == (
        "its channels that are neither colour nor alpha are left out",
    )
    np.testing.assert_array_equal(photograph.pixels, colours)


@pytest.mark.parametrize("sample_format, kind", [(2, "signed"), (3, "floating-point")])
def test_numbers_that_are_no_levels_are_refused(sample_format, kind):
    with pytest.raises(WorkError, match=f"a.tif: is stored as {kind} numbers"):
        decode_photograph(tiff_file(scene(), sample_format=sample_format), "a.tif")


# Bitmaps


def test_a_bitmap_of_5_6_and_5_bits_is_no_deep_one():
    levels = scene().astype(np.uint16)
    packed = (levels[..., 0] >> 3 << 11) | (levels[..., 1] >> 2 << 5) | (levels[..., 2] >> 3)
    header = struct.pack("<IiiHHIIiiII", 40, 60, 40, 1, 16, 3, packed.nbytes, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    start = struct.pack("<2sIHHI", b"BM", 66 + packed.nbytes, 0, 0, 66)

    photograph = decode_photograph(start + header + masks + packed[::-1].tobytes(), "a.bmp")

    assert photograph.pixels.dtype == np.uint8
    assert np.abs(photograph.pixels.astype(int) - scene()).max() <= 8


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_colour_profile_of_a_bitmap_is_kept(tmp_path, mode):
    picture(mode).save(tmp_path / "a.png", icc_profile=SRGB)
    write_photograph(tmp_path / "a.bmp", read_photograph(tmp_path / "a.png"))

    once = read_photograph(tmp_path / "a.bmp")
    notes = write_photograph(tmp_path / "b.bmp", once)

    assert notes == [] and once.metadata.icc == SRGB
    assert (tmp_path / "b.bmp").read_bytes() == (tmp_path / "a.bmp").read_bytes()
    with Image.open(tmp_path / "b.bmp") as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(picture(mode)))


# Behind the picture


@pytest.mark.parametrize(
    "data",
    [encoded_as("PNG") + b"a second file", 2 * encoded_as("PPM"), encoded_as("JPEG") + b"\0\0\0\x18ftypmp42"],
    ids=["PNG", "PPM", "JPEG"],
)
def test_what_lies_behind_the_picture_is_left_out_in_a_line(data):
    (note,) = decode_photograph(data, "a").notes

    assert "what lies behind the picture" in note


# Lines for what cannot be read


@pytest.mark.parametrize(
    "data, line",
    [
        (b"", "it is empty"),
        (b"\xff\x0a" + bytes(50), "it is JPEG XL, which is not supported; convert it to PNG or JPEG"),
        (b"<html>no such page</html>", "it is text"),
        (b"PF\n60 40\n-1.0\n" + bytes(50), "it is PFM"),
        (b"what is this", "its format is not known"),
        (encoded_as("PNG")[:8], "it begins like PNG, but is damaged"),
        (encoded_as("TIFF", compression="tiff_lzw")[:-900], "damaged"),
        (encoded_as("JPEG")[:-300], "image file is truncated"),
    ],
)
def test_what_is_no_photograph_is_said_in_words(data, line):
    with pytest.raises(WorkError) as error:
        decode_photograph(data, "a.jpg")

    assert str(error.value).startswith("a.jpg: cannot be read as an image (")
    assert line in str(error.value) and "BytesIO" not in str(error.value)


def test_a_jpeg_of_12_bits_is_refused_by_name():
    data = bytearray(encoded_as("JPEG"))
    data[data.find(b"\xff\xc0") + 4] = 12

    with pytest.raises(WorkError, match="is a JPEG of 12 bits a channel"):
        decode_photograph(bytes(data), "a.jpg")
