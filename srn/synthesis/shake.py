"""Camera shake: blurry/sharp pairs from sharp photographs.

A pair is drawn (a path for the camera, a depth for the scene, sometimes something that moves in front of it)
and then exposed: the photograph is seen from each pose of the path, and the views are averaged as a sensor
sums light. The middle pose is zero (`srn.synthesis.blur`): sharp is the photograph itself, pixel by
pixel, with the foreground in its place and saturated highlights white.

* Depth. What is near moves further when the camera moves: a smooth random map of the depth scales dx and dy
  of all poses. Three planes of the scene are seen through projective warps, and each pixel blends the two
  that its depth is between.
* Foreground. A piece of another photograph, cut out by a smooth blob, moves on a path of its own.
* Light. Stored values are averaged, or the light they stand for, as GOPRO has `blur` and `blur_gamma`.
* Saturation. What is nearly white in the photograph may have been several times brighter: it is raised above
  1 before the average and clipped after it, so that lamps draw streaks.
* Noise and JPEG, of the blurry picture alone.

A pair is a function of the photographs, the settings and the state of the generator. Only the pixels asked
for are warped, so that a crop costs the same from a photograph of any size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import tensorflow as tf

from srn.synthesis import blur
from srn.synthesis.settings import HANDHELD, ShakeSettings

DEPTHS = np.array([-1.0, 0.0, 1.0])  # of the planes, in units of `ShakeSettings.depth` away from 1
# Half waves across a photograph: hills of the depth a third of it wide, moving things an eighth.
DEPTH_WAVES, BLOB_WAVES = 4, 10
BLOB_LEVEL, BLOB_EDGE = 0.6, 0.06  # a blob is where its field is above the first; softness of its edge
LEAST_SIGMA = 0.1  # a Gaussian of less leaves 8-bit pixels as they are
WHITE = 0.9  # mean of a pixel's channels from which on it may be saturated


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of a picture, in pixels; it may reach beyond the picture, which is mirrored there."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """Cuts it out of uint8 or float32 [H, W, C]: float32 [height, width, C], uint8 scaled to [0, 1]."""
        rows = _mirrored(np.arange(self.top, self.top + self.height), picture.shape[0])
        columns = _mirrored(np.arange(self.left, self.left + self.width), picture.shape[1])
        piece = picture[rows[:, np.newaxis], columns]
        return piece.astype(np.float32) / 255 if piece.dtype == np.uint8 else piece


def shake(
    photograph: np.ndarray,
    generator: np.random.Generator,
    settings: ShakeSettings = HANDHELD,
    other: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a pair of a whole photograph.

    Args:
      photograph: [H, W, 3] RGB, float32 in [0, 1] or uint8; sharp at the level of pixels.
      generator: where all random numbers come from.
      settings: what may be drawn.
      other: a photograph of any size to cut the foreground from; None for no foreground.

    Returns:
      (blurry, sharp), float32 [H, W, 3] in [0, 1].
    """
    return shake_window(photograph, Window(0, 0, *photograph.shape[:2]), generator, settings, other)


