"""Layouts of data sets: how to list their blurry and sharp images.

Each layout is one function in `LAYOUTS`, which looks at names only: no files are opened except lists and
records. data/README.md documents the folders and sources.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from srn.data import lmdb_images, records
from srn.data.listing import (
    DEFAULT_SIDES,
    Listing,
    Request,
    child,
    count_images,
    folders_in,
    has_images,
)
from srn.data.lists import list_datalist, read_columns
from srn.errors import InputError

_LOGGER = logging.getLogger(__name__)
_SPLITS = ("train", "test", "val", "valid")  # names of folders that are splits, not sequences
# The test split of DVD: https://github.com/shuochsu/DeepVideoDeblurring/issues/2
DVD_TEST = (
    *("720p_240fps_2", "IMG_0003", "IMG_0021", "IMG_0030", "IMG_0031", "IMG_0032", "IMG_0033"),
    *("IMG_0037", "IMG_0039", "IMG_0049"),
)
_MAX_NAMES = 6  # maximum number of folders in a message


class LayoutNotFoundError(InputError):
    """There is no data set of this layout in the folder."""


def list_plain(request: Request) -> Listing | None:
    """Lists `{BLUR,SHARP}/NAME`; there are no splits. None without such a tree."""
    sides = request.sides_in(request.data_dir)
    if sides is None:
        return None
    listing = Listing(has_splits=False)
    listing.add_folder(*sides)
    others = [path.name for path in folders_in(request.data_dir) if path.name.lower() in _SPLITS]
    if others:
        listing.notes.append(f"{request.data_dir}: beside the pairs there, {', '.join(others)}/ is not used")
    return listing


def list_split(request: Request) -> Listing | None:
    """Lists `SPLIT/{BLUR,SHARP}/NAME`, as MIMO-UNet and MPRNet unpack GOPRO. None without such a tree."""
    root = child(request.data_dir, request.split)
    sides = request.sides_in(root)
    if sides is None:
        return None
    listing = Listing()
    listing.add_folder(*sides)
    return listing


def list_gopro(request: Request) -> Listing | None:
    """Lists GOPRO_Large: `SPLIT/SEQUENCE/{BLUR,SHARP}/NAME`. None without such a tree."""
    root = child(request.data_dir, request.split)
    if not any(request.single_sides_in(folder) for folder in folders_in(root)):
        return None
    listing = Listing()
    listing.add_sequences(root, request)
    return listing


def list_sequences(request: Request) -> Listing | None:
    """Lists `SEQUENCE/{BLUR,SHARP}/NAME`; there are no splits. None without such a tree."""
    folders = [folder for folder in folders_in(request.data_dir) if folder.name.lower() not in _SPLITS]
    if not any(map(request.sides_in, folders)):
        return None
    listing = Listing(has_splits=False)
    listing.add_sequences(request.data_dir, request, skip=_SPLITS)
    return listing


def list_bsd(request: Request) -> Listing | None:
    """Lists BSD (Zhong et al.): `SPLIT/SEQUENCE/{Blur,Sharp}/RGB/NAME`. None without such a tree."""
    roots = [
        root
        for root in (request.data_dir, *folders_in(request.data_dir))
        if any(_in_rgb(folder, request) for folder in folders_in(child(root, request.split)))
    ]
    if not roots:
        return None
    _require_single(request, roots)
    listing = Listing()
    listing.add_sequences(child(roots[0], request.split), request, inner="RGB")
    return listing


def _in_rgb(folder: Path, request: Request) -> bool:
    sides = request.sides_in(folder)
    return sides is not None and all((side / "RGB").is_dir() for side in sides)


def list_dvd(request: Request) -> Listing | None:
    """Lists DVD (Su et al.): `[quantitative_datasets/]SEQUENCE/{input,GT}/NAME`.

    Ten sequences are the test split (`DVD_TEST`). None without such a tree, or without any of the ten.
    """
    for root in (request.data_dir / "quantitative_datasets", request.data_dir):
        names = {folder.name for folder in folders_in(root) if request.sides_in(folder)}
        if names.isdisjoint(DVD_TEST):
            continue
        listing = Listing()
        listing.add_sequences(root, request)
        listing.pairs = [
            pair for pair in listing.pairs if (pair.sequence in DVD_TEST) == (request.split == "test")
        ]
        return listing
    return None


def list_reds(request: Request) -> Listing | None:
    """Lists REDS: `[train/]train_{BLUR,SHARP}/CLIP/NAME`, and `val` for the test split.

    The ground truth of its own test split is not public. None without such a tree.
    """
    own_split = {"test": "val"}.get(request.split, request.split)
    blurry, sharp = f"{own_split}_{request.blur_folder}", f"{own_split}_{request.sharp_folder}"
    for root in (request.data_dir / own_split, request.data_dir):
        if (root / blurry).is_dir() and (root / sharp).is_dir():
            listing = Listing()
            for clip in sorted(
                {folder.name for side in (blurry, sharp) for folder in folders_in(root / side)}
            ):
                listing.add_folder(root / blurry / clip, root / sharp / clip, clip)
            listing.folders = [root / blurry]
            for strays, side in ((count_images(root / side), side) for side in (blurry, sharp)):
                if strays:
                    listing.problems.append(f"{root / side}: {strays} images are in no folder of a clip")
            return listing
    return None


def list_hide(request: Request) -> Listing | None:
    """Lists HIDE: `train/NAME`, `test/{test-close-ups,test-long-shot}/NAME`, all ground truth in `GT/NAME`.

    None without such a tree.
    """
    root = request.data_dir
    sequences = {"train": [""], "test": ["test-close-ups", "test-long-shot"]}[request.split]
    folders = {sequence: root / request.split / sequence for sequence in sequences}
    if not all(folder.is_dir() for folder in (root / "GT", *folders.values())):
        return None
    listing = Listing()
    for sequence, folder in folders.items():
        listing.add_folder(folder, root / "GT", sequence, spare_sharp=True)
    known = [path.name for path in folders.values()]
    for folder in folders_in(root / request.split) if request.split == "test" else ():
        if folder.name not in known and has_images(folder):
            listing.problems.append(f"{folder}: has images, but is no folder of HIDE")
    return listing


def list_realblur(request: Request) -> Listing | None:
    """Lists RealBlur-J or -R: `sceneNNN/{blur/blur_K,gt/gt_K}`, in `data_dir` or in a folder there.

    The split is that of the official list (a text file with `RealBlur`, `J` or `R`, and the split in its
    name) in the folder of the scenes or its parent; without it there are no splits. None without such a tree.
    """
    roots = [folder for folder in (request.data_dir, *folders_in(request.data_dir)) if _has_scenes(folder)]
    if not roots:
        return None
    _require_single(request, roots)
    (root,), listing = roots, Listing()
    list_file = _realblur_list(root, request.split)
    listed = _realblur_names(list_file) if list_file else None
    for scene in _scenes_in(root):
        if listed is not None and not any(name.startswith(f"{scene.name}/") for name in listed):
            continue
        if (scene / "blur").is_dir() and (scene / "gt").is_dir():
            listing.add_folder(scene / "blur", scene / "gt", scene.name, prefixes=("blur_", "gt_"))
        else:
            listing.problems.append(f"{scene}: has no two folders blur/ and gt/")
    listing.folders, listing.has_splits = [root], listed is not None
    if listed is not None:
        missing = sorted(listed - {pair.name for pair in listing.pairs})
        listing.problems += [f"{list_file}: {name} is listed, but is not there" for name in missing]
        listing.pairs = [pair for pair in listing.pairs if pair.name in listed]
    return listing


def _scenes_in(folder: Path) -> list[Path]:
    return [scene for scene in folders_in(folder) if re.fullmatch(r"scene\d.*", scene.name)]


def _has_scenes(folder: Path) -> bool:
    return any((scene / "blur").is_dir() and (scene / "gt").is_dir() for scene in _scenes_in(folder))


def _realblur_list(root: Path, split: str) -> Path | None:
    """The list of this split in `root` or its parent; None without lists."""
    lists: dict[str, Path] = {}
    for path in (path for folder in (root.parent, root) for path in sorted(folder.glob("*.txt"))):
        words = _words_of(path.name)
        # J or R, if in the name of the folder; lists with `Tele` in their names are another selection.
        if words >= {"realblur"} | ({"j", "r"} & _words_of(root.name)) and "tele" not in words:
            lists.update({name: path for name in ("train", "test") if name in words})
    if lists and split not in lists:
        raise InputError(f"{root}: the official list of its {split} split is not beside {lists.popitem()[1]}")
    return lists.get(split)


def _words_of(name: str) -> set[str]:
    return set(re.split("[^a-z]+", name.lower()))


def _realblur_names(list_file: Path) -> set[str]:
    """{`scene002/1`, ...}; the blurry file of a line is recognized by the name of its folder."""
    paths = [Path(word) for _, words in read_columns(list_file) for word in words]
    blurry = [path for path in paths if path.parent.name == "blur"]
    if not blurry:
        raise InputError(f"{list_file}: names no file in a folder blur/; is it the official list?")
    return {f"{path.parent.parent.name}/{path.stem[len('blur_') :]}" for path in blurry}


def list_tfrecord(request: Request) -> Listing | None:
    """Lists TFRecord files, `SPLIT*.tfrecord`, unpacked by `srn.data.records`. None without any."""
    if not request.data_dir.is_dir():
        return None
    files = records.find_records(request.data_dir, request.split)
    if not files:
        return None
    folder, listing = records.unpack(files, request.split), Listing()
    listing.add_folder(folder / "blur", folder / "sharp")
    others = [path.name for path in records.unnamed_records(request.data_dir)]
    if others:
        listing.notes.append(f"{request.data_dir}: {', '.join(others)} belong to no split and are not used")
    return listing


def list_lmdb(request: Request) -> Listing | None:
    """Lists LMDB as BasicSR and NAFNet write it: `[SPLIT/]{BLUR,SHARP}.lmdb/`, unpacked. None without any.

    Also by REDS' names (`train_blur.lmdb`, `val/blur_300.lmdb`) and NAFNet's (`blur_crops.lmdb`).
    """
    own_split = {"test": "val"}.get(request.split, request.split)
    for root in (
        child(request.data_dir, request.split),
        child(request.data_dir, own_split),
        request.data_dir,
    ):
        sides = lmdb_images.find_sides(root, request, own_split)
        if sides is not None:
            # In the folder of a split, or with the split in its name.
            listing = Listing(has_splits=root != request.data_dir or own_split in sides[0].name)
            folder = lmdb_images.unpack(*sides)
            listing.add_folder(folder / "blur", folder / "sharp")
            return listing
    return None


def _require_single(request: Request, roots: list[Path]) -> None:
    if len(roots) > 1:
        names = " and ".join(root.name for root in roots)
        raise InputError(f"{request.data_dir}: holds {names}; give one as `data_dir`")


@dataclasses.dataclass(frozen=True)
class Layout:
    """A layout.

    Attributes:
      list_pairs: `Request` -> `Listing`, or None if the folder does not have this layout.
      tree: description for messages; SPLIT, BLUR and SHARP are placeholders.
    """

    list_pairs: Callable[[Request], Listing | None]
    tree: str


# In the order of "auto": pairs in the folder itself take precedence.
LAYOUTS = {
    "pairs": Layout(list_plain, "{BLUR,SHARP}/"),
    "split": Layout(list_split, "SPLIT/{BLUR,SHARP}/"),
    "bsd": Layout(list_bsd, "SPLIT/SEQUENCE/{Blur,Sharp}/RGB/"),
    "gopro": Layout(list_gopro, "SPLIT/SEQUENCE/{BLUR,SHARP}/"),
    "reds": Layout(list_reds, "train/train_{BLUR,SHARP}/CLIP/ (val for the test split)"),
    "hide": Layout(list_hide, "train/, test/{test-close-ups,test-long-shot}/ and GT/"),
    "realblur": Layout(list_realblur, "sceneNNN/{blur,gt}/"),
    "dvd": Layout(list_dvd, "quantitative_datasets/SEQUENCE/{input,GT}/"),
    "sequences": Layout(list_sequences, "SEQUENCE/{BLUR,SHARP}/"),
    "lmdb": Layout(list_lmdb, "SPLIT/{BLUR,SHARP}.lmdb/"),
    "tfrecord": Layout(list_tfrecord, "SPLIT*.tfrecord"),
    "datalist": Layout(list_datalist, "a text file of lines `SHARP BLURRY`"),
}
DATASETS = ("auto", *LAYOUTS)
_NOT_SUGGESTED = ("tfrecord", "lmdb", "datalist")  # trying them writes files, or they take a file


def list_data_set(
    data_dir: str | os.PathLike[str],
    dataset: str = "auto",
    split: str = "train",
    blur_folder: str = DEFAULT_SIDES[0],
    sharp_folder: str = DEFAULT_SIDES[1],
) -> Listing:
    """Lists the pairs of a data set by its layout; "auto" tries all of them in order.

    Args: see `srn.data.pairs.find_pairs`. Notes are logged as warnings.

    Raises `LayoutNotFoundError` if no pairs of the layout are found, `InputError` if a folder cannot be read.
    """
    request = Request(Path(data_dir), split, blur_folder, sharp_folder)
    if dataset not in DATASETS:
        raise InputError(f"dataset={dataset} is not one of {', '.join(DATASETS)}")
    try:
        if not request.data_dir.exists():
            raise InputError(
                f"{data_dir}: there is no such folder; `data_dir` takes the folder of the data set"
            )
        for name in LAYOUTS if dataset == "auto" else (dataset,):
            listing = LAYOUTS[name].list_pairs(request)
            if listing is not None:
                for note in listing.notes:
                    _LOGGER.warning("%s", note)
                pairs = [dataclasses.replace(pair, layout=name) for pair in listing.pairs]
                return dataclasses.replace(listing, pairs=pairs, layout=name)
        raise LayoutNotFoundError(_not_there(request, dataset))
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _not_there(request: Request, dataset: str) -> str:
    """Error message: what was expected, what was found, and a suggestion that would find pairs."""
    names = ("gopro", "split", "pairs") if dataset == "auto" else (dataset,)
    blur, sharp = request.blur_folder, request.sharp_folder
    trees = [
        LAYOUTS[name].tree.replace("SPLIT", request.split).replace("BLUR", blur).replace("SHARP", sharp)
        for name in names
    ]
    others = " (data/README.md has the other layouts)" if dataset == "auto" else ""
    line = (
        f"{request.data_dir}: no pairs there; looked for {' and '.join(trees)}{others}; {_describe(request)}"
    )
    nearest = _find_nearest(request, dataset)
    return f"{line}; {nearest}" if nearest else line


def _describe(request: Request) -> str:
    """`it holds Train/ with 2 folders, sharp/ with 3 images and 4 images`."""
    folder = request.data_dir
    if folder.is_file():
        return "it is a file"
    parts = []
    for path in folders_in(folder)[:_MAX_NAMES]:
        inside, images = len(folders_in(path)), count_images(path)
        what = [
            f"{count} {unit}{'s' if count > 1 else ''}"
            for count, unit in ((inside, "folder"), (images, "image"))
            if count
        ]
        parts.append(f"{path.name}/" + (f" with {' and '.join(what)}" if what else ""))
    parts += ["..."] if len(folders_in(folder)) > _MAX_NAMES else []
    images = count_images(folder)
    parts += [f"{images} image{'s' if images > 1 else ''}"] if images else []
    return f"it holds {', '.join(parts)}" if parts else "it holds no folder and no image"


def _find_nearest(request: Request, dataset: str) -> str:
    """Suggestion that would find pairs: another split, layout or folder, or other names of the sides."""
    other_split = "test" if request.split == "train" else "train"
    inside = [(request.data_dir, request.split), (request.data_dir, other_split)]
    inside += [(folder, request.split) for folder in folders_in(request.data_dir)]
    above = request.data_dir.resolve().parent
    return (
        _find_call(request, dataset, inside)
        or _find_equal_names(request)
        or _find_call(request, dataset, [(above, request.split)])
    )


def _find_call(request: Request, dataset: str, candidates: list[tuple[Path, str]]) -> str:
    for folder, split in candidates:
        for name, layout in LAYOUTS.items():
            if name in _NOT_SUGGESTED:
                continue
            try:
                listing = layout.list_pairs(dataclasses.replace(request, data_dir=folder, split=split))
            except (InputError, OSError):
                continue
            if listing is not None and listing.pairs:
                words = [f"`data_dir`={folder}"] if folder != request.data_dir else []
                words += [f"`split`={split}"] if split != request.split else []
                words += [f"`dataset`={name}"] if dataset not in ("auto", name) else []
                return f"{len(listing.pairs)} pairs are found by {' '.join(words)}"
    return ""


def _find_equal_names(request: Request) -> str:
    """Two sibling folders with unknown names whose images have the same names."""
    for folder in (request.data_dir, *folders_in(request.data_dir)):
        names = {
            path: {file.stem for file in path.iterdir()} for path in folders_in(folder) if count_images(path)
        }
        for one in names:
            for other in names:
                if one != other and names[one] == names[other]:
                    return (
                        f"{one.name}/ and {other.name}/ in {folder} have images of equal names: if they are "
                        f"the two sides, `data_dir`={folder} `blur_folder`={one.name} "
                        f"`sharp_folder`={other.name}, or the other way round"
                    )
    return ""
