"""Finding and checking of pairs of blurry and sharp images.

The headers of all files are checked before work begins, and all problems are reported together.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from srn.data.layouts import list_data_set
from srn.data.listing import DEFAULT_SIDES, Pair
from srn.errors import InputError, WorkError
from srn.images import SUFFIXES, kind_of, read_rgb, require_whole, size_of

MAX_LINES = 50  # of problems in one message
# A pair is considered swapped if the blurry image is sharper by this factor. Over 68 real pairs of GOPRO and
# REDS, sharpness of blurry over sharp is 0.07 to 0.52, so 1.9 or more when swapped; it is at most 0.63 if the
# blurry image is a JPEG of quality 25, and 1.21 if only it has noise of 5 grey levels.
SWAPPED_RATIO = 1.5
SWAP_CHECKED_PAIRS = 8  # checked before work begins; data/verify.py checks all pairs


def find_pairs(
    data_dir: str | os.PathLike[str],
    dataset: str = "auto",
    split: str = "train",
    blur_folder: str = DEFAULT_SIDES[0],
    min_size: int = 1,
    sharp_folder: str = DEFAULT_SIDES[1],
    deep: bool = False,
) -> list[Pair]:
    """Lists and checks the pairs of a data set, in the order of their names or of the list.

    Args:
      data_dir: the folder of the data set, or a list of pairs in the authors' format.
      dataset: its layout, a key of `srn.data.layouts.LAYOUTS`, or "auto" to detect it.
      split: "train" or "test", for layouts with splits.
      blur_folder: the folder of the blurry images. "blur" also stands for other usual names
        (`srn.data.listing.BLURRY_SIDES`). GOPRO: "blur" (mean of stored values, used by the paper) or
        "blur_gamma"; REDS: the end of its name, such as "blur_jpeg".
      min_size: minimum height and width of the images, in pixels.
      sharp_folder: the folder of the sharp images; "sharp" also stands for other usual names.
      deep: whether images may have 16 bits.

    Raises `InputError` with a line for each problem: missing folders, files without a partner, missing sides,
    images in unexpected folders or of unsupported types, sizes that differ or are too small, files that are
    not images or are truncated, blurry and sharp images that seem to be swapped.
    """
    listing = list_data_set(data_dir, dataset, split, blur_folder, sharp_folder)
    require_usable(listing.pairs, min_size, listing.problems, deep)
    if not listing.pairs:
        where = ", ".join(map(str, listing.folders))
        raise InputError(f"{where}: no image ({', '.join(SUFFIXES)}) in it")
    return listing.pairs


def require_usable(
    pairs: Sequence[Pair], min_size: int = 1, problems: Sequence[str] = (), deep: bool = False
) -> None:
    """Checks the header of every file. Raises `InputError` with a line for each problem.

    Args:
      pairs: the pairs.
      min_size: minimum height and width of the images, in pixels.
      problems: lines about problems found before.
      deep: whether images may have 16 bits.
    """
    lines = [*problems]
    counts = Counter(pair.name for pair in pairs)
    lines += [f"{name}: {count} pairs have this name" for name, count in counts.items() if count > 1]
    measure = functools.partial(size_of, deep=deep)
    with ThreadPoolExecutor() as pool:
        for found in pool.map(lambda pair: problems_of(pair, min_size, measure), pairs):
            lines += found
    if not lines:
        lines = _find_swapped(pairs)
    if lines:
        raise InputError(_together(lines))


def _find_swapped(pairs: Sequence[Pair]) -> list[str]:
    """Returns one line if blurry and sharp images seem to be swapped in all of some sampled pairs."""
    step = max(len(pairs) // SWAP_CHECKED_PAIRS, 1)
    some = pairs[::step][:SWAP_CHECKED_PAIRS]
    try:
        if not some or not all(map(are_swapped, some)):
            return []
    except WorkError:  # undecodable files are reported later
        return []
    first = some[0]
    others = f"as in all of {len(some)} pairs" if len(some) > 1 else "in the only pair"
    return [f"{first.blurry}: sharper than {first.sharp}, {others}; they seem to be swapped"]


def are_swapped(pair: Pair) -> bool:
    """Whether the blurry image is so much sharper than the sharp one that they seem to be swapped.

    Raises `WorkError` naming a file that cannot be decoded.
    """
    blurry, sharp = (
        measure_sharpness(cv2.cvtColor(read_rgb(path, deep=True), cv2.COLOR_RGB2GRAY))
        for path in (pair.blurry, pair.sharp)
    )
    return blurry > SWAPPED_RATIO * sharp


def measure_sharpness(image: np.ndarray) -> float:
    """Mean squared Laplacian of an image at half its size, which reduces the effect of noise and JPEG blocks.

    Args:
      image: uint8 or uint16 [H, W], H and W at least 2.
    """
    height, width = image.shape
    half = cv2.resize(image, (max(width // 2, 1), max(height // 2, 1)), interpolation=cv2.INTER_AREA)
    return float(np.mean(np.square(cv2.Laplacian(half, cv2.CV_32F))))


def layout_of(pairs: list[Pair]) -> str:
    """The layout that the pairs were found in: a key of `srn.data.layouts.LAYOUTS`."""
    return pairs[0].layout


def problems_of(
    pair: Pair, min_size: int = 1, measure: Callable[[Path], tuple[int, int]] | None = None
) -> list[str]:
    """Checks a pair; returns a line for each problem with a file or with the sizes.

    Args:
      pair: the pair.
      min_size: minimum height and width of the images, in pixels.
      measure: file -> (width, height), or `InputError`; by default `size_of`, which reads headers only.
    """
    sizes, problems = {}, []
    for path in (pair.blurry, pair.sharp):
        try:
            sizes[path] = (measure or size_of)(path)
        except InputError as error:
            problems.append(str(error))
    for path, (width, height) in sizes.items():
        if min(width, height) < min_size:
            problems.append(f"{path}: {width}x{height}, smaller than the {min_size}x{min_size} needed")
    if len(set(sizes.values())) == 2:
        blurry, sharp = ("{}x{}".format(*sizes[path]) for path in (pair.blurry, pair.sharp))
        problems.append(f"{pair.blurry}: {blurry}, but {pair.sharp} is {sharp}")
    return problems or difference_in_kind(pair.blurry, pair.sharp)


def difference_in_kind(path: Path, sharp: Path) -> list[str]:
    """Returns a line if only one of the images is gray, or if their bit depths differ."""
    kinds = []
    for bits, is_gray in map(kind_of, (path, sharp)):
        kinds.append(f"{'gray' if is_gray else 'in colour'}, {bits} bits")
    return [] if kinds[0] == kinds[1] else [f"{path}: {kinds[0]}, but {sharp} is {kinds[1]}; convert one"]


def find_damage(pairs: Sequence[Pair]) -> list[str]:
    """Decodes every file of `pairs`; returns a line for each that cannot be decoded."""
    lines = []
    for path in dict.fromkeys(path for pair in pairs for path in (pair.blurry, pair.sharp)):
        try:
            require_whole(path)
        except InputError as error:
            lines.append(str(error))
    return lines


def _together(problems: Sequence[str]) -> str:
    hidden = len(problems) - MAX_LINES
    return "\n".join([*problems[:MAX_LINES], *([f"... and {hidden} more"] if hidden > 0 else [])])
