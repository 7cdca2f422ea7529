"""The data set of Köhler et al. (ECCV 2012): 48 blurry images, each with the frames of its trajectory.

4 images times 12 trajectories ("kernels") of a real camera; `Blurry{image}_{kernel}.png`. The ground truth of
each is not one image but some 199 frames, stored as `GroundTruth{image}_{kernel}.mat` or as
`Image{image}/Kernel{kernel}/GroundTruth{image}_{kernel}_{number}.png`, numbered from 1. The numbers of frames
are those of the PNG frames in deepinv's loader; those of the .mat files are not known.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from srn.errors import InputError, list_some
from srn.images import is_image, require_whole, size_of

_LOGGER = logging.getLogger(__name__)
Key = tuple[int, int]  # image, kernel
IMAGES, KERNELS = range(1, 5), range(1, 13)
_OTHER_FRAMES = {(2, 11): 200, **dict.fromkeys([(1, 10), (1, 12), (2, 10), (3, 7), (3, 12), (4, 12)], 198)}
# The official script skips frame 30 of image 1, kernel 3, which it calls missing.
UNUSED_FRAMES = {(1, 3): {30}}
_BLURRY = re.compile(r"Blurry([1-4])_([1-9]|1[0-2])\.png")
_TRUTH = re.compile(r"GroundTruth([1-4])_([1-9]|1[0-2])(?:\.mat|_([0-9]{1,4})\.png)")


@dataclasses.dataclass(frozen=True)
class KohlerImage:
    """A blurry image and its ground truths.

    Attributes:
      name: `1_12`: image and kernel, as in the names of the files.
      image, kernel: 1 to 4 and 1 to 12.
      blurry: the file; None if only ground truths were found.
      truths: one .mat file, or the PNG frames in order; empty if there are none.
    """

    name: str
    image: int
    kernel: int
    blurry: Path | None
    truths: tuple[Path, ...]


def official_frames(image: int, kernel: int) -> int:
    """The number of frames of a trajectory in the official data set; 9547 in all."""
    return _OTHER_FRAMES.get((image, kernel), 199)


def find_kohler(data_dir: str | os.PathLike[str]) -> list[KohlerImage]:
    """Lists the images in a folder and its sub-folders by image and kernel; there may be fewer than 48.

    Files are found by their names. PNG frames take precedence over .mat files.
    Raises `InputError` if there are none, or two files of the same name, one of which could be a result.
    """
    data_dir, others = Path(data_dir), 0
    blurry: dict[Key, Path] = {}
    arrays: dict[Key, Path] = {}
    frames: dict[Key, dict[int, Path]] = {}
    for path in sorted(data_dir.rglob("*")):
        match = _BLURRY.fullmatch(path.name) or _TRUTH.fullmatch(path.name)
        if match is None:
            others += is_image(path)
            continue
        key = int(match[1]), int(match[2])
        if path.name.startswith("Blurry"):
            known = blurry.setdefault(key, path)
        elif match[3]:
            known = frames.setdefault(key, {}).setdefault(int(match[3]), path)
        else:
            known = arrays.setdefault(key, path)
        if known != path:
            raise InputError(f"{path}: is there twice, also as {known}; leave one of them in the folder")
    images = []
    for key in sorted({*blurry, *frames, *arrays}):
        truths = tuple(path for _, path in sorted(frames.get(key, {}).items()))
        truths = truths or ((arrays[key],) if key in arrays else ())
        image, kernel = key
        images.append(KohlerImage(f"{image}_{kernel}", image, kernel, blurry.get(key), truths))
    if not images:
        looked_for = "Blurry1_1.png to Blurry4_12.png and GroundTruth1_1.mat or GroundTruth1_1_1.png, ..."
        raise InputError(f"{data_dir}: no images of Köhler et al. in it or below; looked for {looked_for}")
    if others:
        _LOGGER.warning("%s: %d images in it or below are of other names and not used", data_dir, others)
    return images


def check_kohler(images: list[KohlerImage], progress: bool = False, official: bool = True) -> list[str]:
    """Checks the result of `find_kohler`; returns a line for each problem.

    Blurry images are decoded. For PNG frames, only the header and the end are read; .mat files must exist and
    not be empty.

    Args:
      images, progress: the images; whether to show a progress bar on stderr.
      official: whether to report what is missing from the official data set.
    """
    found, lines = {(image.image, image.kernel) for image in images}, []
    missing = [f"{image}_{kernel}" for image in IMAGES for kernel in KERNELS if (image, kernel) not in found]
    if official and missing:
        lines.append(f"{len(missing)} of 48 images are missing: {list_some(missing)}")
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        checks = pool.map(lambda image: _check_image(image, official), images)
        bar = tqdm(checks, desc="checking", total=len(images), unit="image", disable=not progress)
        return lines + [line for found in bar for line in found]
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest


def _check_image(image: KohlerImage, official: bool) -> list[str]:
    lines, size = [], None
    if image.blurry is None:
        lines.append(f"{image.name}: has truths, but no Blurry{image.name}.png")
    else:
        try:
            size = size_of(image.blurry)
            require_whole(image.blurry)
        except InputError as error:
            lines.append(str(error))
    if not image.truths:
        return [*lines, f"{image.blurry}: has no truths, GroundTruth{image.name}.mat or PNG frames"]
    if (path := image.truths[0]).suffix == ".mat":
        return lines if path.is_file() and path.stat().st_size else [*lines, f"{path}: is missing or empty"]
    return lines + _check_numbers(image, official) + _check_frames(image, size)


def _check_numbers(image: KohlerImage, official: bool) -> list[str]:
    lines, expected = [], official_frames(image.image, image.kernel)
    numbers = {int(path.stem.split("_")[-1]) for path in image.truths}
    excused = numbers | UNUSED_FRAMES.get((image.image, image.kernel), set())
    if official and len(excused) < expected:
        lines.append(f"{image.name}: {len(image.truths)} frames; the official data set has {expected}")
    if gaps := [str(number) for number in range(1, max(numbers)) if number not in excused]:
        lines.append(f"{image.name}: frames are missing between the others: {list_some(gaps)}")
    return lines


def _check_frames(image: KohlerImage, size: tuple[int, int] | None) -> list[str]:
    lines, others = [], []
    for path in image.truths:
        try:
            if (found := size_of(path)) != (size := size or found):  # the first's, without a blurry one
                others.append("{} is {}x{}".format(path, *found))
        except InputError as error:
            lines.append(str(error))
    if others:
        width, height = size or (0, 0)
        lines.append(f"{image.blurry or image.name}: {width}x{height}, but {list_some(others)}")
    return lines
