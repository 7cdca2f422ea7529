"""TIFF files: tags other than those of the storage of pixels are copied unchanged."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np

from srn.inference.formats import ifd
from srn.inference.formats.image import Coding, Format, FormatError, Parts, to_opencv, to_pil
from srn.inference.formats.metadata import Metadata

_SUBFILE_TYPE, _COMPRESSION, _STRIP_OFFSETS, _STRIP_SIZES = 254, 259, 273, 279
_SUB_DIRECTORIES, _DNG_VERSION = 330, 50706
_PHOTOMETRIC, _PLANAR, _SEPARATE = 262, 284, 2
_BITS, _SAMPLE_FORMAT, _UNSIGNED, _FLOATING, _VOID = 258, 339, 1, 3, 4
_CHANNELS, _EXTRA_CHANNELS = 277, 338
_UNSPECIFIED, _PREMULTIPLIED, _ALPHA = 0, 1, 2  # kinds of extra channels
_OF_COLOURS = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3}  # photometric interpretation -> channels; others have 1
_CANON = b"CR"  # after the header of a CR2
_RAW = "is a raw file, with a preview in front; develop it to TIFF or JPEG first"
_REDUCED = 1  # bit of the subfile type: a smaller version of another picture
_XMP, _IPTC, _PHOTOSHOP, _ICC = 700, 33723, 34377, 34675
# How the pixels are stored, and where: true of one encoding only (TIFF 6.0, sections 3 to 22).
_OF_PIXELS = {254, 255, *range(256, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294)}
_OF_PIXELS |= {297, 317, *range(320, 326), 326, 327, 328, 330, *range(332, 348), 351, *range(512, 522)}
_OF_PIXELS |= {529, 530, 531, 532, 32995, 32996, 32997, 32998}
_OF_ENCODER = _OF_PIXELS - {_SUB_DIRECTORIES, 320, 321}
_NAMES = {
    1: "raw",
    5: "tiff_lzw",
    6: "jpeg",
    7: "jpeg",
    8: "tiff_adobe_deflate",
    32773: "packbits",
    32946: "tiff_deflate",
    34925: "lzma",
    50000: "zstd",
}
_LZW, _DEFLATE, _OLD_DEFLATE = 5, 8, 32946
_OF_OPENCV = (1, 5, 8, 32773)  # for 16 bits
_PREDICTED = (5, 8, 32946)
_HORIZONTAL = 2  # predictor: differences of neighbours
_QUALITY = 95


def take_apart(data: bytes) -> Parts:
    """See `Format`. Raises `FormatError` for raw files."""
    if data[8:10] == _CANON:
        raise FormatError(_RAW)
    pages = list(ifd.directories(data))
    first = ifd.read(data)
    _refuse_raw(first)
    _refuse_numbers(first)
    others = [page for page in pages[1:] if not _is_reduced(page)]
    notes = []
    if len(pages) - len(others) > 1 or _SUB_DIRECTORIES in first:
        notes.append("its smaller versions (a preview, say) are left out")
    if _count_further_channels(first):
        notes.append("its channels that are neither colour nor alpha are left out")
    described = {tag: entry for tag, entry in first.items() if tag not in _OF_PIXELS}
    separate = {tag: described.pop(tag).data for tag in (_XMP, _IPTC, _PHOTOSHOP, _ICC) if tag in described}
    compression = (_values(first, _COMPRESSION) or [1])[0]
    return Parts(
        metadata=Metadata(
            exif=ifd.write(described) if described else b"",
            xmp=separate.get(_XMP, b""),
            iptc=separate.get(_IPTC, b""),
            photoshop=separate.get(_PHOTOSHOP, b""),
            icc=separate.get(_ICC, b""),
        ),
        pixels_only=ifd.set_upright(data),
        coding=Coding(lossless=_NAMES.get(compression) != "jpeg", compression=compression),
        notes=tuple(notes),
        pictures=1 + len(others),
    )


def encode(
    channels: np.ndarray, metadata: Metadata, coding: Coding, quality: int | None, native: bool
) -> bytes:
    """See `Format`. In the original's compression, else LZW."""
    compression = coding.compression if native and coding.compression in _NAMES else _LZW
    encode_pixels = _encode_8_bits if channels.dtype == np.uint8 else _encode_16_bits
    encoded = encode_pixels(channels, compression, quality or _QUALITY)
    directory = {tag: entry for tag, entry in ifd.read(encoded).items() if tag in _OF_ENCODER}
    offsets, sizes = (ifd.integers(directory.pop(tag)) for tag in (_STRIP_OFFSETS, _STRIP_SIZES))
    strips = [encoded[offset : offset + size] for offset, size in zip(offsets, sizes)]
    described = ifd.read(metadata.exif) if ifd.is_block(metadata.exif) else {}
    described = {tag: entry for tag, entry in described.items() if tag not in _OF_PIXELS}
    for tag, kind, content in (
        (_XMP, ifd.BYTE, metadata.xmp),
        (_IPTC, ifd.UNDEFINED, metadata.iptc),
        (_PHOTOSHOP, ifd.BYTE, metadata.photoshop),
        (_ICC, ifd.UNDEFINED, metadata.icc),
    ):
        if content:
            described[tag] = ifd.Entry(kind, len(content), content)
    if metadata.dpi and 282 not in described:
        described |= _resolution(metadata.dpi)
    if channels.ndim == 3 and channels.shape[2] in (2, 4):
        directory[_EXTRA_CHANNELS] = ifd.short(_ALPHA)  # OpenCV writes it not
    return ifd.write({**described, **directory}, strips)


