"""Listing of pairs: images of two folders are paired by their names.

Files are never ignored silently. If pairs are lost (a missing side, an unsupported file type, images in a
folder that is not searched), this is a problem, which the commands refuse; otherwise (a text file among the
images) it is a note, which is logged.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from srn.images import SUFFIXES, is_image

# Suffixes of images that are not supported.
_OTHER_KINDS = (
    *(".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pnm", ".jp2", ".jpe", ".jfif"),
    *(".heic", ".avif", ".exr", ".hdr", ".dng", ".tga", ".npy"),
)
# Usual names of the folders of the two sides, in upper or lower case; the first one of each is the default,
# which stands for all of them.
BLURRY_SIDES = ("blur", "blurry", "blurred", "input", "lq")
SHARP_SIDES = ("sharp", "target", "gt", "hq", "groundtruth", "ground_truth")
DEFAULT_SIDES = BLURRY_SIDES[0], SHARP_SIDES[0]
UNPACKED = "unpacked"  # folder of images unpacked from records or LMDB, which is only searched by these


@dataclasses.dataclass(frozen=True)
class Pair:
    """A blurry image and its ground truth.

    Attributes:
      blurry, sharp: the files.
      name: unique in the data set: `GOPR0384_11_00/000001`, or `000001` without sequences.
      sequence: such as `GOPR0384_11_00`; empty without sequences.
      layout: a key of `srn.data.layouts.LAYOUTS`.
    """

    blurry: Path
    sharp: Path
    name: str
    sequence: str = ""
    layout: str = "pairs"


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to list a data set.

    Attributes:
      data_dir: the folder of the data set, or a list.
      split: "train" or "test".
      blur_folder, sharp_folder: the names of the two sides. The defaults, "blur"
        and "sharp", stand for all of `BLURRY_SIDES` and `SHARP_SIDES`.
    """

    data_dir: Path
    split: str
    blur_folder: str = DEFAULT_SIDES[0]
    sharp_folder: str = DEFAULT_SIDES[1]

    @property
    def sides(self) -> list[tuple[str, str]]:
        """Names of the two sides, in the order of the search."""
        blurry, sharp = (
            known if named == known[0] else (named,)
            for named, known in ((self.blur_folder, BLURRY_SIDES), (self.sharp_folder, SHARP_SIDES))
        )
        return list(itertools.product(blurry, sharp))

    def sides_in(self, folder: Path, suffix: str = "") -> tuple[Path, Path] | None:
        """The folders of the two sides in `folder`, `suffix` after their names; None if they are missing."""
        there = folders_by_name(folder)
        for names in self.sides:
            found = [there[name] for name in (f"{name}{suffix}".lower() for name in names) if name in there]
            if len(found) == len(names):
                return found[0], found[1]
        return None

    def single_sides_in(self, folder: Path) -> list[Path]:
        """Folders in `folder` that have the name of a side."""
        names = {name.lower() for sides in self.sides for name in sides}
        return [path for name, path in folders_by_name(folder).items() if name in names]


