"""Metadata of an image file, independent of its format."""

from __future__ import annotations

import dataclasses
import re

from srn.inference.formats import ifd

EXIF_PREFIX = b"Exif\0\0"
# Parts of a PNG or JPEG 2000 file that define its colours.
COLOUR_CHUNKS = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI")
COLOUR_PARTS = (*COLOUR_CHUNKS, b"colr")
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)([1-8])""")


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Metadata of an image file whose pixels are upright.

    Attributes:
      exif: a TIFF block (`srn.inference.formats.ifd`) without the prefix Exif; bytes of the original.
      xmp: a packet.
      icc: the colour profile.
      photoshop: Photoshop's image resources, which usually contain IPTC.
      iptc: IPTC's records by themselves, as TIFF has them.
      comments: without a key.
      texts: (key, text).
      dpi: pixels an inch, along width and height.
      parts: the parts of the container as they came, for a file of the same format; what they are is known to
        the module of that format.
    """

    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes = b""
    photoshop: bytes = b""
    iptc: bytes = b""
    comments: tuple[bytes, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    dpi: tuple[float, float] | None = None
    parts: tuple = ()

    @property
    def orientation(self) -> int:
        """The orientation, 1 to 8, from EXIF or else from XMP."""
        found = ifd.orientation_of(self.exif)
        if found is None:
            match = _XMP_ORIENTATION.search(self.xmp)
            found = int(match[2]) if match else 1
        return found

    def stripped(self) -> Metadata:
        """The colour profile (in PNG also gamma and the like) alone: without it colours would be others."""
        return Metadata(
            icc=self.icc, parts=tuple(part for part in self.parts if part[:1] and part[0] in COLOUR_PARTS)
        )


def set_xmp_upright(xmp: bytes) -> bytes:
    """The same packet, of the same length, with its orientation set to 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def without_exif_prefix(exif: bytes) -> bytes:
    """The TIFF block of an EXIF block that may begin with `EXIF_PREFIX`."""
    return exif[len(EXIF_PREFIX) :] if exif.startswith(EXIF_PREFIX) else exif


def left_out(metadata: Metadata, kept: set[str]) -> list[str]:
    """Names of what a file carries and a format that keeps only `kept` cannot: for a line to the user.

    Args:
      metadata: of the file.
      kept: names of attributes.
    """
    names = {
        "exif": "EXIF",
        "xmp": "XMP",
        "icc": "its colour profile",
        "photoshop": "IPTC",
        "iptc": "IPTC",
        "comments": "its comment",
        "texts": "its texts",
    }
    missing = [title for name, title in names.items() if getattr(metadata, name) and name not in kept]
    return list(dict.fromkeys(missing))
