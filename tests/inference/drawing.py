"""Photographs of all kinds, drawn for the tests: nothing here is read from anywhere."""

import struct

import cv2
import numpy as np
from PIL import Image, ImageCms

from srn.inference.reading import read_photograph
from srn.inference.writing import Encoding, write_photograph

XMP = (
    b"<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
    b"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about='' "
    b"xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation=\"6\"/></rdf:RDF></x:xmpmeta>"
)
XMP_UPRIGHT = XMP.replace(b'"6"', b'"1"')
IPTC = b"\x1c\x02\x78\x00\x07caption"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PHOTOSHOP = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC


def scene(height=40, width=60, seed=0, dtype=np.uint8):
    """Colours without hard edges, so that JPEG keeps them."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return np.rint(smooth * np.iinfo(dtype).max).astype(dtype)


def picture(mode="RGB", **options):
    """`scene` as a PIL image."""
    return Image.fromarray(scene(**options)).convert(mode)


def exif(*entries, order="<"):
    """A block whose first directory has (tag, type, count, 4 bytes) entries."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    fields = b"".join(struct.pack(order + "HHI", t, k, n) + value for t, k, n, value in entries)
    directory = struct.pack(order + "H", len(entries)) + fields + bytes(4)
    return b"Exif\0\0" + start + struct.pack(order + "I", 8) + directory


def camera_exif(orientation=6, order="<"):
    """As a camera writes it: orientation, and a maker note with an offset into the whole block."""
    maker_note = b"MAKER" + struct.pack(order + "I", 0x9A) + bytes(range(60))
    first = [(0x10F, 2, 4, b"Cam\0"), (0x112, 3, 1, struct.pack(order + "HH", orientation, 0))]
    below = 8 + 2 + 12 * 3 + 4
    note_at = below + 2 + 12 + 4
    block = exif(*first, (0x8769, 4, 1, struct.pack(order + "I", below)), order=order)
    directory = struct.pack(order + "HHHII", 1, 0x927C, 7, len(maker_note), note_at) + bytes(4)
    return block + directory + maker_note


def segments(data):
    """[(marker, payload)] of a JPEG, before its scan."""
    found, position = [], 2
    while data[position + 1] != 0xDA:
        length = struct.unpack_from(">H", data, position + 2)[0]
        found.append((data[position + 1], data[position + 4 : position + 2 + length]))
        position += 2 + length
    return found


def with_segments(data, *added):
    """A JPEG with segments (marker, payload) behind its first one."""
    length = 4 + struct.unpack_from(">H", data, 4)[0]
    blocks = b"".join(struct.pack(">BBH", 0xFF, m, len(p) + 2) + p for m, p in added)
    return data[:length] + blocks + data[length:]


def chunks(data):
    """[(type, content)] of a PNG."""
    found, position = [], 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        found.append((kind, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def again(path, target=None, encoding=None):
    """Reads and writes a file as the command does; (photograph, content of the new file, notes)."""
    photograph = read_photograph(path)
    target = target or path.with_name(f"{path.stem}_out{path.suffix}")
    notes = write_photograph(target, photograph, encoding or Encoding())
    return photograph, target.read_bytes(), [*photograph.notes, *notes]
