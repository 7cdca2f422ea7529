"""Where training crops come from: pairs of images, photographs that are shaken, frames that are averaged.

A source has a length, the number of its parts (pairs, photographs, windows of frames), and a reader:

    reader(crop_size, seed) -> function (sample, place) -> uint8 [2, crop_size, crop_size, 3]

gives blurry and sharp of one crop; `place` is the number of the part, and everything random is drawn from
(seed, sample).
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
from srn.synthesis.frames import LONGEST, SHORTEST, Exposure, WindowSettings, frames_needed, make_pair
from srn.synthesis.settings import HANDHELD, ShakeSettings

if TYPE_CHECKING:
    from srn.data.cache import PreparedCache

ALGORITHM = "philox"  # of random numbers; named, so that every device draws the same
MEMORY = 256  # pictures of a source that are kept decoded: 250 MiB of 1280x720 halved, 700 as they are
FLOW_MARGIN = 32  # pixels around a crop that optical flow sees too


class PairSource:
    """Blurry and sharp images of equal size.

    Args:
      pairs: `srn.data.pairs.Pair`s whose images are at least as large as the crop.
      cache: a `srn.data.cache.PreparedCache` of them, or None to decode their files.
      downscale: whole factor by which crops are reduced: they are cut that much larger.
    """

    def __init__(self, pairs: list, cache: PreparedCache | None = None, downscale: int = 1):
        self.pairs, self.cache, self.downscale = pairs, cache, downscale

    def __len__(self):
        return len(self.pairs)

    def reader(self, crop_size: int, seed: int) -> Callable:
        """See the module."""
        read_window = self._window_of_files() if self.cache is None else self._window_of_cache()

        def read(sample, place):
            draws = tf.random.stateless_uniform([2], seed=tf.stack([seed, sample]), alg=ALGORITHM)
            return reduce_images(read_window(place, draws, crop_size * self.downscale), self.downscale)

        return read

    def describe(self, crop_size: int, seed: int, sample: int, item: int) -> str:
        """`NAME: 128x128 pixels from row 5, column 7 on`: what `reader` cuts for a sample."""
        pair = self.pairs[item]
        draws = tf.random.stateless_uniform([2], seed=tf.constant([seed, sample], tf.int64), alg=ALGORITHM)
        size = size_of(pair.sharp)[::-1] if self.cache is None else self.cache.sizes[item]
        side = crop_size * self.downscale
        top, left = corner(tf.constant(size, tf.int32), side, draws).numpy()
        return f"{pair.blurry}: {side}x{side} pixels from row {top}, column {left} on"

    def problems(self, item: int, crop_size: int) -> list[str]:
        """A line for each thing that is wrong with the files of a pair as they are now."""
        pair = self.pairs[item]
        return find_damage([pair]) or problems_of(pair, crop_size * self.downscale)

    def _window_of_files(self):
        blurry_files = tf.constant([str(pair.blurry) for pair in self.pairs])
        sharp_files = tf.constant([str(pair.sharp) for pair in self.pairs])

        def read_window(place, draws, crop_size):
            both = tf.stack([decode_in_graph(blurry_files[place]), decode_in_graph(sharp_files[place])])
            top, left = tf.unstack(corner(tf.shape(both)[1:3], crop_size, draws))
            return both[:, top : top + crop_size, left : left + crop_size]

        return read_window

    def _window_of_cache(self):
        assert self.cache is not None
        sizes, read = tf.constant(self.cache.sizes), self.cache.read_window

        def read_window(place, draws, crop_size):
            top, left = tf.unstack(corner(sizes[place], crop_size, draws))
            return tf.numpy_function(read, [place, top, left, crop_size], tf.uint8, stateful=False)

        return read_window


class PhotoSource:
    """Sharp photographs, each crop of which is shaken anew (`srn.synthesis.shake`).

    Args:
      folder: of images, searched to its depth; those smaller than the crop are mirrored at their edges.
      settings: what shakes are drawn of photographs at full size.
      downscale: whole factor by which photographs are reduced before they are shaken.

    Raises `InputError` for a folder without images, and naming files that are none.
    """

    def __init__(
        self, folder: str | os.PathLike[str], settings: ShakeSettings = HANDHELD, downscale: int = 1
    ):
        # Not above: tensorflow-addons is loaded only where blur is made.
        from srn.synthesis import shake

        self._shake = shake.shake_crop
        self._settings = settings.downscaled(downscale)
        self.files = list(_images_below(Path(folder)))

        @functools.lru_cache(maxsize=MEMORY)
        def read(file):
            return reduce_picture(read_rgb(file), downscale)

        self._read = read

    def __len__(self):
        return len(self.files)

    def reader(self, crop_size: int, seed: int) -> Callable:
        """See the module."""
        return _numpy_reader(functools.partial(self._make, crop_size, seed))

    def describe(self, crop_size: int, seed: int, sample: int, item: int) -> str:
        """The photograph of a sample."""
        return f"{self.files[item]}: shaken, sample {sample}"

    def problems(self, item: int, crop_size: int) -> list[str]:
        """A line if the photograph cannot be read now."""
        try:
            require_whole(self.files[item])
        except InputError as error:
            return [str(error)]
        return []

    def _make(self, crop_size, seed, sample, place):
        generator = np.random.default_rng((seed, sample))
        other = self._read(self.files[generator.integers(len(self.files))])
        pair = self._shake(self._read(self.files[place]), crop_size, generator, self._settings, other)
        return np.stack([np.rint(side * 255).astype(np.uint8) for side in pair])


class FrameSource:
    """Frames of video, a few neighbouring ones of which are averaged (`srn.synthesis.frames`).

    Args:
      folder: of frames, or of folders of frames; those of one folder have one size.
      smallest: height and width that each frame must have at least.
      shortest, longest: odd numbers of frames that are averaged; 7 to 13 as GOPRO. Interpolated ones count.
      between: frames to interpolate between neighbours, by optical flow; 0 for high-speed video.
      linear_light: part of the windows that is averaged in linear light.
      downscale: whole factor by which crops are reduced after the average: they are cut that much larger.

    Raises `InputError` for a folder without frames, or with fewer than a window has.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        smallest: int = 1,
        shortest: int = SHORTEST,
        longest: int = LONGEST,
        between: int = 0,
        linear_light: float = HANDHELD.gamma_probability,
        downscale: int = 1,
    ):
        self._linear_light, self._downscale, self._between = linear_light, downscale, between
        self._lengths = range(shortest, longest + 1, 2)
        self._sequences: list[list[Path]] = []
        self._starts: list[tuple[int, int]] = []
        by_folder: dict[Path, dict[Path, tuple[int, int]]] = {}
        for file, size in _images_below(Path(folder)).items():
            by_folder.setdefault(file.parent, {})[file] = size
        for sequence, sizes in by_folder.items():
            needed = frames_needed(longest, between)
            if len(sizes) < needed:
                raise InputError(f"{sequence}: {len(sizes)} frames, fewer than the {needed} of a window")
            if len(set(sizes.values())) > 1:
                raise InputError(f"{sequence}: its frames differ in size")
            if min(next(iter(sizes.values()))) < smallest:
                raise InputError(f"{sequence}: its frames are smaller than the {smallest}x{smallest} needed")
            self._starts += [(len(self._sequences), start) for start in range(len(sizes) - needed + 1)]
            self._sequences.append(list(sizes))
        # Neighbouring windows share their frames: a decoded frame is soon needed again.
        self._read = functools.lru_cache(maxsize=MEMORY)(read_rgb)

    def __len__(self):
        return len(self._starts)

    def reader(self, crop_size: int, seed: int) -> Callable:
        """See the module."""
        return _numpy_reader(functools.partial(self._make, crop_size, seed))

    def describe(self, crop_size: int, seed: int, sample: int, item: int) -> str:
        """The first frame of the window of a sample."""
        sequence, start = self._starts[item]
        return f"{self._sequences[sequence][start]}: averaged from here on, sample {sample}"

    def _make(self, crop_size, seed, sample, place):
        generator = np.random.default_rng((seed, sample))
        sequence, start = self._starts[place]
        length = int(generator.choice(self._lengths))
        stop = start + frames_needed(length, self._between)
        frames = [self._read(file) for file in self._sequences[sequence][start:stop]]
        side = crop_size * self._downscale
        top, left = (int(generator.integers(size - side + 1)) for size in frames[0].shape[:2])
        # Where frames are interpolated, what moves into the crop must be seen before it does.
        margin = FLOW_MARGIN if self._between else 0
        above, before = min(top, margin), min(left, margin)
        wider = (slice(top - above, top + side + margin), slice(left - before, left + side + margin))
        gamma = 2.2 if generator.random() < self._linear_light else 1.0
        settings = WindowSettings(length, length, between=self._between, gamma=gamma)
        exposure = Exposure(start + len(frames) // 2, np.stack([frame[wider] for frame in frames]), length)
        pair = [
            picture[above : above + side, before : before + side] for picture in make_pair(exposure, settings)
        ]
        return np.stack([reduce_picture(picture, self._downscale) for picture in pair])


def reduce_picture(picture: np.ndarray, factor: int) -> np.ndarray:
    """Means of `factor` x `factor` pixels, rounded: uint8 [H, W, 3] -> [H // factor, W // factor, 3]."""
    if factor == 1:
        return picture
    height, width = (side // factor for side in picture.shape[:2])
    picture = picture[: height * factor, : width * factor]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def reduce_images(images: tf.Tensor, factor: int) -> tf.Tensor:
    """As `reduce_picture`, but in graphs, of uint8 [B, H, W, 3]; H and W are multiples of `factor`."""
    if factor == 1:
        return images
    means = tf.nn.avg_pool2d(tf.cast(images, tf.float32), factor, factor, "VALID")
    return tf.cast(means + 0.5, tf.uint8)  # halves upwards, as OpenCV does


def corner(size: tf.Tensor, crop_size: int, draws: tf.Tensor) -> tf.Tensor:
    """The window's first row and column: `draws` in [0, 1) spread over the places that there are."""
    places = tf.cast(size - crop_size + 1, tf.float32)
    return tf.cast(draws * places, tf.int32)


def _numpy_reader(make):
    return lambda sample, place: tf.numpy_function(make, [sample, place], tf.uint8, stateful=False)


def _images_below(folder) -> dict:
    """{file: (width, height)} of all images in `folder` and the folders in it, in the order of their paths.

    Raises `InputError` with a line for each that is no image, as its header tells.
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
