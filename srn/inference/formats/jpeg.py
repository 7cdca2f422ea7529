"""JPEG files: segments other than the pixels are copied to the restored file unchanged."""

from __future__ import annotations

import functools
import io
import struct

import numpy as np
from PIL import Image, JpegImagePlugin

from srn.inference.formats.ifd import set_upright
from srn.inference.formats.image import Coding, Format, FormatError, Parts, to_pil
from srn.inference.formats.metadata import (
    EXIF_PREFIX,
    Metadata,
    set_xmp_upright,
    without_exif_prefix,
)

QUALITY = 95  # minimum; higher if the original has finer quantization
_SOI, _EOI, _SOS, _COMMENT = b"\xff\xd8", b"\xff\xd9", 0xDA, 0xFE
_APP0, _APP1, _APP2, _APP13, _APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
_APPLICATION = range(0xE0, 0xF0)
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # all SOFn: the frame's header
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_JFIF, _ADOBE, _MULTIPLE = b"JFIF\0", b"Adobe", b"MPF\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ICC = b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_MAX_SEGMENT = 65533  # bytes in a segment
_INCH = 2.54  # centimetres


def take_apart(data: bytes) -> Parts:
    """See `Format`."""
    segments, scan = _split(data)
    _refuse_depth(segments)
    beside = [segment for segment in segments if _is_beside_pixels(segment)]
    decoding = [segment for segment in segments if not _is_beside_pixels(segment)]
    pixels_only = _SOI + b"".join(_join(*segment) for segment in decoding) + data[scan:]
    notes = []
    behind = data[data.find(_EOI, scan) + 2 :] if data.find(_EOI, scan) >= 0 else b""
    if behind.strip(b"\0\r\n \xff"):
        what = "a second picture, a video"
        notes.append(f"what lies behind the picture ({len(behind)} bytes: {what}, say) is left out")
    parts = tuple(
        (marker, payload)
        for marker, payload in beside
        if not (marker == _APP2 and payload.startswith(_MULTIPLE)) and marker != _APP14
    )
    return Parts(
        metadata=Metadata(
            exif=without_exif_prefix(_first(parts, _APP1, EXIF_PREFIX)),
            xmp=_first(parts, _APP1, _XMP)[len(_XMP) :],
            icc=_profile(parts),
            photoshop=b"".join(payload[len(_PHOTOSHOP) :] for payload in _all(parts, _APP13, _PHOTOSHOP)),
            comments=tuple(_all(parts, _COMMENT, b"")),
            dpi=_density(_first(parts, _APP0, _JFIF)),
            parts=parts,
        ),
        pixels_only=pixels_only,
        coding=Coding(False, *_quantization(pixels_only, segments)),
        notes=tuple(notes),
    )


def encode(
    channels: np.ndarray, metadata: Metadata, coding: Coding, quality: int | None, native: bool
) -> bytes:
    """See `Format`. Without `quality` no coefficient is kept coarser than at 95, or than the original's."""
    image = to_pil(channels)
    options = {"quality": QUALITY, "subsampling": "4:4:4"}
    if quality is not None:
        options = {"quality": quality, "subsampling": "4:4:4" if quality >= 90 else "4:2:0"}
    elif native and coding.quantization:
        options = {"qtables": _finest(coding.quantization), "subsampling": "4:4:4"}
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", progressive=native and coding.progressive, **options)
    encoded = buffer.getvalue()
    segments, scan = _split(encoded)
    parts = _native_parts(metadata) if native else _parts_of(metadata)
    segments = [*parts, *(segment for segment in segments if not _is_beside_pixels(segment))]
    return _SOI + b"".join(_join(*segment) for segment in segments) + encoded[scan:]


def _refuse_depth(segments):
    for marker, payload in segments:
        if marker in _FRAMES and payload[:1] != b"\x08":
            raise FormatError(f"is a JPEG of {payload[0]} bits a channel, which no decoder here takes")


def _split(data: bytes) -> tuple[list, int]:
    """[(marker, payload)] of all segments before the first scan, and where that begins."""
    if not data.startswith(_SOI):
        raise ValueError("no JPEG file")
    segments: list[tuple[int, bytes]] = []
    position = 2
    while True:
        if data[position] != 0xFF:
            raise ValueError("a segment is longer or shorter than it says")
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
        elif marker == _SOS:
            return segments, position
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without content
            position += 2
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            if length < 2:
                raise ValueError("a segment has no length")
            segments.append((marker, data[position + 4 : position + 2 + length]))
            position += 2 + length


