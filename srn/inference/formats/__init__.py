"""The formats of photographs: a new one is a `Format` in `FORMATS`, made in a module of this package."""

from __future__ import annotations

from pathlib import Path

from srn.inference.formats.image import Format
from srn.inference.formats.jpeg import JPEG
from srn.inference.formats.others import OTHERS
from srn.inference.formats.png import PNG
from srn.inference.formats.tiff import TIFF

FORMATS: dict[str, Format] = {each.name: each for each in (JPEG, PNG, TIFF, *OTHERS)}
SUFFIXES: tuple[str, ...] = tuple(suffix for each in FORMATS.values() for suffix in each.suffixes)
# Read, and written as PNG: what they hold besides (256 colours, layers) does not suit photographs.
_READ_ONLY = "gif psd ico pcx sgi xbm dds pbm qoi icns j2k j2c jpc"
READ_ONLY_SUFFIXES = tuple(f".{word}" for word in _READ_ONLY.split(" "))
# Of cameras: what can be read in them is a preview.
_RAW = (
    "dng cr2 cr3 crw nef nrw arw srf sr2 srw raf orf rw2 rwl raw pef ptx iiq 3fr fff mef mos mrw erf kdc dcr "
    "x3f gpr cap"
)
RAW_SUFFIXES = tuple(f".{word}" for word in _RAW.split(" "))
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")


def format_of_suffix(path: str | Path) -> Format | None:
    """The format that a file name stands for, None for none that is written."""
    suffix = Path(path).suffix.lower()
    return next((each for each in FORMATS.values() if suffix in each.suffixes), None)
