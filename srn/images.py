"""The one door for image files: which files are images, their size, their pixels, and pixels as files.

All that is trained on or scored is read here, in a graph by `decode_in_graph`, elsewhere by `read_rgb`; both
give the same pixels of the same file, since both use libjpeg-turbo's accurate transform. Pixels are taken
as they are stored: the two images of a pair need not both carry an orientation in EXIF, and what counts is
that they lie on top of each other. Only where a photograph stands for itself is it turned (`upright=True`).
Restored photographs keep all that a file carries beside its pixels; that is `srn.inference.reading`.

Outside of this module images are RGB arrays [H, W, 3]: uint8 as stored, or float32 in [0, 1].
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from srn.errors import InputError, WorkError, first_line
from srn.files import write_atomically

if TYPE_CHECKING:
    import tensorflow as tf

SUFFIXES = (".png", ".jpg", ".jpeg")  # of data sets
# The last bytes of a whole file, found near its end; what comes after them is tolerated by all decoders.
_END_MARKS = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}
_MAGIC = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG"}
_TAIL = 4096
_IN_INKS = "is stored in colours of print (CMYK); convert it to RGB"
_ENDS_EARLY = "the file ends too early; copy it anew"
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # of JPEG: all SOFn
_QUARTER_TURNS = (5, 6, 7, 8)  # values of EXIF's orientation that exchange width and height


def is_image(path: str | os.PathLike[str], suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Whether a file is an image by its name; hidden files are not."""
    path = Path(path)
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def size_of(path: str | os.PathLike[str], upright: bool = False, deep: bool = False) -> tuple[int, int]:
    """(width, height) of an image file, from its header; `upright` and `deep` as of `read_rgb`.

    Raises `InputError` naming the file if it is no PNG or JPEG, is in colours of print (CMYK), has more
    than 8 bits, or has no end.
    """
    try:
        with Image.open(path) as image:
            size, kind, is_deep = image.size, image.format, has_deep_channels(image)
            in_inks = image.mode == "CMYK"
            is_turned = upright and image.getexif().get(ExifTags.Base.Orientation, 1) in _QUARTER_TURNS
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image") from None
    except Exception as error:  # damaged files bring Pillow to errors of every kind
        raise InputError(f"{path}: cannot be read as an image ({first_line(error)})") from error
    if kind not in _END_MARKS:
        raise InputError(f"{path}: is {kind} inside, not PNG or JPEG; convert it")
    if is_deep and not deep:
        raise InputError(f"{path}: has more than 8 bits a channel; convert it to 8 bits")
    if in_inks:
        raise InputError(f"{path}: {_IN_INKS}")
    if _END_MARKS[kind] not in _tail(path):
        raise InputError(f"{path}: {_ENDS_EARLY}")
    return size[::-1] if is_turned else size


def has_deep_channels(image: ImageFile.ImageFile) -> bool:
    """Whether an image just opened by Pillow, not yet loaded, has more than 8 bits a channel in its file.

    Pillow opens 16-bit colour as mode RGB; only how the file's pixels are stored tells.
    """
    stored_as = str([tile[3] for tile in image.tile]).replace("BGR;16", "")  # 5, 6 and 5 bits in 16
    return image.mode.startswith(("I", "F")) or ";16" in stored_as or ";32" in stored_as


def read_picture(path: str | os.PathLike[str]) -> np.ndarray:
    """`read_rgb` to be looked at: uint8, the upper half of 16 bits."""
    image = read_rgb(path, deep=True)
    return image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)


def kind_of(path: str | os.PathLike[str]) -> tuple[int, bool]:
    """(bits of a channel: 8, or 16 for more; whether it is gray) of an image file, from its header."""
    try:
        with Image.open(path) as image:
            return 16 if has_deep_channels(image) else 8, image.mode[0] in "1LIF"
    except Exception as error:  # damaged files bring Pillow to errors of every kind
        raise InputError(f"{path}: cannot be read as an image ({first_line(error)})") from error


