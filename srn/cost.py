"""What a network costs: the multiply-accumulates of its convolutions, counted in its graph."""

from __future__ import annotations

import math

import tensorflow as tf

from srn.network import DeblurringNetwork

# Operations that hold graphs of their own, in which a convolution would go uncounted.
_NESTED = ("PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile")


def count_multiply_accumulates(model: DeblurringNetwork, height: int, width: int) -> int:
    """Counts the multiply-accumulates of all convolutions that one image goes through.

    The network is traced at this size, and each convolution of the graph counts with the elements of its
    kernel times the positions that the kernel is laid at: those of the output, or of the input where it is
    transposed. Taps beyond the border count, and so does what the network pads; biases, activations, gates
    and resizing do not.

    Args:
      model: a network of the zoo, built; whether its weights are shared or not, with strides or without.
      height, width: of the image, in pixels; at least 1.

    Returns:
      Of one image with the channels of the model. A colour image is three such images for a one-channel
      model. A training step costs about three times as much for each crop: forward, and backward for inputs
      and for weights.
    """
    image = tf.TensorSpec([1, height, width, model.config.channels], tf.float32)
    graph = tf.function(lambda blurry: model(blurry)).get_concrete_function(image).graph
    return sum(_multiply_accumulates(operation) for operation in graph.get_operations())


def _multiply_accumulates(operation) -> int:
    """Of one operation of a graph with static shapes; 0 for what is no convolution."""
    if operation.type in _NESTED:
        raise ValueError(f"{operation.name}: a {operation.type} has a graph of its own, which is not counted")
    if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
        kernel, positions = operation.inputs[1], operation.outputs[0]
    elif operation.type == "Conv2DBackpropInput":  # a transposed convolution
        kernel, positions = operation.inputs[1], operation.inputs[2]
    else:
        return 0
    batch, rows, columns, _ = positions.shape.as_list()  # [B, H, W, C]
    return math.prod(kernel.shape.as_list()) * batch * rows * columns
