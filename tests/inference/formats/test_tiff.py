"""TIFF files, read and written again."""

import io

import pytest
from drawing import (
    IPTC,
    SRGB,
    XMP,
    XMP_UPRIGHT,
    again,
    camera_exif,
    picture,
)
from PIL import Image

from srn.errors import WorkError
from srn.inference.formats import ifd
from srn.inference.reading import read_photograph


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
