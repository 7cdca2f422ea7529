"""Other formats: WebP, AVIF and HEIF, whose metadata Pillow copies; BMP, PNM, JPEG 2000, TGA."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from srn.inference.formats.ifd import set_upright
from srn.inference.formats.image import Coding, Format, FormatError, Parts, to_opencv, to_pil
from srn.inference.formats.metadata import Metadata, set_xmp_upright, without_exif_prefix

QUALITY = 95
_HEIF_HINT = "HEIC needs the package pillow-heif: pip install 'srn-deblurnet[heif]'"
_DENSITY = slice(38, 46)  # in the header of a BMP: horizontal and vertical pixels per metre
_FILE_HEADER, _OLD_HEADER, _PRESENT_HEADER = 14, 40, 124  # bytes; BITMAPINFOHEADER, BITMAPV5HEADER
_EMBEDDED = b"DEBM"  # a colour profile is in the file
_COLOUR_SPACE, _PROFILE = 70, 126  # positions in a file with the present header
_TEN_BITS = "its 10 or 12 bits a channel become 8"


def take_apart_by_pillow(data: bytes) -> Parts:
    """See `Format`: what Pillow finds in any file."""
    with Image.open(io.BytesIO(data)) as image:
        info, pictures = image.info, getattr(image, "n_frames", 1)
        layered = image.format in ("PSD", "ICO", "ICNS")  # the first is the whole, or the largest
    dpi = info.get("dpi")
    comment = info.get("comment", b"")
    return Parts(
        metadata=Metadata(
            exif=without_exif_prefix(info.get("exif") or b""),
            xmp=_bytes(info.get("xmp")),
            icc=info.get("icc_profile") or b"",
            comments=(_bytes(comment),) if comment else (),
            dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
        ),
        pixels_only=data,
        pictures=1 if layered else pictures,
    )


def encode_by_pillow(name: str, **options: object) -> Callable[..., bytes]:
    """`Format.encode` by a plug-in of Pillow that has no room for anything but pixels."""

    def encode(channels: np.ndarray, *_: object) -> bytes:
        return _save(to_pil(channels), name, **options)

    return encode


def _save(image, name, **options):
    buffer = io.BytesIO()
    image.save(buffer, name, **{key: value for key, value in options.items() if value not in (None, b"")})
    return buffer.getvalue()


def _bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text or b"")


def _beside(metadata):
    return {"exif": metadata.exif, "xmp": metadata.xmp, "icc_profile": metadata.icc}


# WebP: https://developers.google.com/speed/webp/docs/riff_container


def _take_webp_apart(data):
    parts = take_apart_by_pillow(data)
    kinds = [kind for kind, _ in _riff_chunks(data)]
    lossless = b"VP8L" in kinds and b"VP8 " not in kinds
    return Parts(parts.metadata, data, Coding(lossless=lossless), pictures=parts.pictures)


def _riff_chunks(data):
    position = 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        yield kind, position
        position += 8 + size + size % 2


def _encode_webp(channels, metadata, coding, quality, native):
    lossless = native and coding.lossless and quality is None
    options = {"lossless": True, "exact": True} if lossless else {"quality": quality or QUALITY}
    return _save(to_pil(channels), "WEBP", **options, **_beside(metadata))


# AVIF and HEIC: boxes of ISO/IEC 14496-12


def _take_avif_apart(data):
    parts = take_apart_by_pillow(data)
    nclx = data.find(b"colrnclx")
    # Without loss there must be no conversion to luminance: matrix 0, the identity.
    lossless = nclx >= 0 and struct.unpack_from(">H", data, nclx + 12)[0] == 0
    notes = list(_depth_notes(data, b"av1C"))
    if lossless:
        notes.append("AVIF without loss becomes AVIF of quality 100: no library at hand writes the former")
    return Parts(parts.metadata, data, Coding(lossless=lossless), tuple(notes), parts.pictures)


def _depth_notes(data, box):
    """A note where the configuration of the decoder says more than 8 bits."""
    start = data.find(box)
    if start < 0:
        return ()
    # high_bitdepth of the one, bit_depth_luma_minus8 of the other
    deep = data[start + 6] & 0x40 if box == b"av1C" else data[start + 4 + 17] & 0x07
    return (_TEN_BITS,) if deep else ()


def _encode_avif(channels, metadata, coding, quality, native):
    if native and coding.lossless and quality is None:
        options = {"quality": 100, "subsampling": "4:4:4"}
    else:
        options = {"quality": quality or QUALITY, "subsampling": "4:4:4"}
    return _save(to_pil(channels), "AVIF", **options, **_beside(metadata))


def register_heif() -> None:
    """Lets Pillow read HEIC. Raises `FormatError` that says what to install where it cannot."""
    try:
        import pillow_heif
    except ImportError as error:
        raise FormatError(_HEIF_HINT) from error
    pillow_heif.register_heif_opener()


def _take_heif_apart(data):
    register_heif()
    parts = take_apart_by_pillow(data)
    # Turned by the decoder, which has set the orientation in EXIF to 1.
    metadata = Metadata(
        exif=set_upright(parts.metadata.exif),
        xmp=set_xmp_upright(parts.metadata.xmp),
        icc=parts.metadata.icc,
    )
    notes = list(_depth_notes(data, b"hvcC"))
    with Image.open(io.BytesIO(data)) as image:
        if image.info.get("depth_images") or image.info.get("aux"):
            notes.append("its second layers (depth, gain map) are left out")
    return Parts(metadata, data, notes=tuple(notes), pictures=parts.pictures)


def _encode_heif(channels, metadata, coding, quality, native):
    register_heif()
    # 4:2:0: hardly a phone decodes more
    options = {"quality": quality or QUALITY, "chroma": 420}
    return _save(to_pil(channels), "HEIF", **options, **_beside(metadata))


# BMP


def _take_bmp_apart(data):
    parts = take_apart_by_pillow(data)
    header = struct.unpack_from("<I", data, _FILE_HEADER)[0]
    density = data[_DENSITY] if header >= _OLD_HEADER else b""
    icc = b""
    if header >= _PRESENT_HEADER and data[_COLOUR_SPACE : _COLOUR_SPACE + 4] == _EMBEDDED:
        start, size = struct.unpack_from("<II", data, _PROFILE)  # from the header on
        icc = data[_FILE_HEADER + start :][:size]
    metadata = Metadata(icc=icc, dpi=parts.metadata.dpi, parts=(density,))
    return Parts(metadata, data, Coding(lossless=True))


def _encode_bmp(channels, metadata, coding, quality, native):
    encoded = bytearray(_save(to_pil(channels), "BMP", dpi=metadata.dpi))
    if native and metadata.parts and len(metadata.parts[0]) == 8:
        encoded[_DENSITY] = metadata.parts[0]
    return _with_profile(bytes(encoded), metadata.icc) if metadata.icc else bytes(encoded)


def _with_profile(encoded, icc):
    """A BMP file of Pillow with the present header in place of the old one, which has no colour profile."""
    more = _PRESENT_HEADER - _OLD_HEADER
    size, reserved, pixels = struct.unpack_from("<III", encoded, 2)
    position = size - _FILE_HEADER + more  # of the profile: behind the pixels
    header = bytearray(_FILE_HEADER + _PRESENT_HEADER)
    header[: _FILE_HEADER + _OLD_HEADER] = encoded[: _FILE_HEADER + _OLD_HEADER]
    struct.pack_into("<IIII", header, 2, size + more + len(icc), reserved, pixels + more, _PRESENT_HEADER)
    header[_COLOUR_SPACE : _COLOUR_SPACE + 4] = _EMBEDDED
    struct.pack_into("<II", header, _PROFILE, position, len(icc))
    return bytes(header) + encoded[_FILE_HEADER + _OLD_HEADER : size] + icc


# PNM: http://netpbm.sourceforge.net/doc/ppm.html


_PNM = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}


def read_deep_pnm(data: bytes) -> np.ndarray | None:
    """uint16 [H, W] or [H, W, 3] of full range; None for files of 8 bits, and of one."""
    header = _pnm_header(data)
    if header is None or header[3] <= 255:
        return None
    channels, width, height, maximum, start = header
    if data[:2] in (b"P2", b"P3"):  # numbers as text
        values = np.array(data[start:].split()[: width * height * channels], np.float64)
    else:
        values = np.frombuffer(data, ">u2", width * height * channels, start).astype(np.float64)
    values = np.rint(np.minimum(values / maximum, 1) * 65535).astype(np.uint16)
    return values.reshape((height, width, 3) if channels == 3 else (height, width))


def _pnm_header(data):
    """(channels, width, height, maximum, where pixels begin) of a gray or colour file, else None."""
    if data[:2] not in _PNM:
        return None
    numbers: list[int] = []
    position = 2
    while len(numbers) < 3:
        if position >= len(data) or position > 1 << 16:
            return None
        character = data[position : position + 1]
        if character == b"#":
            position = data.index(b"\n", position)
        elif character.isspace():
            position += 1
        else:
            end = position
            while data[end : end + 1].isdigit():
                end += 1
            if end == position:
                return None
            numbers.append(int(data[position:end]))
            position = end
    width, height, maximum = numbers
    return _PNM[data[:2]], width, height, maximum, position + 1


def _take_pnm_apart(data):
    header = data[: (_pnm_header(data) or (0, 0, 0, 0, 0))[-1]]
    comments = [line.partition(b"#")[2].strip() for line in header.split(b"\n") if b"#" in line]
    behind = data[_end_of_pnm(data) :]
    notes = (f"what lies behind the picture ({len(behind)} bytes) is left out",) if behind.strip() else ()
    return Parts(Metadata(comments=tuple(comments)), data, Coding(lossless=True), notes)


def _end_of_pnm(data):
    """Where the pixels of a file with binary numbers end; of others where the file ends."""
    header = _pnm_header(data)
    if header is None or data[:2] not in (b"P5", b"P6"):
        return len(data)
    channels, width, height, maximum, start = header
    return start + width * height * channels * (1 if maximum <= 255 else 2)


def _encode_pnm(channels, metadata, coding, quality, native):
    height, width = channels.shape[:2]
    maximum = np.iinfo(channels.dtype).max
    comments = [b"# " + b" ".join(comment.split()) + b"\n" for comment in metadata.comments]
    kind = b"P6\n" if channels.ndim == 3 else b"P5\n"
    header = kind + b"".join(comments) + f"{width} {height}\n{maximum}\n".encode()
    return header + channels.astype(f">u{channels.itemsize}").tobytes()


# JPEG 2000: boxes of ISO/IEC 15444-1, annex I

_JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_OF_HEADER = (b"colr", b"res ")  # colours and resolution
_CODESTREAM = b"\xff\x4f\xff\x51"
_EXIF_UUID = b"JpgTiffExif->JP2"
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def _take_jp2_apart(data):
    boxes = [box for box in _jp2_boxes(data) if box[0] in (b"uuid", b"xml ")]
    contents = {content[:16]: content[16:] for kind, content in boxes if kind == b"uuid"}
    colours = [content for kind, content in _header_boxes(data) if kind == b"colr"]
    icc = next((content[3:] for content in colours if content[:1] == b"\2"), b"")  # method 2: a profile
    metadata = Metadata(
        exif=without_exif_prefix(contents.get(_EXIF_UUID, b"")),
        xmp=contents.get(_XMP_UUID, b""),
        icc=icc,
        parts=(*boxes, *(box for box in _header_boxes(data) if box[0] in _OF_HEADER)),
    )
    return Parts(metadata, data, Coding(lossless=_is_reversible(data)))


def _header_boxes(data):
    header = next((content for kind, content in _jp2_boxes(data) if kind == b"jp2h"), b"")
    return list(_boxes(header))


def _with_header_boxes(encoded, boxes):
    """An encoded file whose colours and resolution are described as the original's were."""
    own = _header_boxes(encoded)
    kinds = [kind for kind, _ in boxes]
    header = [box for box in own if box[0] not in kinds] + boxes
    content = b"".join(_box(*box) for box in header)
    return b"".join(_box(kind, content if kind == b"jp2h" else old) for kind, old in _jp2_boxes(encoded))


