"""Self-ensemble: an image restored in all eight orientations, and the mean of the eight.

Known from super-resolution (Timofte et al., CVPR 2016; Lim et al., CVPRW 2017). It costs eight times as much.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ORIENTATIONS = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]


def restore_in_all_orientations(restore: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    """Turns and mirrors `image`, restores each version, turns the results back and takes their mean.

    Args:
      restore: [h, w, C] -> [h, w, C], floating point.
      image: [H, W, C], floating point.
    """
    total = np.zeros(image.shape, np.float64)
    for turns, mirrored in ORIENTATIONS:
        turned = np.rot90(image[:, ::-1] if mirrored else image, turns)
        restored = np.rot90(restore(np.ascontiguousarray(turned)), -turns)
        total += restored[:, ::-1] if mirrored else restored
    return (total / len(ORIENTATIONS)).astype(np.float32)
