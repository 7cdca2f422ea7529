"""Layouts: where each data set keeps its blurry and its sharp images, and how to list them.

Each layout is one function in `LAYOUTS`. It looks at names only: no file is opened but lists and records.
data/README.md draws the trees and says where they come from.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from srn.data import records
from srn.errors import InputError
from srn.images import is_image


class LayoutNotFoundError(InputError):
    """The folder holds no data set of the layout."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """One blurry image and its truth.

    Attributes:
      blurry, sharp: the files.
      name: unique in the data set: `GOPR0384_11_00/000001`, or `000001` in a plain folder.
      sequence: `GOPR0384_11_00`; empty in a plain folder.
      layout: the key of `LAYOUTS` that it was found by.
    """

    blurry: Path
    sharp: Path
    name: str
    sequence: str = ""
    layout: str = "pairs"


@dataclasses.dataclass
class Listing:
    """What a layout found.

    Attributes:
      pairs: in the order of their folders and names.
      problems: a line for each file without a partner.
      places: where blurry images were looked for: folders, or a list.
      has_splits: whether training and test images are told apart.
      layout: key of `LAYOUTS`.
    """

    pairs: list[Pair] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    places: list[Path] = dataclasses.field(default_factory=list)
    has_splits: bool = True
    layout: str = ""

    def add_folder(self, root, blurry, sharp, sequence="", prefixes=("", ""), spare_sharp=False) -> None:
        """Pairs the images of two folders by their names without suffix.

        Args:
          root: the folder that holds both.
          blurry, sharp: their paths in it.
          sequence: name of the sequence that they are.
          prefixes: what blurry and sharp names begin with, which does not count.
          spare_sharp: `sharp` serves other folders too: what is left over there is no mistake.
        """
        blurry_files, doubles = _images(root / blurry, prefixes[0])
        sharp_files, more_doubles = _images(root / sharp, prefixes[1])
        self.places.append(root / blurry)
        for stem in sorted(blurry_files.keys() & sharp_files.keys()):
            name = f"{sequence}/{stem}" if sequence else stem
            self.pairs.append(Pair(blurry_files[stem], sharp_files[stem], name, sequence))
        self.problems += [f"{path}: another image there has the same name" for path in doubles + more_doubles]
        self.problems += _alone(blurry_files, sharp_files, sharp)
        self.problems += [] if spare_sharp else _alone(sharp_files, blurry_files, blurry)


def _images(folder, prefix) -> tuple:
    """({name without prefix and suffix: file}, [files whose name is taken already]) of a folder's images."""
    images, doubles = {}, []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_image(path):
            name = path.stem[len(prefix) :] if path.stem.startswith(prefix) else path.stem
            if name in images:
                doubles.append(path)
            images.setdefault(name, path)
    return images, doubles


def _alone(files, partners, folder):
    return [f"{files[stem]}: has no partner in {folder}/" for stem in sorted(files.keys() - partners.keys())]


def list_gopro(data_dir: Path, split: str, blur_folder: str) -> Listing | None:
    """Lists GOPRO_Large: `SPLIT/SEQUENCE/{BLUR_FOLDER,sharp}/NAME`. None where that tree is not."""
    listing = Listing()
    for folder in _folders_in(data_dir / split):
        if _holds(folder, blur_folder, "sharp"):
            listing.add_folder(folder, blur_folder, "sharp", folder.name)
    return listing if listing.places else None


def list_plain(data_dir: Path, split: str, blur_folder: str) -> Listing | None:
    """Lists `{BLUR_FOLDER,sharp}/NAME`; there are no splits. None where that tree is not."""
    if not _holds(data_dir, blur_folder, "sharp"):
        return None
    listing = Listing(has_splits=False)
    listing.add_folder(data_dir, blur_folder, "sharp")
    return listing


def list_reds(data_dir: Path, split: str, blur_folder: str) -> Listing | None:
    """Lists REDS: `[train/]train_{BLUR_FOLDER,sharp}/CLIP/NAME`, and `val` for the test split.

    The truth of its own test split is not public. None where that tree is not.
    """
    own_split = {"test": "val"}.get(split, split)
    blurry, sharp = f"{own_split}_{blur_folder}", f"{own_split}_sharp"
    for root in (data_dir / own_split, data_dir):
        if _holds(root, blurry, sharp):
            listing = Listing()
            for clip in sorted(
                {folder.name for side in (blurry, sharp) for folder in _folders_in(root / side)}
            ):
                listing.add_folder(root, f"{blurry}/{clip}", f"{sharp}/{clip}", clip)
            listing.places = [root / blurry]
            return listing
    return None