def _box(kind, content):
    return struct.pack(">I4s", len(content) + 8, kind) + content


def jp2_depth(data: bytes) -> int:
    """Bits a channel, by the codestream's header."""
    start = data.find(_CODESTREAM)
    return (data[start + 42] & 0x7F) + 1 if 0 <= start <= len(data) - 43 else 8


def _is_reversible(data):
    start = data.find(b"\xff\x52", data.find(_CODESTREAM))  # COD
    return 0 <= start <= len(data) - 14 and data[start + 13] == 1  # the wavelet 5-3


def _jp2_boxes(data):
    return _boxes(data) if data.startswith(_JP2_SIGNATURE) else iter(())


def _boxes(data):
    """Yields (type, content) of each box."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        size = size or len(data) - position  # 0: to the end
        if size < 8:  # more than 4 GB
            return
        yield kind, data[position + 8 : position + size]
        position += size


def _encode_jp2(channels, metadata, coding, quality, native):
    if channels.dtype == np.uint8:
        options = {}
        if quality is not None or (native and coding.lossless is False):
            options = {"irreversible": True, "quality_mode": "dB", "quality_layers": [50]}
        encoded = _save(to_pil(channels), "JPEG2000", **options)
    else:
        encoded = _encode_deep_jp2(channels)
    parts = list(metadata.parts) if native else []
    of_header = [box for box in parts if box[0] in _OF_HEADER]
    if of_header:
        encoded = _with_header_boxes(encoded, of_header)
    boxes = []
    for kind, content in parts:
        patched = kind == b"uuid" and content[:16] in (_EXIF_UUID, _XMP_UUID)
        if kind not in _OF_HEADER and not patched:
            boxes.append((kind, content))
    if metadata.exif:
        boxes.append((b"uuid", _EXIF_UUID + metadata.exif))
    if metadata.xmp:
        boxes.append((b"uuid", _XMP_UUID + metadata.xmp))
    return encoded + b"".join(
        struct.pack(">I4s", len(content) + 8, kind) + content for kind, content in boxes
    )


def _encode_deep_jp2(channels):
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]  # without loss
    done, encoded = cv2.imencode(".jp2", to_opencv(channels), options)
    if not done:
        raise FormatError("16 bits cannot be written as JPEG 2000")
    return encoded.tobytes()


OTHERS = (
    Format(
        name="WEBP",
        suffixes=(".webp",),
        take_apart=_take_webp_apart,
        encode=_encode_webp,
        keeps=frozenset({"exif", "xmp", "icc"}),
        max_side=16383,
    ),
    Format(
        name="AVIF",
        suffixes=(".avif",),
        take_apart=_take_avif_apart,
        encode=_encode_avif,
        keeps=frozenset({"exif", "xmp", "icc"}),
        max_side=65536,
    ),
    Format(
        name="HEIF",
        suffixes=(".heic", ".heif", ".hif"),
        take_apart=_take_heif_apart,
        encode=_encode_heif,
        keeps=frozenset({"exif", "xmp", "icc"}),
        max_side=16384,
    ),
    Format(
        name="BMP",
        suffixes=(".bmp", ".dib"),
        take_apart=_take_bmp_apart,
        encode=_encode_bmp,
        keeps=frozenset({"icc"}),
        alpha=False,  # few programs see the one that Pillow writes
    ),
    Format(
        name="PPM",
        suffixes=(".ppm", ".pgm", ".pnm"),
        take_apart=_take_pnm_apart,
        encode=_encode_pnm,
        keeps=frozenset({"comments"}),
        deep=True,
        alpha=False,
    ),
    Format(
        name="JPEG2000",
        suffixes=(".jp2", ".jpx"),
        take_apart=_take_jp2_apart,
        encode=_encode_jp2,
        keeps=frozenset({"exif", "xmp"}),
        deep=True,
    ),
    Format(
        name="TGA",
        suffixes=(".tga",),
        take_apart=take_apart_by_pillow,
        encode=encode_by_pillow("TGA", compression="tga_rle"),
    ),
)
