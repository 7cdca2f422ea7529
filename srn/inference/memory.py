"""Size of tiles by the free memory and the memory that the network needs per pixel."""

from __future__ import annotations

import math

from srn.config import ModelConfig
from srn.inference.machine import free_memory
from srn.inference.tiling import fit_tile

# Bytes that one pixel takes at the peak, with 32 channels at the finest scale: measured 730 to 780 in float32
# and 390 in bfloat16, at 480x480 to 1280x1440 (docs/photographs.md).
BYTES_PER_PIXEL = {"float32": 900, "bfloat16": 450}
_WIDTH = 32
_USED = 0.5  # of the free memory: the rest is for the pixels themselves, and for other programs
_LARGEST = 2048  # side in pixels: more is no faster, and no progress is seen
_SMALLEST = 256


def choose_tile(height: int, width: int, config: ModelConfig, compute_dtype: str) -> int | None:
    """The tile for an image of this size, None where it may be restored whole.

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
