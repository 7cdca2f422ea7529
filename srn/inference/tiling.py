"""Tiling, which limits memory, and self-ensembles over all orientations.

Both accept any function `restore` of images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

Restore = Callable[[np.ndarray], np.ndarray]

GRID = 16  # tiles are aligned with the pixels of the coarser scales of the whole image
SMALLEST_TILE = 64
# Pixels of context around a tile; measured by `benchmarks/seams.py`.
CONTEXT = 112
FADE = 32  # width of the blending between tiles, in pixels; within the context of both

ORIENTATIONS = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]


class Span(NamedTuple):
    """The extent of one tile along one axis.

    Attributes:
      begin, end: range of input pixels.
      first, last: range of output pixels, without `last`.
      weight: [last - first] float32; the weights of all tiles sum to 1 at every pixel.
    """

    begin: int
    end: int
    first: int
    last: int
    weight: np.ndarray


def count_tiles(height: int, width: int, tile: int | None) -> int:
    """Number of tiles in `restore_tiled` for an image of this size; 1 if `tile` is None."""
    if tile is None:
        return 1
    return len(split(height, tile)) * len(split(width, tile))


def restore_tiled(
    restore: Restore, image: np.ndarray, tile: int, on_tile: Callable[[], object] | None = None
) -> Iterator[np.ndarray]:
    """Restores overlapping square tiles and blends them; yields rows of the result when they are complete.

    Each tile is restored with `CONTEXT` pixels around it. Neighbouring tiles are blended over `FADE` pixels
    in the middle of their overlap.

    Args:
      restore: [h, w, C] -> [h, w, D] float32.
      image: [H, W, C] of any type; a tile is a view of it.
      tile: side in pixels, at least `SMALLEST_TILE`; rounded down to a multiple of 16.
      on_tile: called after each tile.

    Yields:
      [h, W, D] float32: bands of rows from top to bottom, which together have the height of the image.

    Raises `ValueError` for a tile that is too small.
    """
    if tile < SMALLEST_TILE:
        raise ValueError(f"tile={tile}: at least {SMALLEST_TILE} pixels are needed")
    rows, columns = (split(size, tile) for size in image.shape[:2])
    unfinished = None  # the rows that fade into the next band
    for index, row in enumerate(rows):
        band = _restore_band(restore, image[row.begin : row.end], row, columns, on_tile)
        if unfinished is not None:
            band[: len(unfinished)] += unfinished
        final = (rows[index + 1].first if index + 1 < len(rows) else row.last) - row.first
        unfinished = band[final:]
        yield band[:final]


def _restore_band(restore, strip, row, columns, on_tile):
    """One row of tiles, each weighted: [row.last - row.first, W, D]."""
    band = None
    for column in columns:
        restored = restore(strip[:, column.begin : column.end])
        if band is None:
            shape = (row.last - row.first, columns[-1].last, restored.shape[-1])
            band = np.zeros(shape, np.float32)
        seen = restored[row.first - row.begin : row.last - row.begin]
        seen = seen[:, column.first - column.begin : column.last - column.begin]
        weight = (row.weight[:, np.newaxis] * column.weight)[..., np.newaxis]
        band[:, column.first : column.last] += weight * seen
        if on_tile is not None:
            on_tile()
    return band


def split(size: int, tile: int) -> list[Span]:
    """The spans of tiles along an axis of `size` pixels; one span where all is seen at once.

    All tiles have the same length, the last one up to 15 pixels more, so that a network meets few sizes.
    """
    step = tile // GRID * GRID
    length = step + 2 * CONTEXT
    if size <= length:
        return [Span(0, size, 0, size, np.ones(size, np.float32))]
    last = (size - length) // GRID * GRID
    begins = [*range(0, last, step), last]
    ends = [begin + length for begin in begins[:-1]] + [size]
    # A border lies in the middle of what both neighbours see.
    borders = [(begin + end) // 2 for begin, end in zip(begins[1:], ends)]
    fades = [(border - FADE // 2, border + FADE // 2) for border in borders]
    firsts = [0, *(fade[0] for fade in fades)]
    lasts = [*(fade[1] for fade in fades), size]
    return [
        Span(begin, end, first, last, _weights(last - first, index > 0, index + 1 < len(begins)))
        for index, (begin, end, first, last) in enumerate(zip(begins, ends, firsts, lasts))
    ]


def _weights(length, fades_in, fades_out):
    weight = np.ones(length, np.float32)
    rising = (np.arange(FADE, dtype=np.float32) + 0.5) / FADE
    if fades_in:
        weight[:FADE] = rising
    if fades_out:
        weight[-FADE:] = 1 - rising
    return weight


def fit_tile(side: int) -> int:
    """The tile for which a network sees no more than `side` pixels of the image at once, along each axis."""
    return max(math.floor((side - 2 * CONTEXT - GRID) / GRID) * GRID, SMALLEST_TILE)


def restore_in_all_orientations(restore: Restore, image: np.ndarray) -> np.ndarray:
    """Self-ensemble: restores all eight orientations of an image, turns them back and takes their mean.

    Known from super-resolution (Timofte et al., CVPR 2016; Lim et al., CVPRW 2017). It costs eight times
    as much.

    Args:
      restore: [h, w, C] -> [h, w, D], floating point.
      image: [H, W, C].

    Returns:
      [H, W, D] float32.
    """
    total: Any = 0.0
    for turns, mirrored in ORIENTATIONS:
        turned = np.rot90(image[:, ::-1] if mirrored else image, turns)
        restored = np.rot90(restore(np.ascontiguousarray(turned)), -turns)
        total = total + (restored[:, ::-1] if mirrored else restored).astype(np.float64)
    return (total / len(ORIENTATIONS)).astype(np.float32)
