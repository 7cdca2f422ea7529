"""The pixels of a photograph with all that belongs to its file: what is read, restored and written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from srn.inference.formats.metadata import Metadata


class FormatError(ValueError):
    """A file that cannot be taken or made; the message continues "FILE: "."""


@dataclasses.dataclass(frozen=True)
class Coding:
    """Encoding of the pixels of a file; fields that the format does not have keep their defaults.

    Attributes:
      lossless: whether without loss; None where that cannot be told.
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
    """An image file taken apart.

    Attributes:
      metadata: as it came: the orientation not yet 1.
      pixels_only: the same file with little beside its pixels, so that nothing else can disturb a decoder.
      coding: of its pixels.
      notes: what will be missing in the restored file; each continues "FILE: ".
      pictures: how many there are in it that stand for themselves.
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
      spread: whether gray pixels were stored as three equal channels, and are to be again.
      format: the name of its format (`srn.inference.formats.FORMATS`).
      metadata, coding: see there.
      notes: what of the file is not in here; each continues "FILE: ".
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
    """An image format. A new one is one of these in `srn.inference.formats.FORMATS`.

    Attributes:
      name: Pillow's name of it.
      suffixes: the first one is given to new files.
      take_apart: bytes -> `Parts`.
      encode: (pixels as of `Photograph.channels`, metadata, coding, quality or None, whether metadata and
        coding come from this format) -> bytes.
      keeps: names of the attributes of `Metadata` that it has room for.
      deep: whether 16 bits can be written.
      alpha: whether transparency can be.
      max_side: in pixels.
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
    """[H, W] as it is; colours in the order of OpenCV; gray with alpha, which it has not, as colours."""
    if channels.ndim == 2:
        return channels
    if channels.shape[2] == 2:
        return np.ascontiguousarray(channels[..., [0, 0, 0, 1]])
    return cv2.cvtColor(channels, cv2.COLOR_RGB2BGR if channels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
