"""Losses by name; `mse` is that of the paper, the others are summed over the scales like Eq. 3.

To add one, add a function and a line to `LOSSES`. TensorFlow is imported inside the functions, so that
commands can list the names quickly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from srn.config import ModelConfig

if TYPE_CHECKING:
    import tensorflow as tf

EPSILON = 1e-3  # of the Charbonnier loss, which is quadratic below it, for values in [0, 1]
FREQUENCY_WEIGHT = 0.1  # of Cho et al.


def mean_squared_error(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """1 / N * ||I - I*||^2 of one scale."""
    import tensorflow as tf

    return tf.reduce_mean(tf.math.squared_difference(restored, sharp))


def charbonnier(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """Mean of sqrt(d**2 + EPSILON**2), a smooth absolute error.

    Charbonnier et al., ICIP 1994; for restoration: Lai et al., "Deep Laplacian pyramid networks", CVPR 2017.
    """
    import tensorflow as tf

    return tf.reduce_mean(tf.sqrt(tf.math.squared_difference(restored, sharp) + EPSILON**2))


def frequency(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """Mean absolute error of the real and the imaginary parts of the two-dimensional Fourier transforms.

    The transform is not normalised, as in Cho et al., "Rethinking coarse-to-fine approach in single image
    deblurring" (MIMO-UNet), ICCV 2021, Sec. 3.4. Since it is linear, only the difference is transformed.
    """
    import tensorflow as tf

    difference = tf.transpose(restored - sharp, [0, 3, 1, 2])  # [B, C, H, W]: the last two are transformed
    spectrum = tf.signal.fft2d(tf.cast(difference, tf.complex64))
    parts = tf.stack([tf.math.real(spectrum), tf.math.imag(spectrum)])
    return tf.reduce_mean(tf.abs(parts))


def charbonnier_frequency(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """`charbonnier` plus `frequency` with the weight of MIMO-UNet."""
    return charbonnier(restored, sharp) + FREQUENCY_WEIGHT * frequency(restored, sharp)


def multi_scale_loss(
    outputs: list,
    sharp: tf.Tensor,
    config: ModelConfig,
    distance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = mean_squared_error,
) -> tf.Tensor:
    """Eq. 3: L = sum over the scales i of kappa_i / N_i * ||I_i - I*_i||^2.

    N_i is the number of elements of I_i; over a batch, the mean is taken as in the authors' code. The ground
    truth I*_i of each scale is resized directly from the full size, on the grid of the model.

    Args:
      outputs: restored images, finest first, [B, ceil(H / 2**s), ceil(W / 2**s), C] at item s.
      sharp: [B, H, W, C] in [0, 1].
      config: provides kappa and the resizing grid.
      distance: function of restored and sharp images of one scale, float32, that returns the mean over the
        batch, a scalar. The default is that of the paper.

    Returns:
      A float32 scalar.
    """
    import tensorflow as tf

    from srn import pyramid

    sharp_pyramid = pyramid.build_pyramid(tf.cast(sharp, tf.float32), len(outputs), config.resize_grid)
    return tf.add_n(
        [
            kappa * distance(tf.cast(restored, tf.float32), target)
            for kappa, restored, target in zip(config.kappa, outputs, sharp_pyramid)
        ]
    )


def total_variation(outputs: list, config: ModelConfig) -> tf.Tensor:
    """The total variation loss tried in Sec. 3.3.

    The mean absolute difference between horizontal and vertical neighbours, normalized by N_i and the batch
    as in Eq. 3 and summed over the scales with weights kappa_i.

    Args:
      outputs: restored images, finest first, [B, H, W, C] each, floating point.
      config: provides kappa.

    Returns:
      A float32 scalar.
    """
    import tensorflow as tf

    return tf.add_n(
        [
            kappa
            * tf.reduce_sum(tf.image.total_variation(tf.cast(restored, tf.float32)))
            / tf.cast(tf.size(restored), tf.float32)
            for kappa, restored in zip(config.kappa, outputs)
        ]
    )


def with_total_variation(loss: Callable, weight: float) -> Callable:
    """`loss` plus `weight` times `total_variation`: a function of the same arguments."""

    def both(outputs: list, sharp: tf.Tensor, config: ModelConfig) -> tf.Tensor:
        return loss(outputs, sharp, config) + weight * total_variation(outputs, config)

    return both


# Name -> function (outputs, sharp, config) -> float32 scalar, as `multi_scale_loss`.
LOSSES: dict[str, Callable] = {
    "mse": multi_scale_loss,
    "charbonnier": functools.partial(multi_scale_loss, distance=charbonnier),
    "charbonnier_frequency": functools.partial(multi_scale_loss, distance=charbonnier_frequency),
}
