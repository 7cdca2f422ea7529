"""Writing of photographs in any format, with all metadata of the original that the format can hold."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np

from srn.errors import WorkError, first_line
from srn.files import write_atomically
from srn.inference.formats import FORMATS, format_of_suffix
from srn.inference.formats.image import Format, FormatError, Photograph
from srn.inference.formats.jpeg import too_long
from srn.inference.formats.metadata import Metadata, left_out

_IPTC_RESOURCE = 0x0404  # of Photoshop's image resources
_TRIAL = 64  # side in pixels


@dataclasses.dataclass(frozen=True)
class Encoding:
    """Options for writing restored photographs.

    Attributes:
      format: the name of a format (`FORMATS`); None: by the suffix, else that of the original.
      quality: of lossy formats, 1 to 100; None: as good as the original, and at least 95.
      strip: whether all metadata except the colour profile is removed.
    """

    format: str | None = None
    quality: int | None = None
    strip: bool = False


def choose_format(path: str | Path, photograph: Photograph, encoding: Encoding = Encoding()) -> Format:
    """The format to write: the requested one, that of the suffix, or that of the original.

    Raises `FormatError` if there is none.
    """
    if encoding.format is not None:
        return FORMATS[encoding.format]
    suffix = Path(path).suffix
    by_suffix = format_of_suffix(path)
    if by_suffix is None and suffix and photograph.format not in FORMATS:
        raise FormatError(f"{photograph.format} cannot be written; --format=png can")
    return by_suffix or FORMATS.get(photograph.format) or FORMATS["PNG"]


def encode_photograph(
    photograph: Photograph, form: Format, encoding: Encoding = Encoding()
) -> tuple[bytes, list[str]]:
    """The content of a file, and notes on what is lost, to be printed after "FILE: ".

    Raises `FormatError` for photographs that the format cannot hold.
    """
    height, width = photograph.pixels.shape[:2]
    if max(height, width) > form.max_side:
        raise FormatError(f"{width}x{height}: {form.name} holds {form.max_side} a side; --format=png more")
    native = form.name == photograph.format
    notes = []
    if photograph.alpha is not None and not form.alpha:
        photograph = dataclasses.replace(photograph, alpha=None)
        notes.append(f"its transparency is left out: {form.name} has none")
    channels = photograph.channels()
    if channels.dtype == np.uint16 and not form.deep:
        channels = ((channels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        notes.append(f"16 bits a channel become 8: {form.name} has no more; PNG and TIFF have")
    metadata = photograph.metadata.stripped() if encoding.strip else photograph.metadata
    if not native:
        metadata, missing = _fit(metadata, form)
        notes += [f"{', '.join(missing)} left out: {form.name} has no room"] if missing else []
    return form.encode(channels, metadata, photograph.coding, encoding.quality, native), notes


def _fit(metadata: Metadata, form: Format) -> tuple[Metadata, list[str]]:
    """The metadata that another format can hold, and the names of the rest."""
    if metadata.iptc and not metadata.photoshop and "photoshop" in form.keeps and "iptc" not in form.keeps:
        size = len(metadata.iptc)
        resource = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, size) + metadata.iptc + bytes(size % 2)
        metadata = dataclasses.replace(metadata, photoshop=resource, iptc=b"")
    keeps = set(form.keeps) - (too_long(metadata) if form.name == "JPEG" else set())
    missing = left_out(metadata, keeps)
    if metadata.photoshop and metadata.iptc and "photoshop" in keeps:  # the same twice
        missing = [name for name in missing if name != "IPTC"]
    empty = {name: type(getattr(metadata, name))() for name in ("exif", "xmp", "icc") if name not in keeps}
    return dataclasses.replace(metadata, parts=(), **empty), missing


def require_encodable(photograph: Photograph, form: Format, encoding: Encoding = Encoding()) -> None:
    """Encodes a corner of a photograph, to find out before the network runs whether it can be written.

    Raises `FormatError` with the reason.
    """
    height, width = photograph.pixels.shape[:2]
    if max(height, width) > form.max_side:
        encode_photograph(photograph, form, encoding)
    alpha = photograph.alpha
    corner = dataclasses.replace(
        photograph,
        pixels=photograph.pixels[:_TRIAL, :_TRIAL],
        alpha=None if alpha is None else alpha[:_TRIAL, :_TRIAL],
    )
    try:
        encode_photograph(corner, form, encoding)
    except FormatError:
        raise
    except Exception as error:  # of an encoder
        raise FormatError(f"cannot be written as {form.name} ({first_line(error)})") from error


def write_photograph(path: str | Path, photograph: Photograph, encoding: Encoding = Encoding()) -> list[str]:
    """Writes a photograph atomically; returns notes on what is lost.

    Raises `WorkError` naming the file if there is no such format, or it cannot be written.
    """
    try:
        data, notes = encode_photograph(photograph, choose_format(path, photograph, encoding), encoding)
        write_atomically(path, data)
    except OSError as error:
        raise WorkError(f"{path}: cannot be written ({error.strerror or error})") from error
    except Exception as error:  # encoders fail in every way
        raise WorkError(f"{path}: cannot be written ({first_line(error)})") from error
    return notes
