"""Pairs of a blurry and a sharp image: found by their data set's layout, and whether they can be used.

Everything is checked from the files' headers before work begins, and everything wrong is reported at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from srn.data.layouts import Pair, list_data_set
from srn.errors import InputError
from srn.images import SUFFIXES, require_whole, size_of

MAX_LINES = 50  # of problems in one message


def find_pairs(
    data_dir, dataset: str = "auto", split: str = "train", blur_folder: str = "blur", smallest: int = 1
) -> list[Pair]:
    """Lists the pairs of a data set in the order of their names, or of the list, all of them checked.

    Args:
      data_dir: the folder that holds the data set, or a list of pairs in the authors' format.
      dataset: its layout, a key of `srn.data.layouts.LAYOUTS`, or "auto": whichever is there.
      split: "train" or "test", where the layout has splits.
      blur_folder: of GOPRO, "blur" (plain mean of frames; what the paper uses) or "blur_gamma"; the folder of
        the blurry images of "pairs"; the end of its name for REDS ("blur_jpeg").
      smallest: height and width that each image must have at least, in pixels.

    Raises `InputError` with a line for each problem: a folder that is missing, a file without its partner,
    a size that differs or is too small, a file that is no image or ends too early.
    """
    listing = list_data_set(data_dir, dataset, split, blur_folder)
    require_usable(listing.pairs, smallest, listing.problems)
    if not listing.pairs:
        where = ", ".join(map(str, listing.folders))
        raise InputError(f"{where}: no image ({', '.join(SUFFIXES)}) in it")
    return listing.pairs


def require_usable(pairs: Sequence[Pair], smallest: int = 1, problems: Sequence[str] = ()) -> None:
    """Reads the header of every file. Raises `InputError` with a line for each thing that is wrong.

    Args:
      pairs: the pairs.
      smallest: height and width that each image must have at least, in pixels.
      problems: lines on what is known to be wrong already.
    """
    lines = [*problems]
    counts = Counter(pair.name for pair in pairs)
    lines += [f"{name}: {count} pairs have this name" for name, count in counts.items() if count > 1]
    with ThreadPoolExecutor() as pool:
        for found in pool.map(lambda pair: problems_of(pair, smallest), pairs):
            lines += found
    if lines:
        raise InputError(_together(lines))


def layout_of(pairs: list[Pair]) -> str:
    """The layout that the pairs were found in: a key of `srn.data.layouts.LAYOUTS`."""
    return pairs[0].layout


def problems_of(
    pair: Pair, smallest: int = 1, measure: Callable[[Path], tuple[int, int]] | None = None
) -> list[str]:
    """A line for each thing that is wrong with a pair: a file, its size, sizes that differ.

    Args:
      pair: the pair.
      smallest: height and width that each image must have at least, in pixels.
      measure: file -> (width, height), or `InputError`; by default `size_of`, which reads headers only.
    """
    sizes, problems = {}, []
    for path in (pair.blurry, pair.sharp):
        try:
            sizes[path] = (measure or size_of)(path)
        except InputError as error:
            problems.append(str(error))
    for path, (width, height) in sizes.items():
        if min(width, height) < smallest:
            problems.append(f"{path}: {width}x{height}, smaller than the {smallest}x{smallest} needed")
    if len(set(sizes.values())) == 2:
        blurry, sharp = ("{}x{}".format(*sizes[path]) for path in (pair.blurry, pair.sharp))
        problems.append(f"{pair.blurry}: {blurry}, but {pair.sharp} is {sharp}")
    return problems


def find_damage(pairs: Sequence[Pair]) -> list[str]:
    """Decodes every file of `pairs` whole; a line for each that cannot be decoded."""
    lines = []
    for path in dict.fromkeys(path for pair in pairs for path in (pair.blurry, pair.sharp)):
        try:
            require_whole(path)
        except InputError as error:
            lines.append(str(error))
    return lines


def _together(problems: Sequence[str]) -> str:
    hidden = len(problems) - MAX_LINES
    return "\n".join(problems[:MAX_LINES] + ([f"... and {hidden} more"] if hidden > 0 else []))
