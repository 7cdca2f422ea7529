"""What comes back: files of all kinds, read and written again as the command does it."""

import io
import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest
from drawing import (
    IPTC,
    PHOTOSHOP,
    XMP,
    XMP_UPRIGHT,
    camera_exif,
    chunks,
    exif,
    picture,
    scene,
    segments,
    with_segments,
)
from PIL import Image, ImageCms, PngImagePlugin

from srn.errors import WorkError
from srn.inference.formats import ifd
from srn.inference.reading import read_photograph
from srn.inference.writing import Encoding, write_photograph

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def again(path, target=None, encoding=None):
    """Reads and writes a file; (photograph, content of the new file, what was said)."""
    photograph = read_photograph(path)
    target = target or path.with_name(f"{path.stem}_out{path.suffix}")
    notes = write_photograph(target, photograph, encoding or Encoding())
    return photograph, target.read_bytes(), [*photograph.notes, *notes]


# P1: odd EXIF


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


# Orientation, and P4: maker notes


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


# P3: all that is neither EXIF nor ICC


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


def test_every_chunk_of_a_png_comes_back(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a street")
    info.add_text("Author", "Zoë", zip=True)
    info.add_itxt("Remark", "日本", lang="ja")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add(b"gAMA", struct.pack(">I", 45455))
    info.add(b"tIME", b"\x07\xe4\1\2\3\4\5")
    picture().save(tmp_path / "a.png", pnginfo=info, dpi=(300, 300), exif=camera_exif(), icc_profile=SRGB)
    before = dict(chunks((tmp_path / "a.png").read_bytes()))

    _, data, notes = again(tmp_path / "a.png")

    after = chunks(data)
    assert notes == []
    for kind in (b"gAMA", b"tIME", b"pHYs", b"iCCP", b"zTXt", b"tEXt"):
        assert (kind, before[kind]) in after
    assert (b"eXIf", camera_exif(1)[6:]) in after
    international = [content for kind, content in after if kind == b"iTXt"]
    assert any(content.startswith(b"Remark\0") for content in international)
    assert any(content.endswith(XMP_UPRIGHT) for content in international)
    with Image.open(io.BytesIO(data)) as image:
        assert image.text["Remark"] == "日本"


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


# P2: TIFF


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_tiff_keeps_its_tags_and_compression(tmp_path, compression):
    tags = {271: "ACME", 315: "An Artist", 306: "2020:01:02 03:04:05", 65001: "own"}
    options = {"dpi": (300, 200), "compression": compression, "icc_profile": SRGB}
    picture().save(tmp_path / "a.tif", tiffinfo={**tags, 700: XMP, 33723: IPTC, 274: 6}, **options)

    photograph, data, notes = again(tmp_path / "a.tif")

    assert photograph.pixels.shape == (60, 40, 3)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["compression"] == compression
        assert image.info["dpi"] == (300, 200)
        assert image.info["icc_profile"] == SRGB
        kept = image.tag_v2
        assert {tag: kept[tag] for tag in tags} == tags
        assert bytes(kept[700]) == XMP_UPRIGHT
        assert bytes(kept[33723]) == IPTC
        image.load()
        assert image.size == (40, 60)
    assert notes == []


def test_tiff_keeps_the_directories_below_its_first(tmp_path):
    picture().save(tmp_path / "a.jpg", exif=camera_exif(order=">"))
    again(tmp_path / "a.jpg", tmp_path / "a.tif")

    _, data, _ = again(tmp_path / "a.tif")

    first = ifd.read(data)
    assert first[271].data == b"Cam\0"
    assert first[34665].directory[0x927C].data.startswith(b"MAKER")


def test_a_second_page_is_refused_and_a_preview_is_said(tmp_path):
    pages = [picture(), picture()]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    preview = picture(height=10, width=15)
    preview.encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(tmp_path / "preview.tif", save_all=True, append_images=[preview])

    with pytest.raises(WorkError, match=r"pages\.tif: holds 2 pictures"):
        read_photograph(tmp_path / "pages.tif")
    assert "preview" in " ".join(again(tmp_path / "preview.tif")[2])


# P12: raw files


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


# P5: CMYK


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


# P6: what was without loss stays so; JPEG is no coarser than it was


def test_webp_without_loss_stays_without(tmp_path):
    picture("RGBA").save(tmp_path / "a.webp", lossless=True, exif=camera_exif(1)[6:], xmp=XMP_UPRIGHT)
    picture().save(tmp_path / "b.webp", quality=80)

    photograph, data, notes = again(tmp_path / "a.webp")
    _, lossy, _ = again(tmp_path / "b.webp")

    assert b"VP8L" in data and b"VP8L" not in lossy and notes == []
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), photograph.channels())
        assert image.info["exif"] == camera_exif(1)[6:] and image.info["xmp"] == XMP_UPRIGHT


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