@dataclasses.dataclass
class Listing:
    """The pairs found by a layout.

    Attributes:
      pairs: in the order of their folders and names.
      problems: a line for each problem by which pairs are lost.
      notes: a line for each other file or folder that is not used.
      folders: folders (or list) of the blurry images.
      has_splits: whether the layout has separate training and test images.
      layout: key of `srn.data.layouts.LAYOUTS`.
    """

    pairs: list[Pair] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    folders: list[Path] = dataclasses.field(default_factory=list)
    has_splits: bool = True
    layout: str = ""

    def add_folder(
        self,
        blurry: Path,
        sharp: Path,
        sequence: str = "",
        prefixes: tuple[str, str] = ("", ""),
        spare_sharp: bool = False,
    ) -> None:
        """Pairs the images of two folders by their names without suffix.

        Args:
          blurry, sharp: the folders.
          sequence: name of the sequence.
          prefixes: prefixes of blurry and sharp names, which are ignored.
          spare_sharp: whether `sharp` may have more images, since it is used by other folders, too.
        """
        blurry_files = self._images(blurry, prefixes[0])
        sharp_files = self._images(sharp, prefixes[1])
        self.folders.append(blurry)
        for stem in sorted(blurry_files.keys() & sharp_files.keys()):
            name = f"{sequence}/{stem}" if sequence else stem
            self.pairs.append(Pair(blurry_files[stem], sharp_files[stem], name, sequence))
        common = os.path.commonpath([blurry, sharp])
        self.problems += _alone(blurry_files, sharp_files, os.path.relpath(sharp, common))
        if not spare_sharp:
            self.problems += _alone(sharp_files, blurry_files, os.path.relpath(blurry, common))

    def add_sequences(self, root: Path, request: Request, inner: str = "", skip: Iterable[str] = ()) -> None:
        """Pairs the two sides, or their folders `inner`, in each folder of `root`, which is a sequence.

        A folder with one side only, or with images outside of both, is a problem.

        Args:
          root: the folder of the sequences.
          request: with the names of the sides.
          inner: sub-folder of each side with the images.
          skip: names of folders that are not sequences, in lower case.
        """
        for folder in folders_in(root):
            if folder.name.lower() in skip:
                continue
            if sides := request.sides_in(folder):
                self.add_folder(sides[0] / inner, sides[1] / inner, folder.name)
            elif single := request.single_sides_in(folder):
                self.problems.append(f"{folder}: has {single[0].name}/, but no folder of the other side")
            elif has_images(folder):
                self.problems.append(f"{folder}: has images, but not in two folders as the other sequences")
        if strays := count_images(root):
            self.notes.append(f"{root}: {strays} images beside the folders are not used")

    def _images(self, folder: Path, prefix: str) -> Mapping[str, Path]:
        """{name without prefix and suffix: file} of a folder's images."""
        images: dict[str, Path] = {}
        others = 0
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.startswith("."):
                continue
            if path.is_dir():
                if has_images(path):
                    self.problems.append(f"{path}: images in a folder inside of {folder.name}/ are not read")
            elif is_image(path):
                name = path.stem[len(prefix) :] if path.stem.startswith(prefix) else path.stem
                if name in images:
                    self.problems.append(f"{path}: another image there has the same name")
                images.setdefault(name, path)
            elif path.suffix.lower() in _OTHER_KINDS:
                self.problems.append(f"{path}: of a kind that is not read; convert it to PNG")
            else:
                others += 1
        if others:
            self.notes.append(f"{folder}: {others} file{'s' if others > 1 else ''} that are no images")
        return images


def folders_in(folder: Path) -> list[Path]:
    """The sub-folders of a folder sorted by name, without hidden ones and `UNPACKED`."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".") and path.name != UNPACKED
    ]


def folders_by_name(folder: Path) -> dict[str, Path]:
    """{name in lower case: path} of the sub-folders; lower-case names take precedence."""
    found = {path.name.lower(): path for path in folders_in(folder)}
    return {**found, **{path.name: path for path in folders_in(folder) if path.name == path.name.lower()}}


def child(folder: Path, name: str) -> Path:
    """The folder `name` in `folder`, in upper or lower case; `folder / name` if there is none."""
    return folders_by_name(folder).get(name.lower(), folder / name)


def has_images(folder: Path) -> bool:
    """Whether there is an image of any type in a folder or its sub-folders."""
    return any(path.suffix.lower() in (*SUFFIXES, *_OTHER_KINDS) for path in _visible_below(folder))


def count_images(folder: Path) -> int:
    """Number of images directly in a folder."""
    return sum(map(is_image, folder.iterdir())) if folder.is_dir() else 0


def _visible_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.name.startswith("."))


def _alone(files: Mapping[str, Path], partners: Mapping[str, Path], folder: str) -> list[str]:
    return [f"{files[stem]}: has no partner in {folder}/" for stem in sorted(files.keys() - partners.keys())]