def _join(marker, payload):
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _is_beside_pixels(segment):
    marker, payload = segment
    is_for_decoders = marker == _APP14 and payload.startswith(_ADOBE)  # which colours the channels are
    return (marker in _APPLICATION or marker == _COMMENT) and not is_for_decoders


def _all(parts, marker, start):
    return [payload for number, payload in parts if number == marker and payload.startswith(start)]


def _first(parts, marker, start):
    return next(iter(_all(parts, marker, start)), b"")


def _profile(parts):
    chunks = sorted(payload[len(_ICC) :] for payload in _all(parts, _APP2, _ICC))
    return b"".join(chunk[2:] for chunk in chunks)  # after number and count


def _density(jfif):
    if len(jfif) < 12:
        return None
    unit, horizontal, vertical = struct.unpack_from(">BHH", jfif, 7)
    factor = {1: 1.0, 2: _INCH}.get(unit)
    return (horizontal * factor, vertical * factor) if factor and horizontal and vertical else None


def _quantization(pixels_only, segments):
    with JpegImagePlugin.JpegImageFile(io.BytesIO(pixels_only)) as image:
        tables = [tuple(image.quantization.get(component[3], ())) for component in image.layer]
    progressive = any(marker in _PROGRESSIVE for marker, _ in segments)
    return (tuple(tables) if all(tables) else ()), progressive


def _finest(tables):
    """Luminance and chrominance tables of which no entry is above the given ones, nor above those of 95."""
    usual = _usual_tables()
    luminance = np.minimum(tables[0], usual[0])
    chrominance = np.min([usual[1], *tables[1:]], axis=0)
    return [table.tolist() for table in (luminance, chrominance)]


@functools.lru_cache(maxsize=1)
def _usual_tables():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=QUALITY)
    with JpegImagePlugin.JpegImageFile(io.BytesIO(buffer.getvalue())) as image:
        return [np.array(image.quantization[number]) for number in (0, 1)]


def _native_parts(metadata):
    """The segments as they came, upright; the profile may be another one."""
    parts, profile = [], _icc_segments(metadata.icc)
    has_profile = _profile(metadata.parts) == metadata.icc
    for marker, payload in metadata.parts:
        if marker == _APP1 and payload.startswith(EXIF_PREFIX):
            payload = EXIF_PREFIX + set_upright(without_exif_prefix(payload))
        elif marker == _APP1 and payload.startswith(_XMP):
            payload = set_xmp_upright(payload)
        elif marker == _APP2 and payload.startswith(_ICC) and not has_profile:
            continue
        parts.append((marker, payload))
    return parts if has_profile else parts + profile


def _parts_of(metadata):
    unit, (horizontal, vertical) = (1, metadata.dpi) if metadata.dpi else (0, (1, 1))
    density = [max(min(round(value), 65535), 1) for value in (horizontal, vertical)]
    parts = [(_APP0, _JFIF + struct.pack(">HBHHBB", 0x0101, unit, *density, 0, 0))]
    if metadata.exif:
        parts.append((_APP1, EXIF_PREFIX + metadata.exif))
    if metadata.xmp:
        parts.append((_APP1, _XMP + metadata.xmp))
    parts += _icc_segments(metadata.icc)
    size = _MAX_SEGMENT - len(_PHOTOSHOP)
    for start in range(0, len(metadata.photoshop), size):
        parts.append((_APP13, _PHOTOSHOP + metadata.photoshop[start : start + size]))
    parts += [(_COMMENT, comment) for comment in metadata.comments]
    return [part for part in parts if len(part[1]) <= _MAX_SEGMENT]


def _icc_segments(icc):
    size = _MAX_SEGMENT - len(_ICC) - 2
    chunks = [icc[start : start + size] for start in range(0, len(icc), size)]
    if len(chunks) > 255:
        return []
    return [(_APP2, _ICC + bytes([number, len(chunks)]) + chunk) for number, chunk in enumerate(chunks, 1)]


def too_long(metadata: Metadata) -> set[str]:
    """Names of the attributes that have no room in a JPEG file: its segments hold 64 KB."""
    room = {
        "exif": _MAX_SEGMENT - len(EXIF_PREFIX),
        "xmp": _MAX_SEGMENT - len(_XMP),
        "icc": 255 * (_MAX_SEGMENT - len(_ICC) - 2),
    }
    return {name for name, size in room.items() if len(getattr(metadata, name)) > size}


JPEG = Format(
    name="JPEG",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
    take_apart=take_apart,
    encode=encode,
    keeps=frozenset({"exif", "xmp", "icc", "photoshop", "comments"}),
    alpha=False,
    max_side=65500,
)