# P8, P9: gray, alpha, depth


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


@pytest.mark.parametrize("maximum", [1023, 65535])
def test_a_deep_pnm_has_its_full_range(tmp_path, maximum):
    values = np.array([0, 1, maximum], ">u2")
    (tmp_path / "a.ppm").write_bytes(b"P6\n# of a camera\n1 1\n%d\n" % maximum + values.tobytes())

    photograph, data, _ = again(tmp_path / "a.ppm")

    assert photograph.pixels.ravel().tolist() == [0, round(65535 / maximum), 65535]
    assert data.startswith(b"P6\n# of a camera\n1 1\n65535\n")


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


def test_exif_that_is_too_long_for_a_jpeg_is_said(tmp_path):
    large = ifd.write({0x10F: ifd.Entry(2, 70_000, b"x" * 69_999 + b"\0")})
    picture().save(tmp_path / "a.png", exif=large)

    _, same, nothing = again(tmp_path / "a.png")
    _, data, notes = again(tmp_path / "a.png", tmp_path / "a.jpg")

    assert large in same and nothing == []
    assert "EXIF left out" in " ".join(notes)
    Image.open(io.BytesIO(data)).load()


def test_metadata_can_be_left_out_but_not_what_colours_mean(tmp_path):
    info = _with_text()
    info.add(b"gAMA", struct.pack(">I", 45455))
    picture().save(tmp_path / "a.png", exif=camera_exif(), pnginfo=info)
    picture().save(tmp_path / "a.jpg", exif=camera_exif(), icc_profile=SRGB, comment=b"hello")

    kinds = [kind for kind, _ in chunks(again(tmp_path / "a.png", encoding=Encoding(strip=True))[1])]
    parts = segments(again(tmp_path / "a.jpg", encoding=Encoding(strip=True))[1])

    assert b"gAMA" in kinds and not {b"tEXt", b"eXIf"} & set(kinds)
    assert {0xE2} == {marker for marker, _ in parts if marker >= 0xE1}


def test_two_views_become_one_and_that_is_said(tmp_path):
    picture().save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[picture(seed=1)])

    _, data, notes = again(tmp_path / "a.jpg")

    assert "a second picture" in notes[0]
    assert not any(payload.startswith(b"MPF") for _, payload in segments(data))


@pytest.mark.parametrize("name, content", [("a.gif", "GIF"), ("a.png", "PNG"), ("a.webp", "WEBP")])
def test_moving_pictures_are_refused(tmp_path, name, content):
    picture().save(tmp_path / name, format=content, save_all=True, append_images=[picture(seed=1)])

    with pytest.raises(WorkError, match="holds 2 pictures"):
        read_photograph(tmp_path / name)


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


# P10: the limit is ours


def test_200_megapixels_are_read_by_their_header_and_the_limit_can_be_moved(tmp_path):
    with open(tmp_path / "a.pgm", "wb") as file:
        file.write(b"P5 16320 12240 255\n")

    with pytest.raises(WorkError, match=r"has 200 megapixels; --max_megapixels=100 is the limit"):
        read_photograph(tmp_path / "a.pgm", max_megapixels=100)
    with pytest.raises(WorkError, match="cannot be read as an image"):  # there are no pixels, and it tried
        read_photograph(tmp_path / "a.pgm")
    assert Image.MAX_IMAGE_PIXELS is not None
