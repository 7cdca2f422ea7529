"""PNG files: chunks other than the pixels are copied to the restored file unchanged."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from srn.images import encode_png
from srn.inference.formats.image import Coding, Format, Parts, to_pil
from srn.inference.formats.metadata import COLOUR_CHUNKS, Metadata, without_exif_prefix

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
# Chunks that stay valid when the pixels change, besides those marked safe to copy (PNG, third edition, 14.2).
_KEPT = {*COLOUR_CHUNKS, b"eXIf", b"pHYs", b"tIME", b"tEXt", b"zTXt", b"iTXt", b"sPLT", b"pCAL", b"sCAL"}
_KEPT |= {b"oFFs", b"caBX"}
_OF_PALETTES = (b"hIST", b"bKGD", b"sBIT")  # only meaningful for the original type of pixels
_XMP_KEY = b"XML:com.adobe.xmp"
_RAW_PROFILE = "Raw profile type "
_METRE = 39.3701  # inches


def take_apart(data: bytes) -> Parts:
    """See `Format`."""
    chunks = list(_split(data))
    beside = [chunk for chunk in chunks if chunk[0] not in (*_PIXELS, *_ANIMATION, *_OF_PALETTES)]
    kept = tuple(chunk for chunk in beside if chunk[0] in _KEPT or chr(chunk[0][3]).islower())
    lost = sorted({chunk[0].decode("latin-1") for chunk in beside} - {c[0].decode("latin-1") for c in kept})
    notes = [f"its chunks {', '.join(lost)} are left out"] if lost else []
    behind = data[len(_SIGNATURE) + sum(12 + len(content) for _, content in chunks) :]
    if behind.strip(b"\0\r\n "):
        notes.append(f"what lies behind the picture ({len(behind)} bytes) is left out")
    frames = [struct.unpack(">I", chunk[1][:4])[0] for chunk in chunks if chunk[0] == b"acTL"]
    pixels = [chunk for chunk in chunks if chunk[0] in _PIXELS]
    texts = dict(_text(*chunk) for chunk in kept if chunk[0] in (b"tEXt", b"zTXt", b"iTXt"))
    exif = _first(kept, b"eXIf") or _raw_profile(texts, "exif") or _raw_profile(texts, "APP1")
    iptc = _raw_profile(texts, "iptc")
    hidden = [key for key in texts if key.startswith(_RAW_PROFILE) or key == _XMP_KEY.decode()]
    return Parts(
        metadata=Metadata(
            exif=without_exif_prefix(exif),
            xmp=texts.get(_XMP_KEY.decode(), "").encode(),
            icc=_profile(_first(kept, b"iCCP")),
            photoshop=iptc if iptc.startswith(b"8BIM") else b"",
            iptc=iptc if iptc and not iptc.startswith(b"8BIM") else b"",
            texts=tuple((key, text) for key, text in texts.items() if key not in hidden),
            dpi=_density(_first(kept, b"pHYs")),
            parts=kept,
        ),
        pixels_only=_SIGNATURE + b"".join(_join(*chunk) for chunk in pixels),
        coding=Coding(lossless=True),
        notes=tuple(notes),
        pictures=frames[0] if frames else 1,
    )


def encode(
    channels: np.ndarray, metadata: Metadata, coding: Coding, quality: int | None, native: bool
) -> bytes:
    """See `Format`."""
    encoded = _encode_pixels(channels)
    chunks = [chunk for chunk in _split(encoded) if chunk[0] in _PIXELS]
    parts = _native_parts(metadata) if native else _parts_of(metadata)
    return _SIGNATURE + b"".join(_join(*chunk) for chunk in [chunks[0], *parts, *chunks[1:]])


def is_deep(pixels_only: bytes) -> bool:
    """Whether the pixels have 16 bits a channel."""
    return pixels_only[24] == 16


def transparent_value(pixels_only: bytes) -> np.ndarray | None:
    """The gray level [1], or colour [3], that is transparent in a file without alpha; None without such."""
    value = _first(list(_split(pixels_only)), b"tRNS")
    return np.frombuffer(value, ">u2").astype(np.uint16) if len(value) in (2, 6) else None


def without_transparency(pixels_only: bytes) -> bytes:
    """The same file without the chunk that names a transparent colour."""
    chunks = [chunk for chunk in _split(pixels_only) if chunk[0] != b"tRNS"]
    return _SIGNATURE + b"".join(_join(*chunk) for chunk in chunks)


def _encode_pixels(channels):
    if channels.dtype == np.uint8:
        buffer = io.BytesIO()
        to_pil(channels).save(buffer, "PNG")
        return buffer.getvalue()
    if channels.ndim == 3 and channels.shape[2] == 2:
        return _encode_gray_alpha(channels)
    return encode_png(channels)


def _encode_gray_alpha(channels):
    """uint16 [H, W, 2], which neither Pillow nor OpenCV write."""
    height, width = channels.shape[:2]
    rows = channels.astype(">u2").reshape(height, -1).view(np.uint8)
    up = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))  # filter 2: less the row above
    filtered = np.concatenate([np.full([height, 1], 2, np.uint8), up], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    pixels = zlib.compress(filtered.tobytes(), 6)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return _SIGNATURE + b"".join(_join(*chunk) for chunk in chunks)


def _split(data):
    """Yields (type, content) of each chunk up to IEND."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("no PNG file")
    position = len(_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, data[position + 8 : position + 8 + length]
        position += 12 + length
        if kind == b"IEND":
            return


def _join(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _first(chunks, kind):
    return next((content for name, content in chunks if name == kind), b"")


def _text(kind, content):
    """(key, text) of a text chunk."""
    key, _, rest = content.partition(b"\0")
    if kind == b"tEXt":
        text = rest.decode("latin-1")
    elif kind == b"zTXt":
        text = _inflate(rest[1:]).decode("latin-1")
    else:
        compressed, rest = rest[:1], rest[2:].split(b"\0", 2)[-1]
        text = (_inflate(rest) if compressed == b"\1" else rest).decode("utf-8", "replace")
    return key.decode("latin-1"), text


def _inflate(data):
    """Up to 64 MB: a small file must not fill the memory."""
    try:
        return zlib.decompressobj().decompress(data, 1 << 26)
    except zlib.error:
        return b""


def _raw_profile(texts, kind):
    """EXIF as hexadecimal text, as written by ImageMagick and others before PNG had a chunk for it."""
    lines = texts.get(_RAW_PROFILE + kind, "").split("\n")
    try:
        return bytes.fromhex("".join(lines[3:]))
    except ValueError:
        return b""


def _profile(content):
    return _inflate(content.partition(b"\0")[2][1:])


def _density(content):
    if len(content) != 9 or content[8] != 1:
        return None
    return tuple(value / _METRE for value in struct.unpack_from(">II", content))


def _native_parts(metadata):
    """The chunks as they came; EXIF and XMP, which are upright now, in their present chunks."""
    parts = []
    for kind, content in metadata.parts:
        key = content.partition(b"\0")[0].decode("latin-1")
        is_exif = kind == b"eXIf" or key in (_RAW_PROFILE + "exif", _RAW_PROFILE + "APP1")
        is_xmp = kind == b"iTXt" and key == _XMP_KEY.decode()
        if not is_exif and not is_xmp:
            parts.append((kind, content))
    return [*parts, *_exif_and_xmp(metadata)]


def _exif_and_xmp(metadata):
    parts = [(b"eXIf", metadata.exif)] if metadata.exif else []
    if metadata.xmp:
        parts.append((b"iTXt", _XMP_KEY + b"\0\0\0\0\0" + metadata.xmp))
    return parts


def _parts_of(metadata):
    parts = []
    if metadata.icc:
        parts.append((b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        density = [min(round(value * _METRE), 2**31 - 1) for value in metadata.dpi]
        parts.append((b"pHYs", struct.pack(">IIB", *density, 1)))
    if metadata.photoshop or metadata.iptc:
        parts.append(_raw_profile_chunk("iptc", metadata.photoshop or metadata.iptc))
    for comment in metadata.comments:
        parts.append(_text_chunk("Comment", comment.decode("utf-8", "replace")))
    parts += [_text_chunk(key, text) for key, text in metadata.texts]
    return [*parts, *_exif_and_xmp(metadata)]


def _text_chunk(key, text):
    try:
        return b"tEXt", key.encode("latin-1")[:79] + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", key.encode("latin-1", "replace")[:79] + b"\0\0\0\0\0" + text.encode()


def _raw_profile_chunk(kind, content):
    text = f"\n{kind}\n{len(content):8d}\n" + "\n".join(
        content[start : start + 36].hex() for start in range(0, len(content), 36)
    )
    return b"zTXt", f"{_RAW_PROFILE}{kind}".encode() + b"\0\0" + zlib.compress(text.encode() + b"\n")


PNG = Format(
    name="PNG",
    suffixes=(".png",),
    take_apart=take_apart,
    encode=encode,
    keeps=frozenset({"exif", "xmp", "icc", "photoshop", "iptc", "comments", "texts"}),
    deep=True,
)
