"""The images that are scored: 8-bit RGB, as they are stored."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from srn.errors import WorkError
from srn.files import write_atomically


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an 8-bit image as uint8 RGB [H, W, 3]; grey becomes three equal channels, alpha is left out.

    The orientation in EXIF is ignored. The two images of a pair need not both carry it, and what counts is
    that their stored pixels lie on top of each other.

    Raises WorkError, naming the file, when it cannot be read or decoded or has more than 8 bits a channel.
    """
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise WorkError(f"{path}: cannot be read ({error.strerror}).") from error
    # Any depth, because without this flag OpenCV brings 16 bits down to 8 and says nothing.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(encoded, flags) if encoded.size else None
    if image is None:
        raise WorkError(f"{path}: cannot be decoded; is it an image, and complete?")
    if image.dtype != np.uint8:
        raise WorkError(f"{path}: is stored as {image.dtype}; scores are defined for 8-bit images.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def restored_path(out_dir: str | os.PathLike[str], name: str) -> Path:
    """Returns where the restored image of the pair `name` is written."""
    return Path(out_dir) / "restored" / f"{name}.png"


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes uint8 RGB [H, W, 3] as PNG. Raises OSError where that cannot be."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    write_atomically(path, encoded.tobytes())
