"""Synthetic camera shake: blurry/sharp pairs from sharp photographs.

A camera path, a depth map and sometimes a moving foreground object are sampled; the photograph is then warped
for each pose of the path, and the views are averaged as a sensor integrates light. The middle pose is zero
(`srn.synthesis.blur`): the sharp image is the photograph itself, pixel by pixel, with the foreground in its
middle position and saturated highlights clipped to white.

* Depth. Near points move further when the camera moves: a smooth random depth map scales dx and dy of all
  poses. The scene is warped on three depth planes, and each pixel is interpolated between the two nearest.
* Foreground. A region of another photograph, cut out by a smooth mask, moves along a path of its own.
* Light. Either the stored values or linear light is averaged, as in GOPRO's `blur` and `blur_gamma`.
* Saturation. Nearly white pixels may have been several times brighter: they are raised above 1 before
  averaging and clipped afterwards, so that lamps leave streaks.
* Noise and JPEG compression, of the blurry image only.

A pair is a function of the photographs, the settings and the state of the generator. Only the pixels of the
crop are warped, so that its cost does not depend on the size of the photograph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import tensorflow as tf

from srn.synthesis import blur
from srn.synthesis.settings import HANDHELD, ShakeSettings

DEPTHS = np.array([-1.0, 0.0, 1.0])  # of the planes, as multiples of `ShakeSettings.depth`
# Number of half waves across a photograph: the depth varies over a third of it, foregrounds over an eighth.
DEPTH_WAVES, BLOB_WAVES = 4, 10
BLOB_LEVEL, BLOB_EDGE = 0.6, 0.06  # threshold of the field inside the mask, and width of the soft edge
MIN_SIGMA = 0.1  # a Gaussian below this does not change 8-bit pixels
WHITE = 0.9  # pixels whose mean over the channels is above this may be saturated


@dataclasses.dataclass(frozen=True)
class Window:
    """A rectangle of an image, in pixels. Outside of the image, the mirrored image is read."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """Crops uint8 or float32 [H, W, C] to float32 [height, width, C]; uint8 is scaled to [0, 1]."""
        rows = _mirrored(np.arange(self.top, self.top + self.height), picture.shape[0])
        columns = _mirrored(np.arange(self.left, self.left + self.width), picture.shape[1])
        crop = picture[rows[:, np.newaxis], columns]
        return crop.astype(np.float32) / 255 if crop.dtype == np.uint8 else crop


def shake(
    photograph: np.ndarray,
    generator: np.random.Generator,
    settings: ShakeSettings = HANDHELD,
    other: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a pair from a whole photograph.

    Args:
      photograph: [H, W, 3] RGB, float32 in [0, 1] or uint8; sharp at full resolution.
      generator: the source of all randomness.
      settings: distribution of the shakes.
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
    """Makes a pair from a random square crop of side `size`; otherwise like `shake`."""
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
    """Makes a pair from a window of a photograph: the crop of what `shake` returns for the same draws.

    (Except noise and JPEG, which are applied to the window.) Arguments and result are those of `shake`.
    """
    full = photograph.shape[:2]
    path = _draw_path(generator, settings)
    gamma, gain = _draw_light(generator, settings)
    weights = _plane_weights(smooth_field(generator, DEPTH_WAVES, full, window))
    planes = np.stack([path * [scale, scale, 1, 1] for scale in 1 + settings.depth * DEPTHS], axis=1)
    seen, warps = _patch_and_warps(planes, full, window)
    sigma = generator.uniform(0, settings.soften) if settings.soften else 0.0
    light = _light_of(_cut_softened(photograph, seen, sigma), gamma, gain)

    names = ("max_length", "min_length", "bend", "tremor", "lengths")
    own_path = path + blur.camera_path(
        generator, len(path), **{name: getattr(settings, name) for name in names}
    )
    layer, layer_warps = _patch_and_warps(own_path[:, np.newaxis], full, window)
    field, shift = smooth_field(generator, BLOB_WAVES, full, layer), generator.integers(full)
    if other is not None and generator.random() < settings.foreground:
        shifted = dataclasses.replace(layer, top=layer.top + shift[0], left=layer.left + shift[1])
        front = _cut_out(_light_of(_cut_softened(other, shifted, sigma), gamma, gain), field)
    else:
        front, layer_warps = np.zeros((1, 1, 4), np.float32), layer_warps[:, :0]

    views = _expose(light, warps, weights, front, layer_warps)
    blurry, sharp = (np.clip(view, 0, 1) ** (1 / gamma) for view in views)
    return _record(blurry, generator, settings), sharp


def _draw_path(generator, settings) -> np.ndarray:
    """Samples a camera path, [poses, 4], with about one pose per pixel, within the bounds of the settings."""
    length = blur.draw_length(generator, settings.min_length, settings.max_length, settings.lengths)
    poses = int(np.clip(length // 2 * 2 + 1, settings.min_poses, settings.max_poses))
    bends = {"bend": settings.bend, "tremor": settings.tremor}
    return blur.camera_path(generator, poses, length, length, settings.rotation, settings.zoom, **bends)


def _cut_softened(picture, window, sigma):
    """`window` of `picture`, blurred by a Gaussian of standard deviation `sigma` pixels."""
    if sigma < MIN_SIGMA:
        return window.cut(picture)
    margin = int(np.ceil(4 * sigma))
    height, width = window.height, window.width
    wider = Window(window.top - margin, window.left - margin, height + 2 * margin, width + 2 * margin)
    softened = cv2.GaussianBlur(wider.cut(picture), (2 * margin + 1, 2 * margin + 1), sigma)
    return softened[margin : margin + height, margin : margin + width]


def _draw_light(generator, settings) -> tuple[float, float]:
    """Samples (gamma of the average, gain of the highlights)."""
    gamma = settings.gamma if generator.random() < settings.gamma_probability else 1.0
    gain = generator.uniform(1, settings.saturation)
    return gamma, gain if generator.random() < settings.saturation_probability else 1.0


def smooth_field(
    generator: np.random.Generator, waves: int, full: Sequence[int], window: Window
) -> np.ndarray:
    """Samples a smooth random field over a whole image and returns it in `window`.

    The field is a sum of cosines of 0 to `waves` - 1 half waves in each direction with normal amplitudes. It
    is symmetric about the image's edges, as the mirrored image is, and about standard normal at each pixel.

    Returns float32 [height, width].
    """
    amplitudes = generator.standard_normal((waves, waves))
    starts, sides = (window.top, window.left), (window.height, window.width)
    rows, columns = (
        np.cos(np.pi * np.outer((np.arange(start, start + side) + 0.5) / size, np.arange(waves)))
        for start, side, size in zip(starts, sides, full)
    )
    # The mean of a squared cosine is 1 for frequency 0 and 1/2 otherwise: (waves + 1) / 2 in each direction.
    return (rows @ amplitudes @ columns.T / ((waves + 1) / 2)).astype(np.float32)


def _plane_weights(field):
    """Weight of each plane at each pixel: [H, W] -> float32 [planes, H, W, 1], summing to 1."""
    distance = np.abs(np.clip(field, DEPTHS[0], DEPTHS[-1]) - DEPTHS[:, np.newaxis, np.newaxis])
    return np.maximum(1 - distance, 0).astype(np.float32)[..., np.newaxis]


def _patch_and_warps(paths, full, window):
    """The patch of the image that `window` sees from all poses, and the warps from it to the window.

    Args:
      paths: [poses, planes, 4].
      full: height and width of the image; rotation is about its centre.
      window: of the image.

    Returns:
      (patch, a Window; warps, float32 [poses, planes, 8]).
    """
    warps = blur.projective_transforms(paths.reshape(-1, 4), *full).numpy().astype(np.float64)
    xs = np.array([window.left, window.left + window.width - 1])
    ys = np.array([window.top, window.top + window.height - 1])
    corners = np.array([[x, y, 1] for x in xs for y in ys]).T
    seen_x, seen_y = warps[:, 0:3] @ corners, warps[:, 3:6] @ corners
    # One more pixel on each side than the farthest corner, for bilinear interpolation.
    left, top = int(np.floor(seen_x.min())) - 1, int(np.floor(seen_y.min())) - 1
    right, bottom = int(np.ceil(seen_x.max())) + 1, int(np.ceil(seen_y.max())) + 1
    patch = Window(top, left, bottom - top + 1, right - left + 1)
    # In coordinates of window and patch: warp(corner of the window + x) - corner of the patch.
    warps[:, 2], warps[:, 5] = seen_x[:, 0] - left, seen_y[:, 0] - top
    return patch, warps.reshape(*paths.shape[:2], 8).astype(np.float32)


def _cut_out(light, field):
    """Light [h, w, 3] and a field [h, w] -> [h, w, 4]: opacity last, light times opacity."""
    opacity = (1 + np.tanh((field - BLOB_LEVEL) / BLOB_EDGE)) / 2
    return np.float32(np.dstack([light * opacity[..., np.newaxis], opacity]))


def _light_of(picture, gamma, gain):
    """Linear light of an image in [0, 1]; nearly white pixels are brightened, up to `gain` times."""
    whiteness = np.clip((picture.mean(axis=-1, keepdims=True) - WHITE) / (1 - WHITE), 0, 1)
    return (picture * (1 + (gain - 1) * whiteness**2)) ** gamma


_SIGNATURE = [tf.TensorSpec([None] * rank) for rank in (3, 3, 4, 3, 3)]


@tf.function(input_signature=_SIGNATURE)
def _expose(light, warps, weights, front, front_warps):
    """Averages the views from all poses.

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

    # One pose at a time: all views at once would take 30 times the memory, and more time.
    total = tf.zeros(tf.concat([size, [3]], axis=0))
    for pose in tf.range(poses):
        total += tf.ensure_shape(view(pose), [None, None, 3])
    return total / tf.cast(poses, tf.float32), view(poses // 2)


def _record(picture, generator, settings):
    """Simulates sensor and file: noise, then sometimes JPEG compression."""
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


def _mirrored(indices, size):
    """Maps indices to [0, size) as if a row of `size` pixels were mirrored at both ends repeatedly."""
    indices = indices % (2 * size)
    return np.where(indices < size, indices, 2 * size - 1 - indices)
