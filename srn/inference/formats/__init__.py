"""File formats of photographs. To add one, define a `Format` in a module here, and add it to `FORMATS`."""

from __future__ import annotations

from pathlib import Path

from srn.inference.formats.image import Format
from srn.inference.formats.jpeg import JPEG
from srn.inference.formats.others import OTHERS
from srn.inference.formats.png import PNG
from srn.inference.formats.tiff import TIFF

FORMATS: dict[str, Format] = {each.name: each for each in (JPEG, PNG, TIFF, *OTHERS)}
SUFFIXES: tuple[str, ...] = tuple(suffix for each in FORMATS.values() for suffix in each.suffixes)
# Results are written as PNG, since these formats are not suited to photographs (256 colours, layers).
_READ_ONLY = "gif psd ico pcx sgi xbm dds pbm qoi icns j2k j2c jpc"
READ_ONLY_SUFFIXES = tuple(f".{word}" for word in _READ_ONLY.split(" "))
# Raw files, in which only a preview can be read.
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
