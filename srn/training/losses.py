"""The losses by name; `mse` is the paper's. To add one, add a function and a line of `LOSSES`.

TensorFlow is imported where a loss is computed, so that a command can list the names at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from srn.config import ModelConfig

if TYPE_CHECKING:
    import tensorflow as tf


def mean_squared_error(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """1 / N * ||I - I*||^2 of one scale."""
    import tensorflow as tf

    return tf.reduce_mean(tf.math.squared_difference(restored, sharp))


def multi_scale_loss(
    outputs: list,
    sharp: tf.Tensor,
    config: ModelConfig,
    distance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = mean_squared_error,
) -> tf.Tensor:
    """Eq. 3: L = sum over the scales i of kappa_i / N_i * ||I_i - I*_i||^2.

    N_i is the number of elements of I_i; over a batch the mean is taken, as in the authors' code. The truth
    I*_i of each scale is resized directly from the full size, on the grid of the model.

    Args:
      outputs: restored images, finest first, [B, ceil(H / 2**s), ceil(W / 2**s), C] at item s.
      sharp: [B, H, W, C] in [0, 1].
      config: has kappa and the resizing grid.
      distance: of the restored and the sharp images of one scale, both float32: a scalar, the mean over the
        batch. The paper's by default.

    Returns:
      A float32 scalar.
    """
    import tensorflow as tf

    from srn import pyramid

    truths = pyramid.build_pyramid(tf.cast(sharp, tf.float32), len(outputs), config.resize_grid)
    return tf.add_n(
        [
            kappa * distance(tf.cast(restored, tf.float32), truth)
            for kappa, restored, truth in zip(config.kappa, outputs, truths)
        ]
    )


# Name -> function (outputs, sharp, config) -> float32 scalar, as `multi_scale_loss`.
LOSSES = {"mse": multi_scale_loss}
