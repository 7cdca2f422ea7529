"""Pairs of a blurry and a sharp image: where data sets keep them, and whether they can be used.

Everything is checked from the files' headers before work begins, and everything wrong is reported at once.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from srn.errors import InputError
from srn.files import has_deep_channels

DATASETS = ("auto", "gopro", "pairs")
SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_LINES = 50  # of problems in one message
# The last bytes of a whole file, found near its end; what comes after them is tolerated by all decoders.
_END_MARKS = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}
_TAIL = 4096


@dataclasses.dataclass(frozen=True)
class Pair:
    """One blurry image and its truth.

    Attributes:
      blurry, sharp: the files.
      name: unique in the data set: `GOPR0384_11_00/000001`, or `000001` in a plain folder.
      sequence: `GOPR0384_11_00`; empty in a plain folder.
    """

    blurry: Path
    sharp: Path
    name: str
    sequence: str = ""


def find_pairs(
    data_dir, dataset: str = "auto", split: str = "train", blur_folder: str = "blur", smallest: int = 1
) -> list[Pair]:
    """Lists the pairs of a data set in the order of their names, all of them checked.

    Args:
      data_dir: the folder that holds the data set.
      dataset: "gopro": `data_dir/SPLIT/SEQUENCE/{BLUR_FOLDER,sharp}/NAME`, as GOPRO_Large comes; "pairs":
        `data_dir/{BLUR_FOLDER,sharp}/NAME`; "auto": whichever of them is there.
      split: "train" or "test", for "gopro".
      blur_folder: "blur" (plain mean of frames; what the paper uses) or "blur_gamma".
      smallest: height and width that each image must have at least, in pixels.

    Raises `InputError` with a line for each problem: a folder that is missing, a file without its partner,
    a size that differs or is too small, a file that is no image or ends too early.
    """
    pairs, problems = [], []
    try:
        folders = _sequence_folders(Path(data_dir), dataset, split, blur_folder)
        for sequence, folder in folders:
            found, unpaired = _match(folder, blur_folder, sequence)
            pairs += found
            problems += unpaired
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error
    with ThreadPoolExecutor() as pool:
        for found in pool.map(lambda pair: _problems_of(pair, smallest), pairs):
            problems += found
    if problems:
        raise InputError(_together(problems))
    if not pairs:
        where = ", ".join(str(folder / blur_folder) for _, folder in folders)
        raise InputError(f"{where}: no image ({', '.join(SUFFIXES)}) in it")
    return pairs


def layout_of(pairs: list[Pair]) -> str:
    """The layout, "gopro" or "pairs", that the pairs were found in."""
    return "gopro" if any(pair.sequence for pair in pairs) else "pairs"


def _sequence_folders(data_dir, dataset, split, blur_folder) -> list:
    """[(sequence, folder with `blur_folder` and `sharp`)] in the order of their names."""
    if not data_dir.is_dir():
        raise InputError(f"{data_dir}: there is no such folder; --data_dir takes the folder of the data set")
    if dataset not in DATASETS:
        raise InputError(f"there is no data set layout {dataset!r}; choose one of {', '.join(DATASETS)}")
    plain, split_folder = _holds_pairs(data_dir, blur_folder), data_dir / split
    if dataset == "pairs" or (dataset == "auto" and plain):
        if not plain:
            raise InputError(f"{data_dir}: the folders {blur_folder}/ and sharp/ are not both there")
        return [("", data_dir)]
    if split_folder.is_dir():
        sequences = [folder for folder in sorted(split_folder.iterdir()) if _holds_pairs(folder, blur_folder)]
        if sequences:
            return [(folder.name, folder) for folder in sequences]
    trees = [f"{split}/SEQUENCE/{{{blur_folder},sharp}}/"]
    trees += [f"{{{blur_folder},sharp}}/"] if dataset == "auto" else []
    raise InputError(f"{data_dir}: no pairs there; looked for {' and '.join(trees)}")


def _holds_pairs(folder, blur_folder):
    return (folder / blur_folder).is_dir() and (folder / "sharp").is_dir()


def _match(folder, blur_folder, sequence):
    """-> (pairs by equal names, lines about files without a partner)."""
    (blurry, doubles), (sharp, more_doubles) = _images(folder / blur_folder), _images(folder / "sharp")
    pairs = [
        Pair(blurry[stem], sharp[stem], f"{sequence}/{stem}" if sequence else stem, sequence)
        for stem in sorted(blurry.keys() & sharp.keys())
    ]
    problems = [f"{path}: another image there has the same name" for path in doubles + more_doubles]
    problems += [f"{blurry[stem]}: has no partner in sharp/" for stem in sorted(blurry.keys() - sharp.keys())]
    problems += [
        f"{sharp[stem]}: has no partner in {blur_folder}/" for stem in sorted(sharp.keys() - blurry.keys())
    ]
    return pairs, problems


def _images(folder) -> tuple:
    """({name without suffix: file}, [files whose name is taken already]) of the images in a folder."""
    images, doubles = {}, []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in images:
                doubles.append(path)
            images.setdefault(path.stem, path)
    return images, doubles


def _problems_of(pair, smallest):
    sizes, problems = {}, []
    for path in (pair.blurry, pair.sharp):
        try:
            sizes[path] = image_size(path)
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
            with Image.open(path) as image:
                image.load()
        except (OSError, SyntaxError, ValueError) as error:
            lines.append(f"{path}: cannot be decoded ({error})")
    return lines


def _tail(path):
    with open(path, "rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - _TAIL, 0))
        return file.read()


def _together(problems):
    hidden = len(problems) - MOST_LINES
    return "\n".join(problems[:MOST_LINES] + ([f"... and {hidden} more"] if hidden > 0 else []))
