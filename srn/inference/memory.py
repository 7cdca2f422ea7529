"""Size of tiles by the free memory and the memory that the network needs per pixel."""

from __future__ import annotations

import math

from srn.config import ModelConfig
from srn.inference.machine import free_memory
from srn.inference.tiling import fit_tile

# Peak memory per pixel in bytes, with 32 channels at the finest scale: measured 730 to 780 in float32
# and 390 in bfloat16, at 480x480 to 1280x1440 (docs/photographs.md).
BYTES_PER_PIXEL = {"float32": 900, "bfloat16": 450}
_WIDTH = 32
_USED = 0.5  # of the free memory; the rest is for images and other programs
_LARGEST = 2048  # in pixels: larger tiles are not faster, and show no progress
_SMALLEST = 256


def choose_tile(height: int, width: int, config: ModelConfig, compute_dtype: str) -> int | None:
    """The tile size for an image of this size; None if it can be restored whole.

    Args:
      height, width: in pixels.
      config: of the network.
      compute_dtype: of its convolutions.
    """
    free = free_memory()
    planes = 1 if config.channels == 3 else 3
    cost = BYTES_PER_PIXEL[compute_dtype] * planes * config.width / _WIDTH
    affordable = math.inf if free is None else free * _USED / cost
    if height * width <= min(affordable, _LARGEST**2):
        return None
    side = int(math.sqrt(min(affordable, _LARGEST**2)))
    return max(fit_tile(side), _SMALLEST)
