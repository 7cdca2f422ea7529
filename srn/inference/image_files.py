"""Reading and writing photographs with what they carry: orientation, EXIF, colour profile."""

from __future__ import annotations

import dataclasses
import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from srn.errors import WorkError
from srn.files import write_atomically
from srn.images import has_deep_channels

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_JPEG_QUALITY = 95
# Pillow's mode -> the mode that is restored.
_MODES = {
    "1": "L",
    "L": "L",
    "LA": "RGBA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "CMYK": "RGB",
}
_KEEP_PROFILE = ("L", "RGB", "RGBA", "P", "PA")


@dataclasses.dataclass(frozen=True)
class Photograph:
    """An image file.

    Attributes:
      pixels: uint8 [H, W], [H, W, 3] or [H, W, 4], upright.
      exif: bytes, orientation taken out, since the pixels are upright; empty if there are none.
      icc_profile: bytes, or None.
    """

    pixels: np.ndarray
    exif: bytes = b""
    icc_profile: bytes | None = None


def read_photograph(path) -> Photograph:
    """Reads an 8-bit image file and turns it upright.

    Raises `WorkError` naming the file if it cannot be read, or is of a kind that would lose something: more
    than 8 bits a channel, or several pictures.
    """
    try:
        with Image.open(path) as image:
            _check(path, image)
            colours = image.mode
            upright = ImageOps.exif_transpose(image)
            mode = _MODES[colours]
            if mode == "RGB" and "transparency" in upright.info:
                mode = "RGBA"
            exif = upright.getexif()
            return Photograph(
                pixels=np.asarray(upright.convert(mode)),
                exif=exif.tobytes() if len(exif) else b"",
                # A profile describes the colours of the file: it is wrong for others.
                icc_profile=image.info.get("icc_profile") if colours in _KEEP_PROFILE else None,
            )
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise WorkError(f"{path}: cannot be read as an image ({error})") from error


def _check(path, image):
    if image.mode not in _MODES or has_deep_channels(image):
        raise WorkError(
            f"{path}: {image.mode} with more than 8 bits a channel; convert it to 8-bit RGB first"
        )
    # An MPO is a JPEG with a second view for depth beside it.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise WorkError(f"{path}: holds {image.n_frames} pictures; give one file for each")


def write_photograph(path, photograph: Photograph) -> None:
    """Writes `photograph` in the format that the suffix of `path` names, whole or not at all.

    Raises `WorkError` naming the file if the format is not known or the file cannot be written.
    """
    path = Path(path)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise WorkError(f"{path}: no image format has the suffix {path.suffix!r}")
    image = Image.fromarray(photograph.pixels)
    options = {"quality": _JPEG_QUALITY, "subsampling": "4:4:4"} if kind == "JPEG" else {}
    if kind == "JPEG" and image.mode == "RGBA":
        image = image.convert("RGB")
    if photograph.exif:
        options["exif"] = photograph.exif
    encoded = io.BytesIO()
    try:
        image.save(encoded, kind, icc_profile=photograph.icc_profile, **options)
        write_atomically(path, encoded.getvalue())
    except (OSError, ValueError) as error:
        raise WorkError(f"{path}: cannot be written ({error})") from error
