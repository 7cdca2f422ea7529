"""Reading and writing of image files for training and evaluation.

Images are read in graphs by `decode_in_graph` and otherwise by `read_rgb`; both return the same pixels, since
both use the accurate transform of libjpeg-turbo. The orientation in EXIF is ignored by default, since often
only one image of a pair has one, and the two must be aligned; single photographs are read with
`upright=True`. `srn.inference.reading` reads photographs with their metadata.

Outside of this module, images are RGB arrays [H, W, 3]: uint8 as stored, or float32 in [0, 1].
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
# End markers, which must be near the end of a file; decoders ignore bytes after them.
_END_MARKS = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}
_MAGIC = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG"}
_TAIL = 4096
_IN_INKS = "is stored as CMYK; convert it to RGB"
_ENDS_EARLY = "the file is truncated; copy it again"
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # of JPEG: all SOFn
_QUARTER_TURNS = (5, 6, 7, 8)  # values of the EXIF orientation that swap width and height


def is_image(path: str | os.PathLike[str], suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Whether a file has the name of an image and is not hidden."""
    path = Path(path)
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def size_of(path: str | os.PathLike[str], upright: bool = False, deep: bool = False) -> tuple[int, int]:
    """(width, height) of an image file, from its header; `upright` and `deep` as in `read_rgb`.

    Raises `InputError` naming the file if it is not a PNG or JPEG, is CMYK, has more than 8 bits, or is
    truncated.
    """
    try:
        with Image.open(path) as image:
            size, kind, is_deep = image.size, image.format, has_deep_channels(image)
            in_inks = image.mode == "CMYK"
            is_turned = upright and image.getexif().get(ExifTags.Base.Orientation, 1) in _QUARTER_TURNS
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image") from None
    except Exception as error:  # damaged files cause errors of all kinds in Pillow
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

    Pillow opens 16-bit colour as mode RGB; only the raw mode of the file tells.
    """
    stored_as = str([tile[3] for tile in image.tile]).replace("BGR;16", "")  # 5, 6 and 5 bits in 16
    return image.mode.startswith(("I", "F")) or ";16" in stored_as or ";32" in stored_as


def read_picture(path: str | os.PathLike[str]) -> np.ndarray:
    """Like `read_rgb`, but converts 16 bits to uint8, for display."""
    image = read_rgb(path, deep=True)
    return image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)


def kind_of(path: str | os.PathLike[str]) -> tuple[int, bool]:
    """(bits per channel: 8, or 16 for more; whether it is gray) of an image file, from its header."""
    try:
        with Image.open(path) as image:
            return 16 if has_deep_channels(image) else 8, image.mode[0] in "1LIF"
    except Exception as error:  # damaged files cause errors of all kinds in Pillow
        raise InputError(f"{path}: cannot be read as an image ({first_line(error)})") from error


def require_whole(path: str | os.PathLike[str]) -> None:
    """Checks that an image can be decoded completely; `read_rgb` does not detect damage within a JPEG.

    Raises `InputError` naming the file otherwise.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:  # as above
        raise InputError(f"{path}: cannot be decoded ({first_line(error)})") from error


def read_rgb(path: str | os.PathLike[str], upright: bool = False, deep: bool = False) -> np.ndarray:
    """Reads an 8-bit image as uint8 RGB [H, W, 3]; gray becomes three equal channels, alpha is dropped.

    Args:
      path: of the file.
      upright: whether to apply the orientation in EXIF.
      deep: whether to read 16-bit images as uint16.

    Raises `WorkError` naming the file if it cannot be read or decoded, is CMYK, or has more than 8 bits per
    channel.
    """
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise WorkError(f"{path}: cannot be read ({error.strerror})") from error
    if _is_cut_off(encoded):  # OpenCV would fill missing pixels with gray
        raise WorkError(f"{path}: {_ENDS_EARLY}")
    if _count_jpeg_components(encoded) == 4:  # decoders convert CMYK differently
        raise WorkError(f"{path}: {_IN_INKS}")
    # Without ANYDEPTH, OpenCV silently reduces 16 bits to 8.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    image = cv2.imdecode(encoded, flags) if encoded.size else None
    if image is None:
        raise WorkError(f"{path}: cannot be decoded; is it an image, and complete?")
    if image.dtype != np.uint8 and not (deep and image.dtype == np.uint16):
        raise WorkError(f"{path}: is stored as {image.dtype}; images of 8 bits are needed")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_in_graph(file: tf.Tensor | str) -> tf.Tensor:
    """Reads an image file inside a graph: scalar string tensor -> uint8 [H, W, 3], as `read_rgb` does."""
    import tensorflow as tf  # imported here: listing and scoring files does not need it

    encoded = tf.io.read_file(file)
    # The default transform for JPEG is faster, but differs by up to 16 grey levels.
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
      compression: 0 (none, fast) to 9; None: OpenCV's default.
    """
    swaps = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    if image.ndim == 3 and image.shape[2] in swaps:
        image = cv2.cvtColor(image, swaps[image.shape[2]])
    options = [] if compression is None else [cv2.IMWRITE_PNG_COMPRESSION, compression]
    return cv2.imencode(".png", image, options)[1].tobytes()


def decode_png(encoded: bytes) -> np.ndarray | None:
    """The inverse of `encode_png`; None for data that is not a complete PNG."""
    data = np.frombuffer(encoded, np.uint8)
    if not encoded.startswith(b"\x89PNG") or _is_cut_off(data):
        return None
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    swaps = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    if image is not None and image.ndim == 3:
        image = cv2.cvtColor(image, swaps[image.shape[2]])
    return image


def write_png(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes an image (see `encode_png`) atomically. Raises OSError if it cannot be written."""
    write_atomically(path, encode_png(image))


def to_unit_range(image: np.ndarray) -> np.ndarray:
    """uint8, uint16 or floating point -> float32 in [0, 1]."""
    if np.issubdtype(image.dtype, np.floating):
        return image.astype(np.float32)
    return image.astype(np.float32) / np.iinfo(image.dtype).max


def from_unit_range(image: np.ndarray, dtype: npt.DTypeLike, truncate: bool = False) -> np.ndarray:
    """float32 in [0, 1] -> `dtype`; for integers, values are rounded, or truncated if `truncate`."""
    if np.issubdtype(dtype, np.floating):
        return image.astype(dtype)
    values = image.astype(np.float64) * np.iinfo(dtype).max
    return (np.floor(values) if truncate else np.rint(values)).astype(dtype)


def _is_cut_off(encoded: np.ndarray) -> bool:
    kinds = [kind for magic, kind in _MAGIC.items() if encoded[:4].tobytes().startswith(magic)]
    return bool(kinds) and _END_MARKS[kinds[0]] not in encoded[-_TAIL:].tobytes()


def _count_jpeg_components(encoded: np.ndarray) -> int:
    """The number of channels in the frame header of a JPEG; 0 if it is not a JPEG."""
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
