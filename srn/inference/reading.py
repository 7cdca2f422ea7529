"""Reading of photographs: upright pixels with all metadata.

A file is first parsed by the module of its format (`srn.inference.formats`). The decoder gets the file
without metadata, so that damaged metadata does not affect it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from srn.errors import WorkError, first_line
from srn.images import has_deep_channels
from srn.inference.formats import FORMATS, RAW_SUFFIXES, png, tiff
from srn.inference.formats.ifd import is_block, set_upright
from srn.inference.formats.image import FormatError, Parts, Photograph
from srn.inference.formats.metadata import Metadata, set_xmp_upright
from srn.inference.formats.others import (
    jp2_depth,
    read_deep_pnm,
    register_heif,
    take_apart_by_pillow,
)

DEFAULT_MAX_MEGAPIXELS = 400
_RAW = "is a raw file; develop it to TIFF or JPEG first"
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    *((b"P%d" % number, "PPM") for number in range(1, 7)),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_RAW_MAGIC = (b"FUJIFILM", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
# What people may take for photographs, and no decoder here reads.
_UNKNOWN_MAGIC = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"II\xbc", "JPEG XR"),
    (b"\xff\xd8\xff\xf7", "JPEG-LS"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?R", "Radiance HDR"),
    (b"PF", "PFM"),
    (b"Pf", "PFM"),
    (b"P7", "PAM"),
    (b"%PDF", "PDF"),
    (b"<", "text (SVG, HTML or the like)"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def read_photograph(path: str | Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Photograph:
    """Reads a photograph and turns it upright.

    Args:
      path: of a file that Pillow can read, or OpenCV with 16 bits per channel.
      max_megapixels: larger photographs are refused by their header, before they are decoded.

    Raises `WorkError` naming the file if it cannot be read, or is not supported: raw files, several images,
    more than 16 bits.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise WorkError(f"{path}: is no regular file; a pipe is read from standard input, as -")
        if Path(path).suffix.lower() in RAW_SUFFIXES:
            raise WorkError(f"{path}: {_RAW}")
        data = Path(path).read_bytes()
    except OSError as error:
        raise WorkError(f"{path}: cannot be read ({error.strerror or error})") from error
    return decode_photograph(data, str(path), max_megapixels)


