"""`Photograph`: pixels, metadata and encoding of a file. `Format`: how files are parsed and written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from srn.inference.formats.metadata import Metadata


class FormatError(ValueError):
    """A file that cannot be parsed or written; the message is printed after "FILE: "."""


@dataclasses.dataclass(frozen=True)
class Coding:
    """Encoding of the pixels of a file; fields that the format does not have keep their defaults.

    Attributes:
      lossless: whether the encoding is lossless; None if it is unknown.
      quantization: the tables of a JPEG, in the order of its components.
      progressive: of a JPEG.
      compression: of a TIFF file, its number.
    """

    lossless: bool | None = None
    quantization: tuple[tuple[int, ...], ...] = ()
    progressive: bool = False
    compression: int = 0


@dataclasses.dataclass(frozen=True)
class Parts:
    """A parsed image file.

    Attributes:
      metadata: of the file, with its original orientation.
      pixels_only: the file without metadata, so that damaged metadata does not affect the decoder.
      coding: of its pixels.
      notes: what is lost in the restored file, to be printed after "FILE: ".
      pictures: number of independent images in the file.
    """

    metadata: Metadata
    pixels_only: bytes
    coding: Coding = dataclasses.field(default_factory=Coding)
    notes: tuple[str, ...] = ()
    pictures: int = 1


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A photograph, upright.

    Attributes:
      pixels: uint8 or uint16, [H, W] or [H, W, 3].
      alpha: [H, W] of the same type, or None.
      spread: whether gray pixels were stored as three equal channels, and will be stored so again.
      format: the name of its format (`srn.inference.formats.FORMATS`).
      metadata, coding: see there.
      notes: what of the file is lost, to be printed after "FILE: ".
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    spread: bool = False
    format: str = "PNG"
    metadata: Metadata = dataclasses.field(default_factory=Metadata)
    coding: Coding = dataclasses.field(default_factory=Coding)
    notes: tuple[str, ...] = ()

    def channels(self) -> np.ndarray:
        """The pixels as a file stores them: [H, W], or [H, W, 2] (gray, alpha), 3 or 4 channels."""
        pixels = self.pixels
        if self.spread and pixels.ndim == 2:
            pixels = np.repeat(pixels[..., np.newaxis], 3, axis=-1)
        return pixels if self.alpha is None else np.dstack([pixels, self.alpha])


@dataclasses.dataclass(frozen=True)
class Format:
    """An image format; see `srn.inference.formats.FORMATS`.

    Attributes:
      name: that of Pillow.
      suffixes: of file names; the first one is used for new files.
      take_apart: bytes -> `Parts`.
      encode: (pixels as of `Photograph.channels`, metadata, coding, quality or None, whether metadata and
        coding come from this format) -> bytes.
      keeps: names of the attributes of `Metadata` that it can hold.
      deep: whether 16 bits can be written.
      alpha: whether alpha can be written.
      max_side: maximum width and height, in pixels.
    """

    name: str
    suffixes: tuple[str, ...]
    take_apart: Callable[[bytes], Parts]
    encode: Callable[..., bytes]
    keeps: frozenset[str] = frozenset()
    deep: bool = False
    alpha: bool = True
    max_side: int = 2**31


def to_pil(channels: np.ndarray) -> Image.Image:
    """uint8 [H, W], [H, W, 2], [H, W, 3] or [H, W, 4] -> L, LA, RGB or RGBA."""
    return Image.fromarray(np.ascontiguousarray(channels))


def to_opencv(channels: np.ndarray) -> np.ndarray:
    """Converts RGB to the order of OpenCV, and gray with alpha, which it does not support, to colour."""
    if channels.ndim == 2:
        return channels
    if channels.shape[2] == 2:
        return np.ascontiguousarray(channels[..., [0, 0, 0, 1]])
    return cv2.cvtColor(channels, cv2.COLOR_RGB2BGR if channels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