def _refuse_raw(first):
    is_raw = _DNG_VERSION in first or (_is_reduced(first) and _SUB_DIRECTORIES in first)
    if is_raw:
        raise FormatError(_RAW)


def _refuse_numbers(first):
    kinds = set(_values(first, _SAMPLE_FORMAT)) - {_UNSIGNED, _VOID}
    if _FLOATING in kinds:
        raise FormatError("is stored as floating-point numbers; convert it to 16 bits a channel first")
    deepest = max(_values(first, _BITS), default=1)
    if deepest > 8 and _values(first, _PLANAR) == [_SEPARATE] and len(_values(first, _BITS)) > 1:
        raise FormatError("stores its 16-bit channels one after the other; convert it to interleaved ones")
    if deepest > 8 and _values(first, _PHOTOMETRIC)[:1] not in ([0], [1], [2]):  # gray, RGB
        raise FormatError("has 16 bits a channel in other colours than RGB; convert it to RGB first")
    if 8 < deepest < 16:
        raise FormatError(f"has {deepest} bits a channel; convert it to 16 first")
    if deepest > 16:
        raise FormatError("has more than 16 bits a channel; convert it to 16 first")
    if kinds:
        raise FormatError("is stored as signed numbers; convert it to unsigned ones first")


def is_inverted(data: bytes) -> bool:
    """Whether 0 is white."""
    return _values(ifd.read(data), _PHOTOMETRIC) == [0]


def has_alpha(data: bytes) -> bool:
    """Whether a channel behind the colours is alpha, as it is taken for where nothing is said of it."""
    return _values(ifd.read(data), _EXTRA_CHANNELS)[:1] != [_UNSPECIFIED]


def is_premultiplied(data: bytes) -> bool:
    """Whether the colours are multiplied with alpha."""
    return _values(ifd.read(data), _EXTRA_CHANNELS)[:1] == [_PREMULTIPLIED]


def is_deep(data: bytes) -> bool:
    """Whether the first picture has more than 8 bits a channel. Raises `ValueError` for BigTIFF."""
    return max(_values(ifd.read(data), _BITS), default=1) > 8


def _values(directory, tag):
    return ifd.integers(directory[tag]) if tag in directory else []


def _count_further_channels(directory):
    """Channels that are neither colour nor alpha."""
    photometric = sum(_values(directory, _PHOTOMETRIC)[:1])
    extra = sum(_values(directory, _CHANNELS)[:1]) - _OF_COLOURS.get(photometric, 1)
    has_alpha = _values(directory, _EXTRA_CHANNELS)[:1] != [_UNSPECIFIED]
    return max(extra - has_alpha, 0)


def _is_reduced(directory):
    return bool(sum(_values(directory, _SUBFILE_TYPE)) & _REDUCED)


def _encode_8_bits(channels, compression, quality):
    name = _NAMES[compression]
    if name == "jpeg" and channels.ndim == 3 and channels.shape[2] in (2, 4):
        name, compression = "tiff_adobe_deflate", _DEFLATE
    options = {"quality": quality} if name == "jpeg" else {}
    if compression in _PREDICTED:
        options["tiffinfo"] = {317: _HORIZONTAL}
    buffer = io.BytesIO()
    to_pil(channels).save(buffer, "TIFF", compression=name, **options)
    return buffer.getvalue()


def _encode_16_bits(channels, compression, quality):
    channels = to_opencv(channels)
    compression = _DEFLATE if compression == _OLD_DEFLATE else compression
    compression = compression if compression in _OF_OPENCV else _LZW
    done, encoded = cv2.imencode(".tiff", channels, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    if not done:
        raise FormatError("16 bits cannot be written")
    return encoded.tobytes()


def _resolution(dpi):
    rationals = [struct.pack("<II", round(value * 1000), 1000) for value in dpi]
    return {282: ifd.Entry(5, 1, rationals[0]), 283: ifd.Entry(5, 1, rationals[1]), 296: ifd.short(2)}


TIFF = Format(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    take_apart=take_apart,
    encode=encode,
    keeps=frozenset({"exif", "xmp", "icc", "photoshop", "iptc"}),
    deep=True,
)