def decode_photograph(data: bytes, name: str, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Photograph:
    """`read_photograph` for the content of a file; `name` is used in errors."""
    try:
        with _without_limit_of_pillow():
            return _decode(data, max_megapixels)
    except FormatError as error:
        raise WorkError(f"{name}: {error}") from error
    except MemoryError as error:
        raise WorkError(f"{name}: does not fit into memory") from error
    except Exception as error:  # decoders raise all kinds of errors for damaged files
        raise WorkError(f"{name}: cannot be read as an image ({_reason(error, data)})") from error


def _reason(error: Exception, data: bytes) -> str:
    """The reason of a decoder's error, also if its own message is not helpful."""
    if not data:
        return "it is empty"
    if str(error).startswith("decoder error"):
        return "its pixels are damaged, truncated, or compressed by an unsupported method"
    if not isinstance(error, UnidentifiedImageError):
        return first_line(error)
    for magic, name in _UNKNOWN_MAGIC:
        if data.startswith(magic):
            return f"it is {name}, which is not supported; convert it to PNG or JPEG"
    kind = _kind_of(data)
    if kind is None:
        return "its format is not known"
    return f"it begins like {kind}, but is damaged or of an unsupported kind"


def count_pixels(path: str | Path) -> int:
    """Height times width by the header of a file; 0 if Pillow cannot read it."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return 0
        with _without_limit_of_pillow(), Image.open(path) as image:
            return image.width * image.height
    except Exception:  # reported by `read_photograph`
        return 0


def _decode(data: bytes, max_megapixels: float) -> Photograph:
    kind = _kind_of(data)
    parts = _take_apart(data, kind)
    if parts.pictures > 1:
        raise FormatError(f"holds {parts.pictures} pictures; give one file for each")
    size, kind = _size_and_kind(parts.pixels_only, kind)
    if size[0] * size[1] > max_megapixels * 1e6:
        raise FormatError(
            f"has {size[0] * size[1] / 1e6:.3g} megapixels; --max_megapixels={max_megapixels:g} is the limit"
        )
    pixels, alpha, stored_as_colour, notes, metadata = _pixels(parts, kind)
    # In lossy WebP, the channels of gray images differ due to rounding in the colour conversion.
    tolerance = 1 if kind == "WEBP" and not parts.coding.lossless else 0
    is_gray = pixels.ndim == 3 and _is_gray(pixels, tolerance)
    return Photograph(
        pixels=_turn(pixels[..., 1] if is_gray else pixels, metadata.orientation),
        alpha=None if alpha is None else _turn(alpha, metadata.orientation),
        spread=is_gray and stored_as_colour,
        format=kind,
        metadata=dataclasses.replace(
            metadata, exif=set_upright(metadata.exif), xmp=set_xmp_upright(metadata.xmp)
        ),
        coding=parts.coding,
        notes=(*parts.notes, *notes),
    )


def _kind_of(data: bytes) -> str | None:
    """The name of the format by the first bytes; None for formats that are left to Pillow."""
    if any(data.startswith(magic) for magic in _RAW_MAGIC) or data[4:12] == b"ftypcrx ":
        raise FormatError(_RAW)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        if any(brand in brands for brand in _HEIF_BRANDS):
            return "HEIF"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)


def _take_apart(data: bytes, kind: str | None) -> Parts:
    take_apart = FORMATS[kind].take_apart if kind in FORMATS else take_apart_by_pillow
    try:
        return take_apart(data)
    except FormatError:
        raise
    except Exception:  # damaged or not supported here; the decoder may still succeed
        return Parts(Metadata(), data, notes=("its metadata cannot be read",))


def _size_and_kind(data, kind):
    if kind == "HEIF":
        register_heif()
    with Image.open(io.BytesIO(data)) as image:
        return image.size, kind or image.format


def _pixels(parts: Parts, kind: str) -> tuple:
    """(pixels, alpha or None, whether gray is stored as colour, notes, metadata)."""
    data, metadata = parts.pixels_only, parts.metadata
    if kind == "PPM":
        deep = read_deep_pnm(data)
        if deep is not None:
            return deep, None, deep.ndim == 3, (), metadata
    with Image.open(io.BytesIO(data)) as image:
        if _is_deep(image, data, kind):
            return (*_deep_pixels(image, data, kind), (), metadata)
        image.load()
        if image.mode in ("CMYK", "LAB"):
            converted, note, icc = _to_srgb(image, metadata.icc)
            metadata = dataclasses.replace(metadata, icc=icc)
            return np.asarray(converted), None, True, (note,), metadata
        return (*_pillow_pixels(image), (), metadata)


def _is_deep(image, data, kind):
    if kind == "PNG":
        return png.is_deep(data)
    if kind == "TIFF" and is_block(data):
        return tiff.is_deep(data)
    if kind == "JPEG2000":
        return jp2_depth(data) > 8
    # Pillow gives 8 of the 16 bits of an SGI file.
    return has_deep_channels(image) or any(tile[0] == "SGI16" for tile in image.tile)


def _deep_pixels(image, data, kind):
    """uint16 pixels of a file with more than 8 bits per channel, by OpenCV; Pillow only has gray ones."""
    key = None
    if kind == "PNG":
        key = png.transparent_value(data)
        data = png.without_transparency(data)
        stored_as_colour = data[25] in (2, 6)
    elif kind in ("TIFF", "JPEG2000"):
        stored_as_colour = image.mode not in ("I;16", "I;16B", "I;16L", "I", "L", "LA")
    else:
        raise FormatError(f"is {kind} with more than 8 bits a channel; convert it to PNG or TIFF first")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise FormatError("cannot be decoded; is it complete?")
    if decoded.dtype != np.uint16:
        raise FormatError(f"is stored as {decoded.dtype} numbers; convert it to 16 bits a channel first")
    if kind == "TIFF" and is_block(data) and tiff.is_inverted(data):
        decoded = 65535 - decoded
    if kind == "JPEG2000" and jp2_depth(data) < 16:
        highest = (1 << jp2_depth(data)) - 1
        decoded = np.rint(decoded * (65535 / highest)).astype(np.uint16)
    if decoded.ndim == 3:
        swaps = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
        decoded = cv2.cvtColor(decoded, swaps[decoded.shape[2]])
    alpha = None
    if decoded.ndim == 3 and decoded.shape[2] == 4:
        decoded, alpha = decoded[..., :3], decoded[..., 3]
        if kind == "TIFF" and is_block(data):
            if tiff.is_premultiplied(data):
                decoded = _divide_by_alpha(decoded, alpha)
            alpha = alpha if tiff.has_alpha(data) else None
    if key is not None:
        matches = decoded == key if decoded.ndim == 3 else (decoded == key[0])[..., np.newaxis]
        alpha = np.where(matches.all(axis=-1), 0, 65535).astype(np.uint16)
    return decoded, alpha, stored_as_colour


def _divide_by_alpha(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """uint16 colours that are multiplied with alpha -> as they are without it."""
    divided = np.zeros_like(pixels)
    for row in range(len(pixels)):  # by rows, since wider numbers take more memory
        opacity = np.maximum(alpha[row], 1)[:, np.newaxis].astype(np.float64)
        divided[row] = np.rint(np.minimum(pixels[row] * (65535 / opacity), 65535))
    return divided


def _pillow_pixels(image: Image.Image) -> tuple:
    """uint8 pixels and alpha of a decoded image, and whether gray is stored as colour."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise FormatError(f"is stored with numbers of kind {image.mode}; convert it to 16 bits first")
    transparent = "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    gray = image.mode in ("1", "L", "LA", "La")
    if gray:
        image = image.convert("L") if image.mode == "1" and not transparent else image
        target = "LA" if transparent else "L"
    else:
        target = "RGBA" if transparent else "RGB"
    if image.mode == "La":  # premultiplied alpha can only be converted to RGBA by way of RGBa
        image = Image.merge("RGBa", [image.getchannel(0)] * 3 + [image.getchannel(1)]).convert("RGBA")
        channels = np.asarray(image)
        return channels[..., 0], channels[..., 3], False
    # Pillow copies where there is nothing to convert.
    same = image.mode == target
    channels = np.asarray(image if same else image.convert(target))
    stored_as_colour = image.mode not in ("P", "PA")
    if not transparent:
        return channels, None, stored_as_colour
    pixels = channels[..., 0] if gray else channels[..., :3]
    return pixels, channels[..., -1], stored_as_colour


def _to_srgb(image: Image.Image, icc: bytes) -> tuple[Image.Image, str, bytes]:
    """(RGB image, note, profile) of an image in CMYK or LAB."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif icc:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        else:
            return image.convert("RGB"), "CMYK without a profile: its colours in RGB are a guess", b""
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        assert converted is not None  # None is of in-place conversions
        return converted, f"{image.mode} becomes sRGB, through its profile", srgb.tobytes()
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB"), "its CMYK profile is damaged: its colours in RGB are a guess", b""


def _is_gray(pixels: np.ndarray, tolerance: int) -> bool:
    sample = pixels[::31, ::31]  # decides most cases without comparing all pixels
    for each in (sample, pixels):
        red, green, blue = np.moveaxis(each, -1, 0)
        for other in (red, blue):
            same = np.array_equal(green, other)
            if not same and not (tolerance and np.abs(np.int32(green) - other).max() <= tolerance):
                return False
    return True


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Applies an EXIF orientation, 1 to 8, to stored pixels."""
    turns = {
        2: lambda stored: stored[:, ::-1],
        3: lambda stored: stored[::-1, ::-1],
        4: lambda stored: stored[::-1],
        5: lambda stored: stored.swapaxes(0, 1),
        6: lambda stored: np.rot90(stored, -1),
        7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
        8: lambda stored: np.rot90(stored, 1),
    }
    turned = turns[orientation](pixels) if orientation in turns else pixels
    return np.ascontiguousarray(turned)


_limit_lock = threading.Lock()
_limit_users = 0
_limit_before: int | None = None


@contextlib.contextmanager
def _without_limit_of_pillow() -> Iterator[None]:
    """Disables Pillow's global limit of 179 megapixels; each call has its own limit here."""
    global _limit_users, _limit_before
    with _limit_lock:
        if _limit_users == 0:
            _limit_before = Image.MAX_IMAGE_PIXELS
            Image.MAX_IMAGE_PIXELS = None
        _limit_users += 1
    try:
        yield
    finally:
        with _limit_lock:
            _limit_users -= 1
            if _limit_users == 0:
                Image.MAX_IMAGE_PIXELS = _limit_before
