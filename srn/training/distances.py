"""Distances between restored and sharp images beside the squared error of Eq. 3; none is in the paper.

Each takes float32 [B, H, W, C] twice and returns a float32 scalar, a mean over the batch;
`srn.training.losses` adds them up over the scales.
"""

from __future__ import annotations

import tensorflow as tf

EPSILON = 1e-3  # of Charbonnier, for values in [0, 1]: below it differences count squared
FREQUENCY_WEIGHT = 0.1  # of Cho et al.


def charbonnier(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """Mean of sqrt(d**2 + EPSILON**2), a smooth absolute error.

    Charbonnier et al., ICIP 1994; for restoration: Lai et al., "Deep Laplacian pyramid networks", CVPR 2017.
    """
    return tf.reduce_mean(tf.sqrt(tf.math.squared_difference(restored, sharp) + EPSILON**2))


def frequency(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """Mean absolute error of the real and the imaginary parts of the two-dimensional Fourier transforms.

    The transform is not normalised, as in Cho et al., "Rethinking coarse-to-fine approach in single image
    deblurring" (MIMO-UNet), ICCV 2021, Sec. 3.4. It is linear, so that one of the difference is enough.
    """
    difference = tf.transpose(restored - sharp, [0, 3, 1, 2])  # [B, C, H, W]: the last two are transformed
    spectrum = tf.signal.fft2d(tf.cast(difference, tf.complex64))
    parts = tf.stack([tf.math.real(spectrum), tf.math.imag(spectrum)])
    return tf.reduce_mean(tf.abs(parts))


def charbonnier_frequency(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """Charbonnier's error and, with the weight of MIMO-UNet, the one of the frequencies."""
    return charbonnier(restored, sharp) + FREQUENCY_WEIGHT * frequency(restored, sharp)
