"""Colour images through a network of any number of channels, as TensorFlow operations."""

from __future__ import annotations

import tensorflow as tf


def restore_colour(model, images: tf.Tensor) -> tf.Tensor:
    """Restores colour images at the finest scale.

    A one-channel model gets the R, G and B planes as a batch of three, as the authors test theirs.

    Args:
      model: a `ScaleRecurrentNetwork`.
      images: [B, H, W, 3], float32 in [0, 1].

    Returns:
      [B, H, W, 3], float32, not clipped.
    """
    if model.config.channels == 3:
        return model(images)[0]
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    planes = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [3 * batch, height, width, 1])
    restored = tf.reshape(model(planes)[0], [batch, 3, height, width])
    return tf.transpose(restored, [0, 2, 3, 1])
