"""The loss of the paper."""

from __future__ import annotations

import tensorflow as tf

from srn import pyramid
from srn.config import ModelConfig


def multi_scale_loss(outputs: list, sharp: tf.Tensor, config: ModelConfig) -> tf.Tensor:
    """Eq. 3: L = sum over the scales i of kappa_i / N_i * ||I_i - I*_i||^2.

    N_i is the number of elements of I_i; over a batch the mean is taken, as in the authors' code. The truth
    I*_i of each scale is resized directly from the full size, on the grid of the model.

    Args:
      outputs: restored images, finest first, [B, ceil(H / 2**s), ceil(W / 2**s), C] at item s.
      sharp: [B, H, W, C] in [0, 1].
      config: has kappa and the resizing grid.

    Returns:
      A float32 scalar.
    """
    truths = pyramid.build_pyramid(tf.cast(sharp, tf.float32), len(outputs), config.resize_grid)
    return tf.add_n(
        [
            kappa * tf.reduce_mean(tf.math.squared_difference(tf.cast(restored, tf.float32), truth))
            for kappa, restored, truth in zip(config.kappa, outputs, truths)
        ]
    )