def list_hide(data_dir: Path, split: str, blur_folder: str) -> Listing | None:
    """Lists HIDE: `train/NAME`, `test/{test-close-ups,test-long-shot}/NAME`, the truth of all in `GT/NAME`.

    None where that tree is not.
    """
    sequences = {"train": [""], "test": ["test-close-ups", "test-long-shot"]}[split]
    folders = {sequence: f"{split}/{sequence}".rstrip("/") for sequence in sequences}
    if not _holds(data_dir, "GT", *folders.values()):
        return None
    listing = Listing()
    for sequence, folder in folders.items():
        listing.add_folder(data_dir, folder, "GT", sequence, spare_sharp=True)
    return listing


def list_realblur(data_dir: Path, split: str, blur_folder: str) -> Listing | None:
    """Lists RealBlur-J or -R: `sceneNNN/{blur/blur_K,gt/gt_K}`, in `data_dir` or in a folder there.

    The split is that of the official list (a text file with `RealBlur`, `J` or `R`, and the split in its
    name) beside the scenes or one folder above; without it there are no splits. None where the tree is not.
    """
    roots = [folder for folder in (data_dir, *_folders_in(data_dir)) if _realblur_scenes(folder)]
    if not roots:
        return None
    if len(roots) > 1:
        raise InputError(
            f"{data_dir}: holds {' and '.join(root.name for root in roots)}; give one as --data_dir"
        )
    (root,), listing = roots, Listing()
    list_file = _realblur_list(root, split)
    listed = _realblur_names(list_file) if list_file else None
    for scene in _realblur_scenes(root):
        if listed is None or any(name.startswith(f"{scene.name}/") for name in listed):
            sides = (f"{scene.name}/blur", f"{scene.name}/gt")
            listing.add_folder(root, *sides, scene.name, prefixes=("blur_", "gt_"))
    listing.places, listing.has_splits = [root], listed is not None
    if listed is not None:
        missing = sorted(listed - {pair.name for pair in listing.pairs})
        listing.problems += [f"{list_file}: {name} is listed, but is not there" for name in missing]
        listing.pairs = [pair for pair in listing.pairs if pair.name in listed]
    return listing


def _realblur_scenes(folder):
    return [
        scene
        for scene in _folders_in(folder)
        if scene.name.startswith("scene") and _holds(scene, "blur", "gt")
    ]


def _realblur_list(root, split):
    """The list of this split in `root` or above it, None where there are no lists."""
    lists = {}
    for path in (path for folder in (root.parent, root) for path in sorted(folder.glob("*.txt"))):
        words = _words_of(path.name)
        # J or R, where the folder says which; the lists with `Tele` in their names are another selection.
        if words >= {"realblur"} | ({"j", "r"} & _words_of(root.name)) and "tele" not in words:
            lists.update({name: path for name in ("train", "test") if name in words})
    if lists and split not in lists:
        raise InputError(f"{root}: the official list of its {split} split is not beside {lists.popitem()[1]}")
    return lists.get(split)


def _words_of(name):
    return set(re.split("[^a-z]+", name.lower()))


def _realblur_names(list_file):
    """{`scene002/1`, ...}; which of a line's columns is the blurry file, the folder's name tells."""
    paths = [Path(word) for _, words in _read_columns(list_file) for word in words]
    blurry = [path for path in paths if path.parent.name == "blur"]
    if not blurry:
        raise InputError(f"{list_file}: names no file in a folder blur/; is it the official list?")
    return {f"{path.parent.parent.name}/{path.stem[len('blur_') :]}" for path in blurry}


def list_datalist(data_dir: Path, split: str, blur_folder: str) -> Listing | None:
    """Lists what a text file names, as the authors' `datalist_gopro.txt` does: lines `SHARP BLURRY`.

    The paths are relative to the list's folder or, as in the authors' repository, to `training_set/` there.
    The sequence is the last folder that both paths share. None where `data_dir` is no file.
    """
    if not data_dir.is_file():
        return None
    listing, names = Listing(places=[data_dir], has_splits=False), set()
    for number, words in _read_columns(data_dir):
        try:
            pair = _pair_of_line(data_dir.parent, words)
            if pair.name in names:
                raise InputError(f"the pair {pair.name} is listed already")
        except InputError as error:
            listing.problems.append(f"{data_dir}, line {number}: {error}")
            continue
        names.add(pair.name)
        listing.pairs.append(pair)
    return listing


