"""PNG files, read and written again."""

import io
import struct

from drawing import (
    SRGB,
    XMP,
    XMP_UPRIGHT,
    again,
    camera_exif,
    chunks,
    picture,
)
from PIL import Image, PngImagePlugin


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
