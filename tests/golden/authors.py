"""Weights and images by a rule, so that the authors' network is checked without a file of its weights.

Each variable is drawn from NumPy's legacy generator, seeded with the CRC-32 of its name: every machine gets
the same bits, and nothing has to be stored. `numbers_of(kind)` is what the authors' own graph computed.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
# Of their models; "lstm_color" is not among their releases, but their code builds it: the paper's network.
KINDS = ("lstm", "color", "lstm_color")
CHANNELS = {"color": 3, "gray": 1, "lstm": 1, "lstm_color": 3}
SIZES = {"a": (64, 96), "b": (80, 48)}
SEEDS = {"a": 1, "b": 2}
LUMA = np.array([0.2989, 0.5870, 0.1140], np.float32)


def numbers_of(kind: str):
    """The golden numbers of a model, an open .npz file; README.md says what each key holds."""
    return np.load(FOLDER / f"authors_{kind}.npz")


def shapes_of(kind: str) -> dict:
    """Name -> shape of each variable, in the order in which the authors' code creates them."""
    channels, shapes = CHANNELS[kind], {}

    def add(scope, side, inputs, outputs, transposed=False):
        last = (outputs, inputs) if transposed else (inputs, outputs)
        shapes[f"g_net/{scope}/weights"] = (side, side, *last)
        shapes[f"g_net/{scope}/biases"] = (outputs,)

    def add_res_blocks(scopes, width):
        for scope in scopes:
            for convolution in ("conv1", "conv2"):
                add(f"{scope}/{convolution}", 5, width, width)

    inputs = 2 * channels
    for stage, width in ((1, 32), (2, 64), (3, 128)):
        add(f"enc{stage}_1", 5, inputs, width)
        add_res_blocks([f"enc{stage}_{number}" for number in (2, 3, 4)], width)
        inputs = width
    if kind.startswith("lstm"):
        add("convLSTM/LSTM_conv", 3, 2 * 128, 4 * 128)
    for stage, width in ((3, 128), (2, 64), (1, 32)):
        if stage < 3:
            add(f"dec{stage}_4", 4, 2 * width, width, transposed=True)
        add_res_blocks([f"dec{stage}_{number}" for number in (3, 2, 1)], width)
    add("dec1_0", 5, 32, channels)
    return shapes


def weights_of(kind: str) -> dict:
    """Name -> float32 values: biases up to 0.05, kernels up to Xavier's limit, half of it in `conv2`."""
    return {name: _draw(name, shape) for name, shape in shapes_of(kind).items()}


def _draw(name, shape):
    limit = 0.05
    if name.endswith("/weights"):
        limit = (6 / (shape[0] * shape[1] * (shape[2] + shape[3]))) ** 0.5
        limit *= 0.5 if name.endswith("/conv2/weights") else 1.0
    generator = np.random.RandomState(zlib.crc32(name.encode()))
    return generator.uniform(-limit, limit, shape).astype(np.float32)


def images_of(kind: str, case: str, target_scale: float) -> tuple:
    """(blurry, sharp) of case "a" or "b", [2, H, W, channels] float32: noise in 0..1, the sharp one scaled.

    A scale of 24 makes the gradients of the ConvLSTM long enough to be clipped.
    """
    generator = np.random.RandomState(SEEDS[case])
    pair = [generator.randint(0, 256, (2, *SIZES[case], 3)).astype(np.float32) / 255 for _ in range(2)]
    if CHANNELS[kind] == 1:
        pair = [(image @ LUMA)[..., None] for image in pair]
    return pair[0], pair[1] * np.float32(target_scale)


def sampled(output: np.ndarray, scale: int) -> np.ndarray:
    """What is kept of an output, [2, h, w, C]: the coarsest (0) whole, else every third row and column.

    Three is odd, so that both phases of every halving and doubling are among them.
    """
    return output if scale == 0 else output[:, ::3, ::3]


def write_checkpoint(kind: str, folder, step: int = 523000, training_state: bool = False) -> str:
    """Writes a TensorFlow 1 checkpoint as the authors' code does; returns its prefix.

    `training_state` adds what their training saves too: step counter, slots of Adam, powers of its betas.
    """
    values = _with_training_state(kind, step) if training_state else weights_of(kind)
    return save_variables(values, folder, step)


def _with_training_state(kind, step):
    weights = weights_of(kind)
    values = {"Variable": np.array(step + 1, np.int32), **weights}  # the counter comes first, without a name
    for power, beta in (("beta1_power", 0.9), ("beta2_power", 0.999)):
        values[power] = np.array(beta ** (step + 2), np.float32)
    for name, value in weights.items():
        values.update({f"{name}/Adam": np.zeros_like(value), f"{name}/Adam_1": np.zeros_like(value)})
    return values


def save_variables(values: dict, folder, step: int | None = None) -> str:
    """Writes arrays under their names as a checkpoint of TensorFlow 1; returns its prefix."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        feeds, variables = {}, []
        for name, value in values.items():
            start = v1.placeholder(value.dtype, value.shape)  # no constants: a graph is at most 2 GiB
            feeds[start] = value
            variables.append(v1.Variable(start, name=name, use_resource=False))
        session.run(v1.global_variables_initializer(), feeds)
        prefix = str(Path(folder) / "deblur.model")
        return v1.train.Saver(variables).save(session, prefix, global_step=step, write_meta_graph=False)
