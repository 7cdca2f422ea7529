"""Blur from sharp video frames: the mean of consecutive frames approximates one long exposure.

    open_frames -> exposures -> make_pair

GOPRO was made this way (Nah et al., CVPR 2017): 7 to 13 frames of a 240 fps camera are averaged, and the
middle frame is the ground truth. At ordinary frame rates, the mean would show ghosts instead of blur; frames
are then interpolated by optical flow first, as REDS did with a network (Nah et al., CVPRW 2019). The ground
truth is always a frame of the source, never an interpolated one.

Frames are uint8 RGB [H, W, 3]. They are streamed: neither a folder nor a video is loaded whole.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from srn.errors import InputError
from srn.images import SUFFIXES, is_image, read_rgb, size_of

MIN_FRAMES, MAX_FRAMES = 7, 13  # frames averaged per blurry image in GOPRO


@dataclasses.dataclass(frozen=True)
class WindowSettings:
    """How frames are averaged to blurry images.

    Attributes:
      min_frames, max_frames: range of the number of averaged frames, odd, sampled uniformly for each image;
        interpolated frames count.
      stride: frames of the source between the starts of consecutive windows; 0 for windows without overlap.
      between: number of frames to interpolate between neighbours by optical flow; 0 for none.
      gamma: 1 averages stored values (GOPRO's `blur`), 2.2 averages linear light (`blur_gamma`).
      seed: of the window lengths.
    """

    min_frames: int = MIN_FRAMES
    max_frames: int = MAX_FRAMES
    stride: int = 0
    between: int = 0
    gamma: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if self.min_frames < 3 or not self.lengths:
            asked = f"{self.min_frames}-{self.max_frames}"
            raise InputError(f"a window of {asked} frames: an odd number of at least 3 is needed")
        if self.stride < 0 or self.between < 0 or self.gamma <= 0:
            raise InputError("stride and interpolated frames must be at least 0, and gamma must be above 0")

    @property
    def lengths(self) -> list[int]:
        """The window lengths to sample from."""
        return [length for length in range(self.min_frames, self.max_frames + 1) if length % 2]

    @property
    def step(self) -> int:
        """Frames of the source between the starts of consecutive windows."""
        return self.stride or frames_needed(self.lengths[-1], self.between)

    def length_of(self, number: int) -> int:
        """The length of window `number`, a function of the number and the seed."""
        return int(np.random.default_rng((self.seed, number)).choice(self.lengths))


@dataclasses.dataclass(frozen=True)
class Exposure:
    """The source frames of one blurry image.

    Attributes:
      middle: index of the ground truth frame in the source.
      frames: uint8 [n, H, W, 3], n odd.
      length: number of frames to average, including interpolated ones; odd, and n without interpolation.
    """

    middle: int
    frames: np.ndarray
    length: int


class FrameFolder:
    """A folder of frames in natural order: `frame_10` comes after `frame_9`.

    Iterating reads the frames one by one. `name` is that of the folder, `len` the number of frames.

    Raises `InputError` for a folder without frames, a file that is not an image, and frames of several sizes.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.name = self.folder.resolve().name
        try:
            files = [path for path in self.folder.iterdir() if is_image(path)]
        except OSError as error:
            raise InputError(f"{folder}: cannot be read ({error.strerror})") from error
        self.files = sorted(files, key=_natural_order)
        if not self.files:
            raise InputError(f"{folder}: no frame ({', '.join(SUFFIXES)}) in it")
        self._require_one_size()

    def __len__(self):
        return len(self.files)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (read_rgb(file, upright=True) for file in self.files)

    def _require_one_size(self):
        first = size_of(self.files[0], upright=True)
        for path in self.files[1:]:
            size = size_of(path, upright=True)
            if size != first:
                sizes = "{}x{}, but {} is {}x{}".format(*size, self.files[0].name, *first)
                raise InputError(f"{path}: {sizes}; all frames must have the same size")


def _natural_order(path):
    """Sort key that compares numbers in a name by value."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


class Video:
    """A video file. Iterating decodes it from the first frame; `name` is the file name without suffix.

    `len` is the frame count in the file's header, which may be wrong; it is meant for progress bars.

    Raises `InputError` for a file that cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.name = self.path.stem
        capture = self._open()
        self._length = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        capture.release()

    def __len__(self):
        return self._length

    def __iter__(self) -> Iterator[np.ndarray]:
        capture = self._open()
        try:
            found, frame = capture.read()
            while found:
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                found, frame = capture.read()
        finally:
            capture.release()

    def _open(self):
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: the error below says it
        level = cv2.setLogLevel(0)
        try:
            capture = cv2.VideoCapture(str(self.path))
        finally:
            cv2.setLogLevel(level)
        if not capture.isOpened():
            raise InputError(f"{self.path}: cannot be opened as a video; convert it to MP4 or to PNG frames")
        return capture


def open_frames(path: str | os.PathLike[str]) -> FrameFolder | Video:
    """Opens a folder of frames or a video file. Raises `InputError` if there is neither."""
    if Path(path).is_dir():
        return FrameFolder(path)
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such folder or video file")
    return Video(path)


def windows(
    frames: Iterable[np.ndarray], lengths: Iterable[int], stride: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Cuts a stream of frames into windows; one window is kept in memory at a time.

    Args:
      frames: uint8 [H, W, 3], all of the same size.
      lengths: number of frames of each window, an infinite iterable.
      stride: frames between the starts of consecutive windows, at least 1.

    Yields:
      (index of the first frame, uint8 [length, H, W, 3]), until there are not enough frames for a window.
    """
    stream = iter(frames)
    held: collections.deque[np.ndarray] = collections.deque()
    for first, length in zip(itertools.count(0, stride), lengths):
        held.extend(itertools.islice(stream, max(length - len(held), 0)))
        if len(held) < length:
            return
        yield first, np.stack(list(itertools.islice(held, length)))
        for _ in range(stride):
            if held:
                held.popleft()
            else:
                next(stream, None)


def exposures(frames: FrameFolder | Video, settings: WindowSettings = WindowSettings()) -> Iterator[Exposure]:
    """Yields the exposures of a source of frames, a function of the source and the settings.

    Raises `InputError` for a source with fewer frames than the first window needs.
    """
    lengths, again = itertools.tee(map(settings.length_of, itertools.count()))
    sizes = (frames_needed(length, settings.between) for length in again)
    found = 0
    for length, (first, window) in zip(lengths, windows(frames, sizes, settings.step)):
        yield Exposure(first + len(window) // 2, window, length)
        found += 1
    if not found:
        needed = frames_needed(settings.length_of(0), settings.between)
        raise InputError(f"{frames.name}: has fewer frames than the {needed} that its first window needs")


def frames_needed(length: int, between: int) -> int:
    """Number of source frames, odd, for a mean of `length` frames with `between` interpolated after each.

    Both sides are rounded up, so that the middle one is a frame of the source.
    """
    return 2 * math.ceil((length // 2) / (between + 1)) + 1


def make_pair(exposure: Exposure, settings: WindowSettings) -> tuple[np.ndarray, np.ndarray]:
    """Returns (blurry, sharp), both uint8 [H, W, 3]; sharp is the middle frame of the exposure."""
    frames = exposure.frames
    if settings.between:
        frames = _interpolate_all(frames, settings.between)
    spare = (len(frames) - exposure.length) // 2
    sharp = exposure.frames[len(exposure.frames) // 2]
    return average_window(frames[spare : spare + exposure.length], settings.gamma), sharp


def average_window(frames: np.ndarray, gamma: float = 1.0) -> np.ndarray:
    """Averages frames and rounds.

    Args:
      frames: uint8 [n, H, W, 3].
      gamma: 1 averages the stored values, as GOPRO's `blur` does; 2.2 averages linear light under a camera
        curve of that gamma, as `blur_gamma` does.

    Returns:
      uint8 [H, W, 3].
    """
    light_of = (np.arange(256) / 255) ** gamma
    total = np.zeros(frames.shape[1:])
    for frame in frames:  # one by one: all of them in float64 would take 8 times the memory
        total += light_of[frame]
    return np.rint(255 * (total / len(frames)) ** (1 / gamma)).astype(np.uint8)


def interpolate(first: np.ndarray, second: np.ndarray, between: int) -> np.ndarray:
    """Interpolates frames between two by dense optical flow.

    The flow in both directions (DIS: Kroeger et al., ECCV 2016) is interpolated at each instant as in Super
    SloMo (Jiang et al., CVPR 2018, Eq. 4); both frames are warped backwards by it and blended by their
    distance in time.

    Args:
      first: uint8 RGB [H, W, 3].
      second: the next frame, of the same shape.
      between: number of frames to interpolate, equally spaced in time.

    Returns:
      uint8 [between, H, W, 3].
    """
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second)]
    forth, back = _optical_flow(*grey), _optical_flow(*reversed(grey))
    made = np.empty((between, *first.shape), np.uint8)
    for index in range(between):
        time = (index + 1) / (between + 1)
        to_first = time * (time * back - (1 - time) * forth)
        to_second = (1 - time) * ((1 - time) * forth - time * back)
        sides = _warp_backward(first, to_first), _warp_backward(second, to_second)
        made[index] = cv2.addWeighted(sides[0], 1 - time, sides[1], time, 0)
    return made


def _interpolate_all(frames, between):
    """`frames` with `between` interpolated ones after each but the last."""
    filled = [frames[:1]]
    for first, second in zip(frames[:-1], frames[1:]):
        filled += [interpolate(first, second, between), second[np.newaxis]]
    return np.concatenate(filled)


def _optical_flow(first, second):
    """Displacement (x, y) of each pixel from `first` to `second`: float32 [H, W, 2]."""
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first, second, None)


def _warp_backward(frame, flow):
    """Samples `frame` at each pixel displaced by `flow`; edge pixels are repeated outside."""
    height, width = flow.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, np.newaxis]
    positions = [np.float32(flow[..., 0] + x), np.float32(flow[..., 1] + y)]
    return cv2.remap(frame, *positions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
