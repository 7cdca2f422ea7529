"""Pairs of a blurry and a sharp image: found by their data set's layout, and whether they can be used.

Everything is checked from the files' headers before work begins, and everything wrong is reported at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from srn.data.layouts import Pair, list_data_set
from srn.errors import InputError
from srn.images import SUFFIXES, require_whole, size_of

MOST_LINES = 50  # of problems in one message


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
    pairs, problems = listing.pairs, listing.problems
    with ThreadPoolExecutor() as pool:
        for found in pool.map(lambda pair: problems_of(pair, smallest), pairs):
            problems += found
    if problems:
        raise InputError(_together(problems))
    if not pairs:
        where = ", ".join(map(str, listing.places))
        raise InputError(f"{where}: no image ({', '.join(SUFFIXES)}) in it")
    return pairs


def layout_of(pairs: list[Pair]) -> str:
    """The layout that the pairs were found in: a key of `srn.data.layouts.LAYOUTS`."""
    return pairs[0].layout


def problems_of(pair: Pair, smallest: int = 1, measure=None) -> list[str]:
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


def find_damage(pairs) -> list[str]:
    """Decodes every file of `pairs` whole; a line for each that cannot be decoded."""
    lines = []
    for path in dict.fromkeys(path for pair in pairs for path in (pair.blurry, pair.sharp)):
        try:
            require_whole(path)
        except InputError as error:
            lines.append(str(error))
    return lines


def _together(problems):
    hidden = len(problems) - MOST_LINES
    return "\n".join(problems[:MOST_LINES] + ([f"... and {hidden} more"] if hidden > 0 else []))
