"""Cost of a network: the multiply-accumulates of its convolutions, counted in its graph."""

from __future__ import annotations

import math

import tensorflow as tf

from srn.network import DeblurringNetwork

# Operations with nested graphs, whose convolutions would not be counted.
_NESTED = ("PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile")


def count_multiply_accumulates(model: DeblurringNetwork, height: int, width: int) -> int:
    """Counts the multiply-accumulates of all convolutions for one image.

    The network is traced at this size; each convolution counts as the number of elements of its kernel times
    the number of pixels of its output, or of its input for transposed convolutions. Padding is counted;
    biases, activations, gates and resizing are not.

    Args:
      model: a built network.
      height, width: of the image, in pixels; at least 1.

    Returns:
      The count for one image with the channels of the model; for one-channel models, a colour image is three
      such images. A training step costs about three times as much per crop: one forward pass, and the
      gradients of inputs and of weights.
    """
    image = tf.TensorSpec([1, height, width, model.config.channels], tf.float32)
    graph = tf.function(lambda blurry: model(blurry)).get_concrete_function(image).graph
    return sum(_multiply_accumulates(operation) for operation in graph.get_operations())


def _multiply_accumulates(operation) -> int:
    """Multiply-accumulates of an operation with static shapes; 0 if it is not a convolution."""
    if operation.type in _NESTED:
        raise ValueError(f"{operation.name}: a {operation.type} has a nested graph, which is not counted")
    if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
        kernel, positions = operation.inputs[1], operation.outputs[0]
    elif operation.type == "Conv2DBackpropInput":  # a transposed convolution
        kernel, positions = operation.inputs[1], operation.inputs[2]
    else:
        return 0
    batch, rows, columns, _ = positions.shape.as_list()  # [B, H, W, C]
    return math.prod(kernel.shape.as_list()) * batch * rows * columns
