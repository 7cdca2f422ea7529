"""Pairs of a blurry and a sharp image: found by their data set's layout, and whether they can be used.

Everything is checked from the files' headers before work begins, and everything wrong is reported at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from PIL import Image, UnidentifiedImageError

from srn.data.layouts import DATASETS, SUFFIXES, Pair, list_data_set
from srn.errors import InputError
from srn.files import has_deep_channels

__all__ = [
    "DATASETS",
    "Pair",
    "decode",
    "find_damage",
    "find_pairs",
    "image_size",
    "layout_of",
    "problems_of",
]

MOST_LINES = 50  # of problems in one message
# The last bytes of a whole file, found near its end; what comes after them is tolerated by all decoders.
_END_MARKS = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}
_TAIL = 4096


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
      measure: file -> (width, height), or `InputError`; by default `image_size`, which reads headers only.
    """
    sizes, problems = {}, []
    for path in (pair.blurry, pair.sharp):
        try:
            sizes[path] = (measure or image_size)(path)
        except InputError as error:
            problems.append(str(error))
    for path, (width, height) in sizes.items():
        if min(width, height) < smallest:
            problems.append(f"{path}: {width}x{height}, smaller than the {smallest}x{smallest} needed")
    if len(set(sizes.values())) == 2:
        blurry, sharp = ("{}x{}".format(*sizes[path]) for path in (pair.blurry, pair.sharp))
        problems.append(f"{pair.blurry}: {blurry}, but {pair.sharp} is {sharp}")
    return problems


def image_size(path) -> tuple[int, int]:
    """(width, height) of an image file, from its header.

    Raises `InputError` naming the file if it is no PNG or JPEG, has more than 8 bits, or has no end.
    """
    try:
        with Image.open(path) as image:
            size, kind, deep = image.size, image.format, has_deep_channels(image)
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error})") from error
    if kind not in _END_MARKS:
        raise InputError(f"{path}: is {kind} inside, not PNG or JPEG; convert it")
    if deep:
        raise InputError(f"{path}: has more than 8 bits a channel; convert it to 8 bits")
    if _END_MARKS[kind] not in _tail(path):
        raise InputError(f"{path}: the file ends too early; copy it anew")
    return size


def find_damage(pairs) -> list[str]:
    """Decodes every file of `pairs` whole; a line for each that cannot be decoded."""
    lines = []
    for path in dict.fromkeys(path for pair in pairs for path in (pair.blurry, pair.sharp)):
        try:
            decode(path)
        except InputError as error:
            lines.append(str(error))
    return lines


def decode(path) -> Image.Image:
    """The image, decoded whole. Raises `InputError` naming the file that cannot be."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: cannot be decoded ({error})") from error
    return image


def _tail(path):
    with open(path, "rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - _TAIL, 0))
        return file.read()


def _together(problems):
    hidden = len(problems) - MOST_LINES
    return "\n".join(problems[:MOST_LINES] + ([f"... and {hidden} more"] if hidden > 0 else []))
