"""Images in LMDB in the format of BasicSR and NAFNet.

A folder `NAME.lmdb` holds `data.mdb`, whose keys are image names and whose values are encoded files (PNG or
JPEG), and `meta_info.txt` with a line for each: `000_00000000.png (720,1280,3) 1`. Like TFRecord
files, they are unpacked once into UNPACKED beside them, and read from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from srn.data.listing import UNPACKED, Request, folders_by_name
from srn.data.records import suffix_of, unpack_once, write_image
from srn.errors import InputError, first_line

SUFFIX = ".lmdb"
_DATA, _NAMES = "data.mdb", "meta_info.txt"
_OTHER_SIDES = (("blur_crops", "sharp_crops"), ("blur_300", "sharp_300"))  # of NAFNet: GOPRO, REDS


def find_sides(root: Path, request: Request, split: str) -> tuple[Path, Path] | None:
    """The blurry and the sharp LMDB in a folder; None unless both exist.

    Args:
      root: the folder.
      request: with the names of the sides.
      split: for the names of REDS.
    """
    found = request.sides_in(root, SUFFIX)
    if found is not None:
        return found
    there = folders_by_name(root)
    reds = (f"{split}_{request.blur_folder}", f"{split}_{request.sharp_folder}")
    for sides in (reds, *_OTHER_SIDES):
        paths = [there[name] for name in (f"{side}{SUFFIX}" for side in sides) if name in there]
        if len(paths) == len(sides):
            return paths[0], paths[1]
    return None


def unpack(blurry: Path, sharp: Path) -> Path:
    """Unpacks two LMDBs into `UNPACKED/NAME/{blur,sharp}/` beside them, unless this was done before.

    Returns the folder that holds `blur` and `sharp`; slashes in names become "__".

    Raises `InputError` if the package lmdb is missing, or one of the two is damaged.
    """
    target = blurry.parent / UNPACKED / blurry.stem
    files = [blurry / _DATA, sharp / _DATA]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: is not there")

    def write_all() -> None:
        for source, folder in ((blurry, "blur"), (sharp, "sharp")):
            for name, encoded in _read(source):
                suffix = suffix_of(encoded, source)
                write_image(target / folder / f"{name.replace('/', '__')}{suffix}", encoded)

    unpack_once(target, files, write_all)
    return target


def _read(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yields (name, encoded image), and checks that all images in `meta_info.txt` exist."""
    lmdb = _import_lmdb()
    names = set()
    try:
        with lmdb.open(str(folder), readonly=True, lock=False) as opened, opened.begin() as transaction:
            for key, value in transaction.cursor():
                names.add(key.decode())
                yield key.decode(), bytes(value)
    except (lmdb.Error, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: damaged, or no LMDB of images ({first_line(error)})") from error
    if (folder / _NAMES).is_file():
        lines = (folder / _NAMES).read_text(encoding="utf-8").splitlines()
        listed = {line.rsplit(" (", 1)[0].rpartition(".")[0] for line in lines if line.strip()}
        if listed != names:
            missing = sorted(listed ^ names)
            raise InputError(f"{folder}: {_NAMES} does not name the same images: {missing[0]}, ...")


def _import_lmdb() -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise InputError("LMDB needs the package lmdb: pip install lmdb") from error
    return lmdb
