"""Motion blur from sharp images: the camera moves while its shutter is open.

The image is warped for every pose of a camera path, and the views are averaged:

    camera_path -> projective_transforms -> views        (`srn.synthesis.shake` averages them)

A pose is (dx, dy, angle, log zoom). The camera points dx pixels to the right of and dy pixels below where it
pointed in the middle of the exposure, so that the scene moves dx to the left and dy up. The middle pose is
zero: the middle view is the sharp image itself and is aligned with the blurry one, as in GOPRO (Nah et al.,
CVPR 2017), whose ground truth is the middle one of the averaged frames.

Images are float32 [H, W, C] in [0, 1], gamma-encoded as stored. All functions but `camera_path` consist of
TensorFlow operations and work in graphs. No other module imports tensorflow-addons.
"""

from __future__ import annotations

import warnings

import numpy as np
import tensorflow as tf

with warnings.catch_warnings():
    # It warns about its end of life at every import; the version is pinned to the last one.
    warnings.filterwarnings("ignore", r"\s*TensorFlow Addons \(TFA\) has ended development", UserWarning)
    import tensorflow_addons as tfa

from srn.synthesis.settings import ROTATION, ZOOM


def camera_path(
    generator: np.random.Generator,
    poses: int,
    max_length: float,
    min_length: float = 1.0,
    rotation: float = ROTATION,
    zoom: float = ZOOM,
    headings: tuple[float, float] = (0.0, 2 * np.pi),
    bend: float = 1.0,
    tremor: float = 1.0,
    lengths: str = "log_uniform",
) -> np.ndarray:
    """Samples the motion of a hand-held camera during one exposure.

    The image centre follows a smooth path of random length and direction, which is curved, traversed at a
    varying speed, and jitters a little.

    Args:
      generator: the source of all randomness.
      poses: number of instants, odd, at least 3.
      max_length: maximum length of the path, in pixels.
      min_length: minimum length, above 0.
      rotation: standard deviation of the angle at both ends, in radians.
      zoom: standard deviation of the log zoom at both ends.
      headings: range of the direction, in radians, sampled uniformly; 0 is to the right, pi / 2 is down.
      bend: curvature of the path and variation of its speed, 1 for a hand-held camera. Both move the centre
        of the blur away from the middle pose.
      tremor: amplitude of the jitter, 1 for a hand-held camera.
      lengths: distribution of the length, "log_uniform" or "uniform".

    Returns:
      float32 [poses, 4]: dx and dy in pixels, angle in radians, log zoom; zero in the middle pose.

    Raises ValueError for an even or too small `poses`, and unless 0 < min_length <= max_length.
    """
    if poses < 3 or poses % 2 == 0:
        raise ValueError(f"poses={poses} has no middle between two ends; it must be odd and at least 3.")
    if not 0 < min_length <= max_length:
        raise ValueError(
            f"A path of {min_length} to {max_length} pixels: 0 < min_length <= max_length is needed."
        )
    time = np.linspace(-1, 1, poses)
    stroke = _stroke(generator, time, generator.uniform(*headings), bend, tremor)
    length = draw_length(generator, min_length, max_length, lengths)
    stroke *= length / np.hypot(*np.diff(stroke, axis=0).T).sum()
    angle = generator.normal(0, rotation) * time
    log_zoom = generator.normal(0, zoom) * time
    path = np.column_stack([stroke, angle, log_zoom])
    return (path - path[poses // 2]).astype(np.float32)


def draw_length(generator: np.random.Generator, min_length: float, max_length: float, lengths: str) -> float:
    """Samples the length of a path in pixels; arguments as for `camera_path`."""
    if lengths == "uniform":
        return float(generator.uniform(min_length, max_length))
    return float(np.exp(generator.uniform(np.log(min_length), np.log(max_length))))


def _stroke(
    generator: np.random.Generator, time: np.ndarray, heading: float, bend: float, tremor: float
) -> np.ndarray:
    """Samples the shape of a path, about 2 long: [T] in [-1, 1] -> [T, 2]."""
    along = time + bend * (generator.normal(0, 0.25) * time**2 + generator.normal(0, 0.15) * time**3)
    across = bend * generator.normal(0, 0.3) * time**2
    for axis in (along, across):
        cycles, phase = generator.uniform(1, 3), generator.uniform(0, 2 * np.pi)
        axis += tremor * generator.normal(0, 0.06) * np.sin(np.pi * cycles * time + phase)
    cosine, sine = np.cos(heading), np.sin(heading)
    return np.column_stack([cosine * along - sine * across, sine * along + cosine * across])


def projective_transforms(path: np.ndarray | tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Converts poses to the transforms that `tfa.image.transform` takes.

    A transform (a0, a1, a2, b0, b1, b2, 0, 0) maps the output pixel (x, y) to the input point
    (a0 x + a1 y + a2, b0 x + b1 y + b2). Rotation and zoom are about the image centre; a positive angle
    rotates the scene counterclockwise, as `tfa.image.rotate` does, a positive log zoom shows more of it.

    Args:
      path: [poses, 4], as returned by `camera_path`.
      height: of the images to transform, in pixels.
      width: of the images to transform, in pixels.

    Returns:
      float32 [poses, 8].
    """
    dx, dy, angle, log_zoom = tf.unstack(tf.cast(path, tf.float32), num=4, axis=1)
    cosine, sine = tf.exp(log_zoom) * tf.cos(angle), tf.exp(log_zoom) * tf.sin(angle)
    x, y = (tf.cast(size - 1, tf.float32) / 2 for size in (width, height))  # of the centre
    zero = tf.zeros_like(dx)
    rows = [
        *(cosine, -sine, x - cosine * x + sine * y + dx),
        *(sine, cosine, y - sine * x - cosine * y + dy),
        *(zero, zero),
    ]
    return tf.stack(rows, axis=1)


def views(
    image: np.ndarray | tf.Tensor, transforms: tf.Tensor, size: tf.Tensor | tuple[int, int] | None = None
) -> tf.Tensor:
    """Warps `image` by each transform, bilinearly; the image is mirrored at its edges.

    Args:
      image: float32 [H, W, C], any range.
      transforms: float32 [poses, 8], from `projective_transforms` for the same H and W.
      size: height and width of the views; None for those of the image.

    Returns:
      float32 [poses, H, W, C].
    """
    image = tf.convert_to_tensor(image, tf.float32)
    copies = tf.broadcast_to(image, tf.concat([tf.shape(transforms)[:1], tf.shape(image)], axis=0))
    return tfa.image.transform(copies, transforms, "bilinear", "reflect", output_shape=size)