def require_whole(path: str | os.PathLike[str]) -> None:
    """Decodes an image to its end: stricter than `read_rgb`, which does not notice damage inside a JPEG.

    Raises `InputError` naming the file that cannot be decoded whole.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:  # as above
        raise InputError(f"{path}: cannot be decoded ({first_line(error)})") from error


def read_rgb(path: str | os.PathLike[str], upright: bool = False, deep: bool = False) -> np.ndarray:
    """Reads an 8-bit image as uint8 RGB [H, W, 3]; gray becomes three equal channels, alpha is left out.

    Args:
      path: of the file.
      upright: whether the image is turned as its EXIF says; see the module.
      deep: whether an image of 16 bits is read as it is, uint16.

    Raises `WorkError`, naming the file, when it cannot be read or decoded, is in colours of print (CMYK),
    or has more than 8 bits a channel.
    """
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise WorkError(f"{path}: cannot be read ({error.strerror})") from error
    if _is_cut_off(encoded):  # OpenCV would fill what is missing with gray
        raise WorkError(f"{path}: {_ENDS_EARLY}")
    if _count_jpeg_components(encoded) == 4:  # each decoder has inks of its own
        raise WorkError(f"{path}: {_IN_INKS}")
    # Any depth, because without this flag OpenCV brings 16 bits down to 8 and says nothing.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    image = cv2.imdecode(encoded, flags) if encoded.size else None
    if image is None:
        raise WorkError(f"{path}: cannot be decoded; is it an image, and complete?")
    if image.dtype != np.uint8 and not (deep and image.dtype == np.uint16):
        raise WorkError(f"{path}: is stored as {image.dtype}; images of 8 bits are needed")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_in_graph(file: tf.Tensor | str) -> tf.Tensor:
    """Reads an image file inside a graph: scalar string tensor -> uint8 [H, W, 3], as `read_rgb` does."""
    import tensorflow as tf  # files can be listed and scored without waiting for it

    encoded = tf.io.read_file(file)
    # The default transform for JPEG is faster, and up to 16 grey levels off.
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(encoded, channels=3),
    )
    return tf.ensure_shape(image, [None, None, 3])


def encode_png(image: np.ndarray, compression: int | None = None) -> bytes:
    """Encodes [H, W], [H, W, 3] (RGB) or [H, W, 4] (RGBA), uint8 or uint16, as PNG.

    Args:
      image: see above.
      compression: 0 (none, fast) to 9; None: OpenCV's own.
    """
    swaps = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    if image.ndim == 3 and image.shape[2] in swaps:
        image = cv2.cvtColor(image, swaps[image.shape[2]])
    options = [] if compression is None else [cv2.IMWRITE_PNG_COMPRESSION, compression]
    return cv2.imencode(".png", image, options)[1].tobytes()


def decode_png(encoded: bytes) -> np.ndarray | None:
    """The inverse of `encode_png`; None for what is no PNG, or no whole one."""
    data = np.frombuffer(encoded, np.uint8)
    if not encoded.startswith(b"\x89PNG") or _is_cut_off(data):
        return None
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    swaps = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    if image is not None and image.ndim == 3:
        image = cv2.cvtColor(image, swaps[image.shape[2]])
    return image


def write_png(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes an image (see `encode_png`) whole or not at all. Raises OSError where that cannot be."""
    write_atomically(path, encode_png(image))


def to_unit_range(image: np.ndarray) -> np.ndarray:
    """uint8, uint16 or floating point -> float32 in [0, 1]."""
    if np.issubdtype(image.dtype, np.floating):
        return image.astype(np.float32)
    return image.astype(np.float32) / np.iinfo(image.dtype).max


def from_unit_range(image: np.ndarray, dtype: npt.DTypeLike, truncate: bool = False) -> np.ndarray:
    """float32 in [0, 1] -> `dtype`; whole numbers are rounded, or cut off if `truncate`."""
    if np.issubdtype(dtype, np.floating):
        return image.astype(dtype)
    values = image.astype(np.float64) * np.iinfo(dtype).max
    return (np.floor(values) if truncate else np.rint(values)).astype(dtype)


def _is_cut_off(encoded: np.ndarray) -> bool:
    kinds = [kind for magic, kind in _MAGIC.items() if encoded[:4].tobytes().startswith(magic)]
    return bool(kinds) and _END_MARKS[kinds[0]] not in encoded[-_TAIL:].tobytes()


def _count_jpeg_components(encoded: np.ndarray) -> int:
    """The number of channels by the frame header of a JPEG; 0 for what is none."""
    data = encoded.tobytes() if encoded[:2].tobytes() == b"\xff\xd8" else b""
    start = 2
    while start + 10 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if marker in _FRAME_HEADERS:
            return data[start + 9]
        start += 1 if marker == 0xFF else 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return 0


def _tail(path) -> bytes:
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - _TAIL, 0))
        return file.read()
