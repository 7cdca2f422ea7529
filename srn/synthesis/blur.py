"""Motion blur from sharp pictures: what a camera records when it moves while its shutter is open.

The picture is looked at from every pose of a camera path, and the views are averaged:

    camera_path -> projective_transforms -> views        (`srn.synthesis.shake` averages them, light and all)

A pose is (dx, dy, angle, log zoom). The camera looks dx pixels to the right and dy pixels down of where it
looked in the middle of the exposure, so that the scene moves dx to the left and dy up. The middle pose is
zero: the middle view is the sharp picture itself, and truth and blur lie on top of each other, as in GOPRO
(Nah et al., CVPR 2017), whose truth is the middle frame of those averaged.

Pictures are float32 [H, W, C] in [0, 1], gamma-encoded as stored. All but `camera_path` are TensorFlow
operations, in graphs too. No other module of the project imports tensorflow-addons.
"""

from __future__ import annotations

import warnings

import numpy as np
import tensorflow as tf

with warnings.catch_warnings():
    # It announces its end of life at every import; the version used here is pinned, the last one.
    warnings.filterwarnings("ignore", r"\s*TensorFlow Addons \(TFA\) has ended development", UserWarning)
    import tensorflow_addons as tfa

from srn.synthesis.settings import ROTATION, ZOOM


def camera_path(
    generator: np.random.Generator,
    poses: int,
    longest: float,
    shortest: float = 1.0,
    rotation: float = ROTATION,
    zoom: float = ZOOM,
    headings: tuple[float, float] = (0.0, 2 * np.pi),
    bend: float = 1.0,
    tremor: float = 1.0,
    lengths: str = "log_uniform",
) -> np.ndarray:
    """Draws the movement of a hand-held camera during one exposure.

    The centre of the picture runs along one smooth stroke: its length is drawn between two ends, its
    direction uniform in `headings`, it is bent, run through at a changing speed, and trembles a little.

    Args:
      generator: where all random numbers come from.
      poses: number of instants, odd, at least 3.
      longest: upper end of the stroke's length, in pixels along the stroke.
      shortest: lower end, above 0.
      rotation: standard deviation of the angle at both ends, in radians.
      zoom: standard deviation of the logarithm of the zoom at both ends.
      headings: range of the stroke's direction, in radians; 0 is to the right, pi / 2 is down.
      bend: how much strokes are bent and how unevenly they are run through, 1 for that of a hand. Both
        move the centre of the blur away from the middle pose.
      tremor: how much they tremble, likewise.
      lengths: how their length is spread between its ends: "log_uniform" or "uniform".

    Returns:
      float32 [poses, 4]: dx and dy in pixels, angle in radians, log zoom; zero in the middle pose.

    Raises ValueError for an even or too small `poses` and for lengths that are not 0 < shortest <= longest.
    """
    if poses < 3 or poses % 2 == 0:
        raise ValueError(f"poses={poses} has no middle between two ends; it must be odd and at least 3.")
    if not 0 < shortest <= longest:
        raise ValueError(f"A stroke of {shortest} to {longest} pixels: 0 < shortest <= longest is needed.")
    time = np.linspace(-1, 1, poses)
    stroke = _stroke(generator, time, generator.uniform(*headings), bend, tremor)
    length = draw_length(generator, shortest, longest, lengths)
    stroke *= length / np.hypot(*np.diff(stroke, axis=0).T).sum()
    angle = generator.normal(0, rotation) * time
    log_zoom = generator.normal(0, zoom) * time
    path = np.column_stack([stroke, angle, log_zoom])
    return (path - path[poses // 2]).astype(np.float32)


def draw_length(generator: np.random.Generator, shortest: float, longest: float, lengths: str) -> float:
    """Draws the length of a stroke; `lengths` as for `camera_path`."""
    if lengths == "uniform":
        return float(generator.uniform(shortest, longest))
    return float(np.exp(generator.uniform(np.log(shortest), np.log(longest))))


def _stroke(
    generator: np.random.Generator, time: np.ndarray, heading: float, bend: float, tremor: float
) -> np.ndarray:
    """Draws the shape of a stroke, of length 2 or so: [T] in [-1, 1] -> [T, 2]."""
    along = time + bend * (generator.normal(0, 0.25) * time**2 + generator.normal(0, 0.15) * time**3)
    across = bend * generator.normal(0, 0.3) * time**2
    for axis in (along, across):
        cycles, phase = generator.uniform(1, 3), generator.uniform(0, 2 * np.pi)
        axis += tremor * generator.normal(0, 0.06) * np.sin(np.pi * cycles * time + phase)
    cosine, sine = np.cos(heading), np.sin(heading)
    return np.column_stack([cosine * along - sine * across, sine * along + cosine * across])


def projective_transforms(path: np.ndarray | tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Turns poses into the transforms that `tfa.image.transform` takes.

    A transform (a0, a1, a2, b0, b1, b2, 0, 0) fills the output's pixel (x, y) from the input's point
    (a0 x + a1 y + a2, b0 x + b1 y + b2). Rotation and zoom are about the centre of the picture; a positive
    angle turns the scene counterclockwise, as `tfa.image.rotate` does, a positive log zoom shows more of it.

    Args:
      path: [poses, 4], as `camera_path` returns it.
      height: of the pictures to transform, in pixels.
      width: likewise.

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
    """Looks at `image` through each transform: bilinear, and mirrored beyond its edges.

    Args:
      image: float32 [H, W, C], any range.
      transforms: float32 [poses, 8], from `projective_transforms` for the same H and W.
      size: height and width of a view; None for those of the image.

    Returns:
      float32 [poses, H, W, C].
    """
    image = tf.convert_to_tensor(image, tf.float32)
    copies = tf.broadcast_to(image, tf.concat([tf.shape(transforms)[:1], tf.shape(image)], axis=0))
    return tfa.image.transform(copies, transforms, "bilinear", "reflect", output_shape=size)
