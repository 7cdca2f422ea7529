"""What the network costs: its multiply-accumulates."""

from __future__ import annotations

import math

import tensorflow as tf

from srn.network import ScaleRecurrentNetwork


def count_multiply_accumulates(model: ScaleRecurrentNetwork, height: int, width: int) -> int:
    """Of all convolutions for one image whose sides need no padding; taps beyond the border count.

    Args:
      model: a built `ScaleRecurrentNetwork` that shares its weights over the scales, with an encoder.
      height, width: in pixels.

    A training step costs about three times as much for each crop: forward, and backward for inputs and
    weights.

    Raises `ValueError` for models that are built otherwise.
    """
    config = model.config
    upsampling = {config.image_upsampling, config.state_upsampling}
    if not config.share_weights or config.layout != "encoder_decoder" or upsampling != {"bilinear"}:
        raise ValueError(f"the cost of {model.name} is not counted")
    pixels = sum(height * width // 4**scale for scale in range(model.config.num_scales))
    return sum(
        math.prod(layer.kernel.shape) * pixels // step**2 for layer, step in _position_steps(model).items()
    )


def _position_steps(model) -> dict:
    """{convolution: pixels of the image from one position to the next}; transposed ones: of their input."""
    steps = {}
    for name, layer in model.convolutions():
        stage = int(name[3]) if name[:3] in ("enc", "dec") else 3
        transposed = isinstance(layer, tf.keras.layers.Conv2DTranspose)
        steps[layer] = 2 ** (stage - 1 + transposed)
    return steps
