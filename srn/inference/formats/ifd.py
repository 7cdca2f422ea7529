"""TIFF directories, of which EXIF consists as well: reading, patching in place, writing.

A block begins with `II` or `MM` (the byte order), the number 42, and the offset of its first directory (TIFF
6.0, section 2; EXIF 2.32, 4.5.2). Many files of cameras have damaged entries, which are skipped; only a block
without a valid header is an error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

ORIENTATION = 274
EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 34665, 34853, 40965
_POINTERS = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)
# Type -> (bytes per value, bytes per number in it, which depend on the byte order).
_TYPES = {
    1: (1, 1),  # BYTE
    2: (1, 1),  # ASCII
    3: (2, 2),  # SHORT
    4: (4, 4),  # LONG
    5: (8, 4),  # RATIONAL
    6: (1, 1),  # SBYTE
    7: (1, 1),  # UNDEFINED
    8: (2, 2),  # SSHORT
    9: (4, 4),  # SLONG
    10: (8, 4),  # SRATIONAL
    11: (4, 4),  # FLOAT
    12: (8, 8),  # DOUBLE
    13: (4, 4),  # IFD
}
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
BYTE, LONG, UNDEFINED = 1, 4, 7


class Entry(NamedTuple):
    """One entry of a directory.

    Attributes:
      kind: TIFF's type number.
      number: of values.
      data: the values, little-endian.
      directory: of a pointer, what it points to; else None.
    """

    kind: int
    number: int
    data: bytes
    directory: dict[int, Entry] | None = None


class _Raw(NamedTuple):
    position: int  # of the entry's 12 bytes
    tag: int
    kind: int
    number: int
    start: int  # of its values
    size: int


def is_block(block: bytes) -> bool:
    """Whether `block` begins like a TIFF file or EXIF block of up to 4 GB."""
    return block[:4] in (b"II*\0", b"MM\0*") and len(block) >= 8


def orientation_of(block: bytes) -> int | None:
    """EXIF's orientation, 1 to 8, from the first directory; None if there is no valid one."""
    for raw in _orientations(block):
        value = _integer(block, raw)
        if 1 <= value <= 8:
            return value
    return None


def set_upright(block: bytes) -> bytes:
    """The block with its orientation set to 1 in place; nothing is moved, so that maker notes stay valid."""
    patched = bytearray(block)
    for raw in _orientations(block):
        if 1 <= _integer(block, raw) <= 8:
            struct.pack_into(_order(block) + _INTEGERS[raw.kind], patched, raw.start, 1)
    return bytes(patched)


def read(block: bytes) -> dict[int, Entry]:
    """The first directory, with those that it points to (EXIF, GPS, interoperability)."""
    return _read_directory(block, _first_offset(block), depth=0)


def directories(block: bytes) -> Iterator[dict[int, Entry]]:
    """Yields every directory of the chain: the pages of a TIFF file."""
    seen = set()
    offset = _first_offset(block)
    while offset and offset not in seen and offset + 2 <= len(block):
        seen.add(offset)
        yield _read_directory(block, offset, depth=2)  # pointers are not followed
        (count,) = struct.unpack_from(_order(block) + "H", block, offset)
        end = offset + 2 + 12 * count
        offset = struct.unpack_from(_order(block) + "I", block, end)[0] if end + 4 <= len(block) else 0


def integers(entry: Entry) -> list[int]:
    """The values of an entry of whole numbers; none for another type."""
    if entry.kind not in _INTEGERS:
        return []
    return list(struct.unpack(f"<{entry.number}{_INTEGERS[entry.kind]}", entry.data))


def short(*values: int) -> Entry:
    """An entry of 16-bit numbers."""
    return Entry(3, len(values), struct.pack(f"<{len(values)}H", *values))


def write(directory: dict[int, Entry], strips: list[bytes] | None = None) -> bytes:
    """A little-endian block with one directory, those that it points to, and the strips of an image.

    Args:
      directory: of the block.
      strips: the encoded pixels of a TIFF file, to which tags 273 and 279 will point.
    """
    out = bytearray(b"II*\0" + bytes(4))
    if strips:
        offsets = []
        for strip in strips:
            offsets.append(len(out))
            out += strip + bytes(len(strip) % 2)
        directory = {
            **directory,
            273: Entry(LONG, len(strips), struct.pack(f"<{len(strips)}I", *offsets)),
            279: Entry(LONG, len(strips), struct.pack(f"<{len(strips)}I", *map(len, strips))),
        }
    struct.pack_into("<I", out, 4, _write_directory(out, directory))
    return bytes(out)


def _write_directory(out: bytearray, directory: dict[int, Entry]) -> int:
    """Appends a directory to `out`; returns its offset."""
    fields = []
    for tag, entry in sorted(directory.items()):
        kind, count, data = entry.kind, entry.number, entry.data
        if entry.directory is not None:
            kind, count = LONG, 1
            data = struct.pack("<I", _write_directory(out, entry.directory))
        if len(data) > 4:
            offset = len(out)
            out += data + bytes(len(data) % 2)
            data = struct.pack("<I", offset)
        fields.append(struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0"))
    offset = len(out)
    out += struct.pack("<H", len(fields)) + b"".join(fields) + bytes(4)
    return offset


def _order(block):
    return "<" if block[:2] == b"II" else ">"


def _first_offset(block):
    if not is_block(block):
        raise ValueError("no TIFF structure")
    return struct.unpack_from(_order(block) + "I", block, 4)[0]


def _raw_entries(block, offset) -> Iterator[_Raw]:
    order = _order(block)
    if not 8 <= offset <= len(block) - 2:
        return
    (count,) = struct.unpack_from(order + "H", block, offset)
    for position in range(offset + 2, min(offset + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", block, position)
        if kind not in _TYPES:
            continue
        size = number * _TYPES[kind][0]
        start = position + 8
        if size > 4:
            (start,) = struct.unpack_from(order + "I", block, start)
        if start + size <= len(block):
            yield _Raw(position, tag, kind, number, start, size)


def _orientations(block) -> list[_Raw]:
    """Entries of the first directory that hold one whole number as orientation, of whatever type."""
    if not is_block(block):
        return []
    entries = _raw_entries(block, _first_offset(block))
    return [raw for raw in entries if raw.tag == ORIENTATION and raw.number == 1 and raw.kind in _INTEGERS]


def _integer(block, raw):
    return struct.unpack_from(_order(block) + _INTEGERS[raw.kind], block, raw.start)[0]


def _read_directory(block, offset, depth) -> dict[int, Entry]:
    directory: dict[int, Entry] = {}
    for raw in _raw_entries(block, offset):
        data = block[raw.start : raw.start + raw.size]
        width = _TYPES[raw.kind][1]
        if _order(block) == ">" and width > 1:
            words = [data[start : start + width][::-1] for start in range(0, len(data), width)]
            data = b"".join(words)
        below = None
        if raw.tag in _POINTERS and depth < 2 and raw.kind in (LONG, 13) and raw.number == 1:
            below = _read_directory(block, struct.unpack("<I", data)[0], depth + 1)
        directory.setdefault(raw.tag, Entry(raw.kind, raw.number, data, below))
    return directory