def _read_columns(path):
    """[(number, words)] of a list's lines; empty ones are left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; --data_dir takes a folder or a list of pairs") from None
    return [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]


def _pair_of_line(folder, words):
    if len(words) < 2:
        raise InputError("has no second column; a line takes a sharp and a blurry file")
    files = []
    for word in words[:2]:
        found = [path for path in (folder / word, folder / "training_set" / word) if path.is_file()]
        if not found:
            raise InputError(f"{word} is not there")
        files.append(found[0])
    sharp, blurry = (Path(word).parts[:-1] for word in words[:2])
    shared = [one for one, other in zip(sharp, blurry) if one == other and one not in ("..", "/")]
    sequence = shared[-1] if shared else ""
    stem = Path(words[1]).stem
    return Pair(files[1], files[0], f"{sequence}/{stem}" if sequence else stem, sequence)


def list_tfrecord(data_dir: Path, split: str, blur_folder: str) -> Listing | None:
    """Lists TFRecord files, `SPLIT*.tfrecord`, unpacked by `srn.data.records`. None without any."""
    files = records.find_records(data_dir, split) if data_dir.is_dir() else []
    if not files:
        return None
    listing = Listing()
    listing.add_folder(records.unpack(files, split), "blur", "sharp")
    return listing


def _folders_in(folder):
    return [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []


def _holds(folder, *names):
    return all((folder / name).is_dir() for name in names)


@dataclasses.dataclass(frozen=True)
class Layout:
    """A layout.

    Attributes:
      list_pairs: (data_dir, split, blur_folder) -> `Listing`, or None where this layout is not.
      tree: what is looked for; SPLIT and BLUR stand for what the call names.
    """

    list_pairs: Callable[[Path, str, str], Listing | None]
    tree: str


LAYOUTS = {
    "gopro": Layout(list_gopro, "SPLIT/SEQUENCE/{BLUR,sharp}/"),
    "pairs": Layout(list_plain, "{BLUR,sharp}/"),
    "reds": Layout(list_reds, "train/train_{BLUR,sharp}/CLIP/ (val for the test split)"),
    "hide": Layout(list_hide, "train/, test/{test-close-ups,test-long-shot}/ and GT/"),
    "realblur": Layout(list_realblur, "sceneNNN/{blur,gt}/"),
    "tfrecord": Layout(list_tfrecord, "SPLIT*.tfrecord"),
    "datalist": Layout(list_datalist, "a text file of lines `SHARP BLURRY`"),
}
DATASETS = ("auto", *LAYOUTS)


def list_data_set(
    data_dir, dataset: str = "auto", split: str = "train", blur_folder: str = "blur"
) -> Listing:
    """Lists the pairs of a data set by its layout, "auto" being the first that is there.

    Args: as of `srn.data.pairs.find_pairs`.

    Raises `LayoutNotFoundError` where the layout is not there, `InputError` if a folder cannot be read.
    """
    data_dir = Path(data_dir)
    try:
        if not data_dir.exists():
            raise InputError(
                f"{data_dir}: there is no such folder; --data_dir takes the folder of the data set"
            )
        if dataset not in DATASETS:
            raise InputError(f"there is no data set layout {dataset!r}; choose one of {', '.join(DATASETS)}")
        # A folder that holds pairs itself is taken as that, whatever else lies in it.
        for name in ("pairs", *LAYOUTS) if dataset == "auto" else (dataset,):
            listing = LAYOUTS[name].list_pairs(data_dir, split, blur_folder)
            if listing is not None:
                pairs = [dataclasses.replace(pair, layout=name) for pair in listing.pairs]
                return dataclasses.replace(listing, pairs=pairs, layout=name)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error
    raise LayoutNotFoundError(_not_there(data_dir, dataset, split, blur_folder))


def _not_there(data_dir, dataset, split, blur_folder):
    if dataset == "pairs":
        return f"{data_dir}: the folders {blur_folder}/ and sharp/ are not both there"
    names = ("gopro", "pairs") if dataset == "auto" else (dataset,)
    trees = [LAYOUTS[name].tree.replace("SPLIT", split).replace("BLUR", blur_folder) for name in names]
    others = "; see data/README.md for the other layouts" if dataset == "auto" else ""
    return f"{data_dir}: no pairs there; looked for {' and '.join(trees)}{others}"
