"""Large images restored piece by piece, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

GRID = 16  # pieces begin where the whole image's coarser scales have a pixel
SMALLEST_TILE = 64


def restore_tiled(restore: Callable[[np.ndarray], np.ndarray], image: np.ndarray, tile: int) -> np.ndarray:
    """Restores overlapping square pieces and blends them.

    Neighbours overlap by a quarter of `tile`. At the outer quarter of an overlap a piece does not count,
    since it lacks the surroundings there; at the inner one it counts alone; between, the two are faded into
    each other. A network that looks further than that sees less than in the whole image, so the result is
    close to, not the same as, that of the whole image.

    Args:
      restore: [h, w, C] -> [h, w, C], floating point.
      image: [H, W, C], floating point.
      tile: side of a piece in pixels, at least 64; a multiple of 64 is best. Pieces at the right and lower
        edge may be up to 15 pixels longer.

    Returns:
      [H, W, C] float32; `restore(image)` where the image is no larger than a piece.
    """
    if tile < SMALLEST_TILE:
        raise ValueError(f"tile={tile}: at least {SMALLEST_TILE} pixels are needed")
    height, width = image.shape[:2]
    rows, columns = (_spans(size, tile) for size in (height, width))
    if len(rows) == len(columns) == 1:
        return restore(image)
    blended = np.zeros(image.shape, np.float32)
    for top, bottom, vertical in rows:
        for left, right, horizontal in columns:
            weight = (vertical[:, np.newaxis] * horizontal)[..., np.newaxis]
            blended[top:bottom, left:right] += weight * restore(image[top:bottom, left:right])
    return blended


def _spans(size: int, tile: int) -> list:
    """[(begin, end, weight of each pixel)] along one axis; the weights of all spans add to 1."""
    if size <= tile:
        return [(0, size, np.ones(size, np.float32))]
    overlap = tile // 4
    step = (tile - overlap) // GRID * GRID
    last = (size - tile) // GRID * GRID
    begins = [*range(0, last, step), last]
    spans = [(begin, begin + tile if begin < last else size) for begin in begins]
    weights = [np.ones(end - begin) for begin, end in spans]
    for index in range(len(spans) - 1):
        # Of the pixels that both cover, the middle half is a fade.
        begin, end = spans[index + 1][0], spans[index][1]
        margin = overlap // 4
        fade = np.clip((np.arange(begin, end) + 0.5 - begin - margin) / (end - begin - 2 * margin), 0, 1)
        weights[index][begin - spans[index][0] :] *= 1 - fade
        weights[index + 1][: end - begin] *= fade
    total = np.zeros(size)
    for (begin, end), weight in zip(spans, weights):
        total[begin:end] += weight
    # The last two spans may overlap by so much that they meet the one before: three fades do not add to 1.
    return [
        (begin, end, (weight / total[begin:end]).astype(np.float32))
        for (begin, end), weight in zip(spans, weights)
    ]
