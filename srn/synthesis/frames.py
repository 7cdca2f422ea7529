"""Blur from sharp frames: the mean of a few that follow each other is what one long exposure would have seen.

    open_frames -> exposures -> make_pair

So GOPRO was made (Nah et al., CVPR 2017): 7 to 13 frames of a camera that takes 240 a second are averaged,
and the one in the middle is the truth. Ordinary video has too few frames for that: their mean shows an object
several times over. There, frames between the frames are made by optical flow first, as REDS did with a
network (Nah et al., CVPRW 2019); the truth is still a frame that the camera took.

Frames are uint8 RGB [H, W, 3]. Neither a folder nor a video is ever held whole.
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

SHORTEST, LONGEST = 7, 13  # frames averaged for one blurry image, in GOPRO


@dataclasses.dataclass(frozen=True)
class WindowSettings:
    """How blurry images are made from frames.

    Attributes:
      shortest, longest: how many frames one image averages: odd numbers, drawn evenly for each image. With
        `between` above 0, frames that were made count too.
      stride: frames of the source from the beginning of one image's window to the next one's; 0 lets windows
        follow each other without a common frame.
      between: frames to make between any two that follow each other, by optical flow; 0 for none.
      gamma: 1 averages stored values (GOPRO's `blur`), 2.2 averages light (`blur_gamma`).
      seed: of the lengths.
    """

    shortest: int = SHORTEST
    longest: int = LONGEST
    stride: int = 0
    between: int = 0
    gamma: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if self.shortest < 3 or not self.lengths:
            asked = f"{self.shortest}-{self.longest}"
            raise InputError(f"a window of {asked} frames: an odd number of at least 3 has a middle")
        if self.stride < 0 or self.between < 0 or self.gamma <= 0:
            raise InputError("stride and frames between must not be below 0, and gamma must be above 0")

    @property
    def lengths(self) -> list[int]:
        """The lengths to draw from."""
        return [length for length in range(self.shortest, self.longest + 1) if length % 2]

    @property
    def step(self) -> int:
        """Frames of the source from one window's beginning to the next one's."""
        return self.stride or frames_needed(self.lengths[-1], self.between)

    def length_of(self, number: int) -> int:
        """The length of window `number`: the same for whoever asks."""
        return int(np.random.default_rng((self.seed, number)).choice(self.lengths))


@dataclasses.dataclass(frozen=True)
class Exposure:
    """The frames of one blurry image to be.

    Attributes:
      middle: place of the truth in the source, counted from 0.
      frames: uint8 [n, H, W, 3], n odd, as the camera took them.
      length: how many frames to average, made ones included; odd, and n where none are made.
    """

    middle: int
    frames: np.ndarray
    length: int


class FrameFolder:
    """A folder of frames, in the order of their names; `frame_10` comes after `frame_9`.

    Iterating reads one after the other. `name` is the folder's, `len` counts frames.

    Raises InputError, one line, for a folder without frames, a file that is no image, a size that differs.
    """

    def __init__(self, folder):
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
                raise InputError(f"{path}: {sizes}; frames must be of one size")


def _natural_order(path):
    """Numbers in a name count as numbers."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


class Video:
    """A video file. Iterating decodes it from its first frame; `name` is the file's without suffix.

    `len` is what the file says of itself, which some files do wrongly: for progress bars only.

    Raises InputError, one line, for a file that cannot be opened.
    """

    def __init__(self, path):
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
            there, frame = capture.read()
            while there:
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                there, frame = capture.read()
        finally:
            capture.release()

    def _open(self):
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: the line below says it for people
        level = cv2.setLogLevel(0)
        try:
            capture = cv2.VideoCapture(str(self.path))
        finally:
            cv2.setLogLevel(level)
        if not capture.isOpened():
            raise InputError(f"{self.path}: cannot be opened as a video; convert it to MP4 or to PNG frames")
        return capture


def open_frames(path: str | os.PathLike[str]) -> FrameFolder | Video:
    """The frames of a folder or of a video file. Raises InputError where there is neither."""
    if Path(path).is_dir():
        return FrameFolder(path)
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such folder or video file")
    return Video(path)


def windows(
    frames: Iterable[np.ndarray], lengths: Iterable[int], stride: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Cuts a stream of frames into windows, holding one window at a time.

    Args:
      frames: equal in size, uint8 [H, W, 3].
      lengths: frames of each window; one for every window, without an end.
      stride: frames from the beginning of one window to the next one's, at least 1.

    Returns:
      Yields (place of the first frame, uint8 [length, H, W, 3]), until the frames do not fill a window.
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
    """The exposures that a source of frames holds: a function of the source and the settings.

    Raises InputError, one line, for a source with fewer frames than its first window.
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
    """Frames of the source for a mean of `length`, odd, `between` of them made after each: an odd number.

    The middle one is to be the camera's own, so both sides are rounded up.
    """
    return 2 * math.ceil((length // 2) / (between + 1)) + 1


def make_pair(exposure: Exposure, settings: WindowSettings) -> tuple[np.ndarray, np.ndarray]:
    """(blurry, sharp), both uint8 [H, W, 3]; sharp is the exposure's middle frame as it was."""
    frames = exposure.frames
    if settings.between:
        frames = _filled(frames, settings.between)
    spare = (len(frames) - exposure.length) // 2
    sharp = exposure.frames[len(exposure.frames) // 2]
    return average_window(frames[spare : spare + exposure.length], settings.gamma), sharp


def average_window(frames: np.ndarray, gamma: float = 1.0) -> np.ndarray:
    """Averages frames and rounds.

    Args:
      frames: uint8 [n, H, W, 3].
      gamma: 1 averages the stored values, as GOPRO's `blur` does; 2.2 averages the light that they stand for
        under a camera curve of that gamma, as `blur_gamma` does.

    Returns:
      uint8 [H, W, 3].
    """
    light_of = (np.arange(256) / 255) ** gamma
    total = np.zeros(frames.shape[1:])
    for frame in frames:  # one by one: float copies of all of them would take 30 times the room of a picture
        total += light_of[frame]
    return np.rint(255 * (total / len(frames)) ** (1 / gamma)).astype(np.uint8)


def interpolate(first: np.ndarray, second: np.ndarray, between: int) -> np.ndarray:
    """Makes frames between two by dense optical flow.

    The flow from each frame to the other (DIS: Kroeger et al., ECCV 2016) is carried to each instant as in
    Super SloMo (Jiang et al., CVPR 2018, Eq. 4), both frames are warped there backwards, and blended by their
    distance in time.

    Args:
      first: uint8 RGB [H, W, 3].
      second: likewise, the frame after it.
      between: how many to make, evenly spaced in time.

    Returns:
      uint8 [between, H, W, 3].
    """
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second)]
    forth, back = _optical_flow(*grey), _optical_flow(*reversed(grey))
    made = np.empty((between, *first.shape), np.uint8)
    for place in range(between):
        time = (place + 1) / (between + 1)
        to_first = time * (time * back - (1 - time) * forth)
        to_second = (1 - time) * ((1 - time) * forth - time * back)
        sides = _warp_backward(first, to_first), _warp_backward(second, to_second)
        made[place] = cv2.addWeighted(sides[0], 1 - time, sides[1], time, 0)
    return made


def _filled(frames, between):
    """All of `frames` with `between` made ones after each but the last."""
    filled = [frames[:1]]
    for first, second in zip(frames[:-1], frames[1:]):
        filled += [interpolate(first, second, between), second[np.newaxis]]
    return np.concatenate(filled)


def _optical_flow(first, second):
    """Where each pixel of `first` is in `second`, relative to its own place: float32 [H, W, 2], (x, y)."""
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first, second, None)


def _warp_backward(frame, flow):
    """Fills each pixel from where `flow` points to in `frame`; its edges go on outside."""
    height, width = flow.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, np.newaxis]
    places = [np.float32(flow[..., 0] + x), np.float32(flow[..., 1] + y)]
    return cv2.remap(frame, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
