"""The authors' TensorFlow 1 checkpoints (repository jiangsutx/SRN-Deblur).

Their variables are `g_net/<convolution>/weights` and `.../biases`. Kernels have Keras' own layouts,
[kh, kw, in, out], and [kh, kw, out, in] for transposed convolutions, so that values are copied unchanged.
Training checkpoints also hold the step and Adam's slots, which are ignored by name.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from srn.errors import InputError, first_line
from srn.zoo import build_model

if TYPE_CHECKING:
    from srn.network import ScaleRecurrentNetwork

SCOPE = "g_net/"
# Other variables of a training checkpoint: the unnamed step, Adam's slots and powers.
_TRAINING_STATE = re.compile(r"^(Variable|global_step|beta[12]_power|.*/Adam(_1)?)$")
# Errors of TensorFlow for truncated or invalid checkpoints.
UNREADABLE = (tf.errors.OpError, ValueError, IndexError, RuntimeError)
_KINDS = {  # (channels, has a ConvLSTM) -> model
    (1, True): "official_lstm",
    (1, False): "official_gray",
    (3, False): "official_color",
    (3, True): "official_lstm_color",
}


def is_official(prefix: str) -> bool:
    """Whether the checkpoint at `prefix` (its path without `.index`) has the authors' variable names.

    Raises `InputError` if it cannot be read.
    """
    shapes, _ = _open(prefix)
    return any(name.startswith(SCOPE) for name in shapes)


def load_checkpoint(prefix: str | os.PathLike[str], precision: str = "float32") -> ScaleRecurrentNetwork:
    """Builds the network that a checkpoint of the authors belongs to, and loads the weights.

    Args:
      prefix: path without `.index`, such as `checkpoints/color/deblur.model-523000`.
      precision: see `srn.build_model`.

    Returns:
      `official_lstm`, `official_gray`, `official_color` or `official_lstm_color`, by the variables.

    Raises `InputError` naming the file, and every variable that is missing, unknown or of another shape.
    """
    # Imported here to avoid a cycle: `weights` loads all kinds of checkpoints, including these.
    from srn.weights import assign

    name, arrays = read_checkpoint(prefix)
    model = build_model(name, precision)
    assign(model, arrays, source=str(prefix), scope=SCOPE)
    return model


def read_checkpoint(prefix: str | os.PathLike[str]) -> tuple[str, dict[str, np.ndarray]]:
    """Reads a checkpoint of the authors without building a network.

    Args:
      prefix: path, with or without `.index`.

    Returns:
      (name of the model, by the variables; {`g_net/<convolution>/weights` or `.../biases`: array}).

    Raises `InputError` naming the file if it cannot be read or is not a checkpoint of the authors.
    """
    prefix = str(prefix)
    if prefix.endswith(".index"):
        prefix = prefix[: -len(".index")]
    shapes, read = _open(prefix)
    shapes = {name: shape for name, shape in shapes.items() if not _TRAINING_STATE.match(name)}
    return _kind_of(shapes, prefix), {name: read(name) for name in shapes}


def _open(prefix):
    """({variable: shape}, function that reads a variable) of a checkpoint; errors are `InputError`."""

    def unreadable(error):
        return InputError(f"{prefix}: not a checkpoint that can be read ({first_line(error)})")

    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
    except UNREADABLE as error:
        raise unreadable(error) from error

    def read(name):
        try:
            return reader.get_tensor(name)
        except UNREADABLE as error:
            raise unreadable(error) from error

    return shapes, read


def _kind_of(shapes, prefix):
    """Identifies the release by the input channels (2 per colour channel) and the presence of the cell."""
    first = f"{SCOPE}enc1_1/weights"
    if first not in shapes:
        raise InputError(f"{prefix}: not a checkpoint of the authors' SRN-DeblurNet: it has no {first}")
    has_cell = any(name.startswith(f"{SCOPE}convLSTM/") for name in shapes)
    channels = shapes[first][2] // 2 if len(shapes[first]) == 4 else 0
    if (channels, has_cell) not in _KINDS:
        raise InputError(
            f"{prefix}: {first} has the shape {shapes[first]}, not (5, 5, 2, 32) or (5, 5, 6, 32) as theirs"
        )
    return _KINDS[channels, has_cell]