def shake_crop(
    photograph: np.ndarray,
    size: int,
    generator: np.random.Generator,
    settings: ShakeSettings = HANDHELD,
    other: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a pair of a random square of side `size`, which alone is warped, else as `shake`."""
    room = [max(side - size, 0) + 1 for side in photograph.shape[:2]]
    top, left = (int(first) for first in generator.integers(room))
    window = Window(top, left, size, size)
    return shake_window(photograph, window, generator, settings, other)


def shake_window(
    photograph: np.ndarray,
    window: Window,
    generator: np.random.Generator,
    settings: ShakeSettings = HANDHELD,
    other: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a pair of a part of a photograph: what `shake` with the same draws shows there.

    (Noise and JPEG are drawn for the window alone.) Arguments and result are those of `shake`.
    """
    full = photograph.shape[:2]
    path = _draw_path(generator, settings)
    gamma, gain = _draw_light(generator, settings)
    weights = _plane_weights(smooth_field(generator, DEPTH_WAVES, full, window))
    planes = np.stack([path * [scale, scale, 1, 1] for scale in 1 + settings.depth * DEPTHS], axis=1)
    seen, warps = _patch_and_warps(planes, full, window)
    sigma = generator.uniform(0, settings.soften) if settings.soften else 0.0
    light = _light_of(_cut_softened(photograph, seen, sigma), gamma, gain)

    strokes = {name: getattr(settings, name) for name in ("longest", "shortest", "bend", "tremor", "lengths")}
    own_path = path + blur.camera_path(generator, len(path), **strokes)
    layer, layer_warps = _patch_and_warps(own_path[:, np.newaxis], full, window)
    field, shift = smooth_field(generator, BLOB_WAVES, full, layer), generator.integers(full)
    if other is not None and generator.random() < settings.foreground:
        place = dataclasses.replace(layer, top=layer.top + shift[0], left=layer.left + shift[1])
        front = _cut_out(_light_of(_cut_softened(other, place, sigma), gamma, gain), field)
    else:
        front, layer_warps = np.zeros((1, 1, 4), np.float32), layer_warps[:, :0]

    views = _expose(light, warps, weights, front, layer_warps)
    blurry, sharp = (np.clip(view, 0, 1) ** (1 / gamma) for view in views)
    return _record(blurry, generator, settings), sharp


def _draw_path(generator, settings) -> np.ndarray:
    """The camera's path, [poses, 4]: about a pose for each pixel, within the settings' bounds."""
    length = blur.draw_length(generator, settings.shortest, settings.longest, settings.lengths)
    poses = int(np.clip(length // 2 * 2 + 1, settings.fewest, settings.most))
    bends = {"bend": settings.bend, "tremor": settings.tremor}
    return blur.camera_path(generator, poses, length, length, settings.rotation, settings.zoom, **bends)


def _cut_softened(picture, window, sigma):
    """`window` of `picture` seen through a Gaussian of standard deviation `sigma` pixels."""
    if sigma < LEAST_SIGMA:
        return window.cut(picture)
    margin = int(np.ceil(4 * sigma))
    height, width = window.height, window.width
    wider = Window(window.top - margin, window.left - margin, height + 2 * margin, width + 2 * margin)
    softened = cv2.GaussianBlur(wider.cut(picture), (2 * margin + 1, 2 * margin + 1), sigma)
    return softened[margin : margin + height, margin : margin + width]


def _draw_light(generator, settings) -> tuple[float, float]:
    """(gamma of the average, brightness of highlights)."""
    gamma = settings.gamma if generator.random() < settings.gamma_probability else 1.0
    gain = generator.uniform(1, settings.saturation)
    return gamma, gain if generator.random() < settings.saturation_probability else 1.0


def smooth_field(
    generator: np.random.Generator, waves: int, full: Sequence[int], window: Window
) -> np.ndarray:
    """Draws a smooth random map over a whole picture and returns its part in `window`.

    It is a sum of cosines of 0 to `waves` - 1 half waves each way with normal amplitudes, even beyond the
    picture's edges as the mirrored picture is; about standard normal at each place.

    Returns float32 [height, width].
    """
    amplitudes = generator.standard_normal((waves, waves))
    starts, sides = (window.top, window.left), (window.height, window.width)
    rows, columns = (
        np.cos(np.pi * np.outer((np.arange(start, start + side) + 0.5) / size, np.arange(waves)))
        for start, side, size in zip(starts, sides, full)
    )
    # The mean of a squared cosine is 1 for no wave and 1/2 for others, so (waves + 1) / 2 in all, each way.
    return (rows @ amplitudes @ columns.T / ((waves + 1) / 2)).astype(np.float32)


def _plane_weights(field):
    """How much each plane counts at each pixel: [H, W] -> float32 [planes, H, W, 1], sums 1."""
    distance = np.abs(np.clip(field, DEPTHS[0], DEPTHS[-1]) - DEPTHS[:, np.newaxis, np.newaxis])
    return np.maximum(1 - distance, 0).astype(np.float32)[..., np.newaxis]


def _patch_and_warps(paths, full, window):
    """The part of the picture that `window` sees from all poses, and the warps from it to the window.

    Args:
      paths: [poses, planes, 4].
      full: height and width of the picture, about whose centre it is turned.
      window: where in the picture.

    Returns:
      (patch, a Window; warps, float32 [poses, planes, 8]).
    """
    warps = blur.projective_transforms(paths.reshape(-1, 4), *full).numpy().astype(np.float64)
    xs = np.array([window.left, window.left + window.width - 1])
    ys = np.array([window.top, window.top + window.height - 1])
    corners = np.array([[x, y, 1] for x in xs for y in ys]).T
    seen_x, seen_y = warps[:, 0:3] @ corners, warps[:, 3:6] @ corners
    # One pixel more on each side than the farthest corner needs: bilinear warps look at neighbours.
    left, top = int(np.floor(seen_x.min())) - 1, int(np.floor(seen_y.min())) - 1
    right, bottom = int(np.ceil(seen_x.max())) + 1, int(np.ceil(seen_y.max())) + 1
    patch = Window(top, left, bottom - top + 1, right - left + 1)
    # Into the coordinates of window and patch: warp (corner of the window + x) - corner of the patch.
    warps[:, 2], warps[:, 5] = seen_x[:, 0] - left, seen_y[:, 0] - top
    return patch, warps.reshape(*paths.shape[:2], 8).astype(np.float32)


def _cut_out(light, field):
    """Light [h, w, 3] and a field [h, w] -> [h, w, 4]: opacity last, light times opacity."""
    opacity = (1 + np.tanh((field - BLOB_LEVEL) / BLOB_EDGE)) / 2
    return np.float32(np.dstack([light * opacity[..., np.newaxis], opacity]))


def _light_of(picture, gamma, gain):
    """The light that a picture in [0, 1] stands for; what is nearly white is raised, up to `gain` times."""
    whiteness = np.clip((picture.mean(axis=-1, keepdims=True) - WHITE) / (1 - WHITE), 0, 1)
    return (picture * (1 + (gain - 1) * whiteness**2)) ** gamma


_SIGNATURE = [tf.TensorSpec([None] * rank) for rank in (3, 3, 4, 3, 3)]


@tf.function(input_signature=_SIGNATURE)
def _expose(light, warps, weights, front, front_warps):
    """Averages what is seen from each pose.

    Args:
      light: float32 [h, w, 3], at least 0: the patch of the scene.
      warps: float32 [poses, planes, 8].
      weights: float32 [planes, H, W, 1].
      front: float32 [h', w', 4]: light times opacity, and opacity.
      front_warps: float32 [poses, 1, 8], or [poses, 0, 8] for no foreground.

    Returns:
      (mean of all poses, middle pose), float32 [H, W, 3].
    """
    size, poses = tf.shape(weights)[1:3], tf.shape(warps)[0]

    def view(pose):
        scene = tf.reduce_sum(blur.views(light, warps[pose], size) * weights, axis=0)
        layer = tf.reduce_sum(blur.views(front, front_warps[pose], size), axis=0)
        return scene * (1 - layer[..., 3:]) + layer[..., :3]

    # A pose at a time: all views at once would take 30 times the room, and more time.
    total = tf.zeros(tf.concat([size, [3]], axis=0))
    for pose in tf.range(poses):
        total += tf.ensure_shape(view(pose), [None, None, 3])
    return total / tf.cast(poses, tf.float32), view(poses // 2)


def _record(picture, generator, settings):
    """What sensor and file leave of a picture: noise, then JPEG in some."""
    deviation = generator.uniform(0, settings.noise)
    if settings.noise_probability < 1 and generator.random() >= settings.noise_probability:
        deviation = 0.0
    noisy = picture + deviation * generator.standard_normal(picture.shape, np.float32)
    quality = int(generator.integers(settings.jpeg[0], settings.jpeg[1], endpoint=True))
    noisy = np.float32(np.clip(noisy, 0, 1))
    return _through_jpeg(noisy, quality) if generator.random() < settings.jpeg_probability else noisy


def _through_jpeg(picture, quality):
    pixels = np.rint(picture[..., ::-1] * 255).astype(np.uint8)  # OpenCV takes BGR
    _, file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.float32(cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1]) / 255


def _mirrored(places, size):
    """Places on a line of `size` pixels that is mirrored at its ends again and again."""
    places = places % (2 * size)
    return np.where(places < size, places, 2 * size - 1 - places)
