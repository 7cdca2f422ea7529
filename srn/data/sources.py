"""Sources of training crops: image pairs, photographs with synthetic camera shake, averaged video frames.

All randomness of a crop is derived from (seed, sample).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tensorflow as tf

from srn.data.pairs import find_damage, problems_of
from srn.errors import InputError
from srn.images import SUFFIXES, decode_in_graph, is_image, read_rgb, require_whole, size_of
from srn.synthesis.frames import MAX_FRAMES, MIN_FRAMES, Exposure, WindowSettings, frames_needed, make_pair
from srn.synthesis.settings import HANDHELD, ShakeSettings

if TYPE_CHECKING:
    from srn.data.cache import PreparedCache

ALGORITHM = "philox"  # random number generator; explicit, so that every device draws the same numbers
MEMORY = 256  # decoded images cached per source: 700 MiB for 1280x720, 250 MiB for half that size
FLOW_MARGIN = 32  # pixels around a crop that are included when estimating optical flow


class Source:
    """Base class of sources; `len` is the number of items: pairs, photographs, windows of frames or crops."""

    def __len__(self) -> int:
        raise NotImplementedError

    def reader(self, crop_size: int, seed: int) -> Callable:
        """Returns a function (sample, item) -> uint8 [2, crop_size, crop_size, 3], blurry and sharp crop.

        Args:
          crop_size: side of the crops, in pixels.
          seed: of all randomness, with `sample`, the number of the crop among those of this source.
        """
        raise NotImplementedError

    def describe(self, crop_size: int, seed: int, sample: int, item: int) -> str:
        """The crop of a sample in words, with the file that it is from."""
        raise NotImplementedError

    def problems(self, item: int, crop_size: int) -> list[str]:
        """Checks the files of an item as they are now; returns a line for each problem."""
        return []


class PairSource(Source):
    """Pairs of blurry and sharp images of equal size.

    Args:
      pairs: list of `srn.data.pairs.Pair` whose images are at least as large as the crop.
      cache: a `srn.data.cache.PreparedCache` of the pairs, or None to decode the image files.
      downscale: integer factor; crops are cut this many times larger and downscaled.
    """

    def __init__(self, pairs: list, cache: PreparedCache | None = None, downscale: int = 1):
        self.pairs, self.cache, self.downscale = pairs, cache, downscale

    def __len__(self):
        return len(self.pairs)

    def reader(self, crop_size: int, seed: int) -> Callable:
        """See `Source`."""
        read_window = self._window_of_files() if self.cache is None else self._window_of_cache()

        def read(sample, index):
            draws = tf.random.stateless_uniform([2], seed=tf.stack([seed, sample]), alg=ALGORITHM)
            return downscale_images(read_window(index, draws, crop_size * self.downscale), self.downscale)

        return read

    def describe(self, crop_size: int, seed: int, sample: int, item: int) -> str:
        """The crop of a sample in words: `FILE: 128x128 pixels from row 5, column 7 on`."""
        pair = self.pairs[item]
        draws = tf.random.stateless_uniform([2], seed=tf.constant([seed, sample], tf.int64), alg=ALGORITHM)
        size = size_of(pair.sharp)[::-1] if self.cache is None else self.cache.sizes[item]
        side = crop_size * self.downscale
        top, left = corner(tf.constant(size, tf.int32), side, draws).numpy()
        return f"{pair.blurry}: {side}x{side} pixels from row {top}, column {left} on"

    def problems(self, item: int, crop_size: int) -> list[str]:
        """Checks the files of a pair as they are now; returns a line per problem."""
        pair = self.pairs[item]
        return find_damage([pair]) or problems_of(pair, crop_size * self.downscale)

    def _window_of_files(self):
        blurry_files = tf.constant([str(pair.blurry) for pair in self.pairs])
        sharp_files = tf.constant([str(pair.sharp) for pair in self.pairs])

        def read_window(index, draws, crop_size):
            both = tf.stack([decode_in_graph(blurry_files[index]), decode_in_graph(sharp_files[index])])
            top, left = tf.unstack(corner(tf.shape(both)[1:3], crop_size, draws))
            return both[:, top : top + crop_size, left : left + crop_size]

        return read_window

    def _window_of_cache(self):
        assert self.cache is not None
        sizes, read = tf.constant(self.cache.sizes), self.cache.read_window

        def read_window(index, draws, crop_size):
            top, left = tf.unstack(corner(sizes[index], crop_size, draws))
            return tf.numpy_function(read, [index, top, left, crop_size], tf.uint8, stateful=False)

        return read_window


class PhotoSource(Source):
    """Sharp photographs; every crop gets a new synthetic camera shake (`srn.synthesis.shake`).

    Args:
      folder: of images, searched recursively; images smaller than the crop are mirrored at their edges.
      settings: distribution of the shakes, for photographs at full size.
      downscale: integer factor by which photographs are downscaled before they are shaken.

    Raises `InputError` for a folder without images, and for files that are not images, naming each.
    """

    def __init__(
        self, folder: str | os.PathLike[str], settings: ShakeSettings = HANDHELD, downscale: int = 1
    ):
        # Imported here: tensorflow-addons is only needed for blur synthesis.
        from srn.synthesis import shake

        self._shake = shake.shake_crop
        self._settings = settings.downscaled(downscale)
        self.files = list(_images_below(Path(folder)))

        @functools.lru_cache(maxsize=MEMORY)
        def read(file):
            return downscale_image(read_rgb(file), downscale)

        self._read = read

    def __len__(self):
        return len(self.files)

    def reader(self, crop_size: int, seed: int) -> Callable:
        """See `Source`."""
        return _numpy_reader(functools.partial(self._make, crop_size, seed))

    def describe(self, crop_size: int, seed: int, sample: int, item: int) -> str:
        """The photograph of a sample, in words."""
        return f"{self.files[item]}: shaken, sample {sample}"

    def problems(self, item: int, crop_size: int) -> list[str]:
        """Checks the file of a photograph as it is now; returns a line if it cannot be read."""
        try:
            require_whole(self.files[item])
        except InputError as error:
            return [str(error)]
        return []

    def _make(self, crop_size, seed, sample, index):
        generator = np.random.default_rng((seed, sample))
        other = self._read(self.files[generator.integers(len(self.files))])
        pair = self._shake(self._read(self.files[index]), crop_size, generator, self._settings, other)
        return np.stack([np.rint(side * 255).astype(np.uint8) for side in pair])


class FrameSource(Source):
    """Video frames; a few consecutive ones are averaged (`srn.synthesis.frames`).

    Args:
      folder: of frames, or of folders of frames; all frames of one folder have the same size.
      min_size: minimum height and width of the frames, in pixels.
      min_frames, max_frames: range of the number of averaged frames, odd, including interpolated ones; 7 to
        13 for GOPRO.
      between: number of frames to interpolate between neighbours by optical flow; 0 for high-speed video.
      linear_light: fraction of the windows that are averaged in linear light.
      downscale: integer factor; crops are cut this many times larger and downscaled after averaging.

    Raises `InputError` for a folder without frames, or with fewer than a window needs.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        min_size: int = 1,
        min_frames: int = MIN_FRAMES,
        max_frames: int = MAX_FRAMES,
        between: int = 0,
        linear_light: float = HANDHELD.gamma_probability,
        downscale: int = 1,
    ):
        self._linear_light, self._downscale, self._between = linear_light, downscale, between
        self._lengths = range(min_frames, max_frames + 1, 2)
        self._sequences: list[list[Path]] = []
        self._starts: list[tuple[int, int]] = []
        by_folder: dict[Path, dict[Path, tuple[int, int]]] = {}
        for file, size in _images_below(Path(folder)).items():
            by_folder.setdefault(file.parent, {})[file] = size
        for sequence, sizes in by_folder.items():
            needed = frames_needed(max_frames, between)
            if len(sizes) < needed:
                raise InputError(f"{sequence}: {len(sizes)} frames, fewer than the {needed} of a window")
            if len(set(sizes.values())) > 1:
                raise InputError(f"{sequence}: its frames differ in size")
            if min(next(iter(sizes.values()))) < min_size:
                raise InputError(f"{sequence}: its frames are smaller than the {min_size}x{min_size} needed")
            self._starts += [(len(self._sequences), start) for start in range(len(sizes) - needed + 1)]
            self._sequences.append(list(sizes))
        # Windows overlap, so that decoded frames are soon needed again.
        self._read = functools.lru_cache(maxsize=MEMORY)(read_rgb)

    def __len__(self):
        return len(self._starts)

    def reader(self, crop_size: int, seed: int) -> Callable:
        """See `Source`."""
        return _numpy_reader(functools.partial(self._make, crop_size, seed))

    def describe(self, crop_size: int, seed: int, sample: int, item: int) -> str:
        """The first frame of the window of a sample, in words."""
        sequence, start = self._starts[item]
        return f"{self._sequences[sequence][start]}: averaged from here on, sample {sample}"

    def _make(self, crop_size, seed, sample, index):
        generator = np.random.default_rng((seed, sample))
        sequence, start = self._starts[index]
        length = int(generator.choice(self._lengths))
        stop = start + frames_needed(length, self._between)
        frames = [self._read(file) for file in self._sequences[sequence][start:stop]]
        side = crop_size * self._downscale
        top, left = (int(generator.integers(size - side + 1)) for size in frames[0].shape[:2])
        # For interpolation, optical flow must see what moves into the crop from outside.
        margin = FLOW_MARGIN if self._between else 0
        above, before = min(top, margin), min(left, margin)
        wider = (slice(top - above, top + side + margin), slice(left - before, left + side + margin))
        gamma = 2.2 if generator.random() < self._linear_light else 1.0
        settings = WindowSettings(length, length, between=self._between, gamma=gamma)
        exposure = Exposure(start + len(frames) // 2, np.stack([frame[wider] for frame in frames]), length)
        pair = [
            image[above : above + side, before : before + side] for image in make_pair(exposure, settings)
        ]
        return np.stack([downscale_image(image, self._downscale) for image in pair])


def downscale_image(image: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks of `factor` x `factor` pixels: uint8 [H, W, 3] -> [H // factor, W // factor, 3]."""
    if factor == 1:
        return image
    height, width = (side // factor for side in image.shape[:2])
    image = image[: height * factor, : width * factor]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def downscale_images(images: tf.Tensor, factor: int) -> tf.Tensor:
    """`downscale_image` for a batch in a graph: uint8 [B, H, W, 3]; H and W are multiples of `factor`."""
    if factor == 1:
        return images
    means = tf.nn.avg_pool2d(tf.cast(images, tf.float32), factor, factor, "VALID")
    return tf.cast(means + 0.5, tf.uint8)  # rounds half up, as OpenCV does


def corner(size: tf.Tensor, crop_size: int, draws: tf.Tensor) -> tf.Tensor:
    """Top and left of a crop: `draws`, uniform in [0, 1), scaled to the range of valid positions."""
    positions = tf.cast(size - crop_size + 1, tf.float32)
    return tf.cast(draws * positions, tf.int32)


def _numpy_reader(make):
    return lambda sample, index: tf.numpy_function(make, [sample, index], tf.uint8, stateful=False)


def _images_below(folder) -> dict:
    """{file: (width, height)} of all images below `folder`, sorted by path.

    Raises `InputError` with a line for each file whose header is not that of an image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    sizes, problems = {}, []
    for path in sorted(folder.rglob("*")):
        if is_image(path):
            try:
                sizes[path] = size_of(path)
            except InputError as error:
                problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))
    if not sizes:
        raise InputError(f"{folder}: no image ({', '.join(SUFFIXES)}) in it")
    return sizes
