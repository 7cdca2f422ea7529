"""The images of a run: packed as JPEG in parts of limited size, decoded on the training machine.

An archive is a folder, merged from its parts:

    photos/NAME.jpg                   sharp, of any size
    frames/SEQUENCE/NAME.jpg          consecutive frames of one size
    pairs/{blur,sharp}/NAME.jpg       real pairs
    held_out/{blur,sharp}/NAME.jpg    real pairs for validation only

Needs NumPy and OpenCV.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np

from srn.errors import InputError

MAX_WINDOW = 13  # maximum number of frames averaged for one blurry image, as in GOPRO
PHOTO_EVERY = 8  # every so many frames of a sequence also serve as sharp photographs
# For lossless files: some 45 dB PSNR, chroma at full resolution.
JPEG = [
    *(cv2.IMWRITE_JPEG_QUALITY, 97),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]
COUNTS_FILE = "counts.json"  # in part 0: number of files of all parts together, by folder
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


@dataclasses.dataclass(frozen=True)
class Archive:
    """Decoded images of a run, as tables of offsets into one array of pixels.

    Attributes:
      pixels: uint8 [N, 3], RGB: the pixels of all images, concatenated in row-major order.
      photos: int64 [n, 3], each (first pixel, height, width), including sharp images of pairs and every
        eighth frame.
      frames: int64 [n, 3], in the same form, sequence after sequence.
      windows: int64 [n], indices of the frames at which MAX_WINDOW frames of one sequence begin.
      pairs: int64 [n, 2, 3], blurry and sharp.
      held_out: list of (blurry, sharp), uint8 [H, W, 3].
    """

    pixels: np.ndarray
    photos: np.ndarray
    frames: np.ndarray
    windows: np.ndarray
    pairs: np.ndarray
    held_out: list

    def tables(self) -> dict:
        """The arrays that the sampler needs on the device."""
        names = ("pixels", "photos", "frames", "windows", "pairs")
        return {name: getattr(self, name) for name in names}

    def __str__(self):
        return (
            f"{len(self.photos)} photos, {len(self.frames)} frames, {len(self.pairs)} pairs, "
            f"{len(self.held_out)} held out"
        )


def open_archive(folder) -> Archive:
    """Decodes an archive. Raises `InputError` for a file that is not an image, and if there are none."""
    folder = Path(folder)
    _require_all_parts(folder)
    photos = _images(folder / "photos")
    sequences = [_images(path) for path in sorted((folder / "frames").glob("*")) if path.is_dir()]
    blurry, sharp = _images(folder / "pairs" / "blur"), _images(folder / "pairs" / "sharp")
    held_out = [_images(folder / "held_out" / side) for side in ("blur", "sharp")]
    for one, other in ((blurry, sharp), held_out):
        if [image.shape for image in one] != [image.shape for image in other]:
            raise InputError(f"{folder}: blurry and sharp images of its pairs do not match; pack it again")
    if not (photos or sequences or sharp):
        raise InputError(f"{folder}: no photos, frames or pairs in it; make it with pack.py")

    for sequence in sequences:
        if len({frame.shape for frame in sequence}) > 1:
            raise InputError(f"{folder}: the frames of a sequence differ in size")

    store = _Store()
    photo_entries = store.add(photos)
    frame_entries = [store.add(sequence) for sequence in sequences]
    pair_entries = np.stack([store.add(blurry), store.add(sharp)], axis=1)
    starts, first = [], 0
    for sequence in sequences:
        starts += range(first, first + len(sequence) - MAX_WINDOW + 1)
        first += len(sequence)
    return Archive(
        pixels=store.pixels(),
        photos=np.concatenate(
            [photo_entries, pair_entries[:, 1], *(entries[::PHOTO_EVERY] for entries in frame_entries)]
        ),
        frames=np.concatenate([np.zeros([0, 3], np.int64), *frame_entries]),
        windows=np.array(starts, np.int64),
        pairs=pair_entries,
        held_out=list(zip(*held_out)),
    )


def count_files(targets) -> dict:
    """{folder: number of files} of paths relative to an archive."""
    return dict(collections.Counter(str(Path(target).parent) for target in targets))


def _require_all_parts(folder):
    counts = folder / COUNTS_FILE
    if counts.exists():
        for name, expected in json.loads(counts.read_text()).items():
            found = sum(1 for _ in (folder / name).glob("*.jpg"))
            if found != expected:
                raise InputError(
                    f"{folder / name}: {found} files, not the {expected} packed: a part is missing"
                )


class _Store:
    def __init__(self):
        self._rows, self._next = [], 0

    def add(self, images) -> np.ndarray:
        """Appends images; returns their (first pixel, height, width)."""
        entries = np.zeros([len(images), 3], np.int64)
        for number, image in enumerate(images):
            entries[number] = self._next, *image.shape[:2]
            self._rows.append(image.reshape(-1, 3))
            self._next += image.shape[0] * image.shape[1]
        return entries

    def pixels(self) -> np.ndarray:
        return np.concatenate(self._rows)


def _images(folder) -> list:
    files = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in SUFFIXES)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(read_image, files))


def read_image(path) -> np.ndarray:
    """uint8 RGB [H, W, 3]. Raises `InputError` naming a file that cannot be decoded."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: not an image that can be read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
