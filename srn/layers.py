"""The blocks of Fig. 3: InBlock, EBlock, the ConvLSTM and its alternatives, DBlock, OutBlock.

Tensors are [B, H, W, C]. All convolutions have a bias, "same" padding and Xavier uniform initialization.
The paper says "ReLU for all layers"; as in the authors' code, there is none after the second convolution of a
ResBlock, after its addition, in the cells, and on the output.

Names of convolutions follow the authors' checkpoints: `enc2_1` is the strided convolution of stage 2,
`enc2_3/conv1` the first one of its second ResBlock, `dec2_4` the deconvolution that leads to stage 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

DECONVOLUTION_SIZE = 4  # 4x4 in the authors' code, also where all other kernels are 3x3 (Table 1)
CELL_KERNEL_SIZE = 3  # of the bottleneck
FORGET_BIAS = 1.0  # a constant, not part of the trained bias

register = tf.keras.saving.register_keras_serializable(package="srn")


@register
class ResBlock(tf.keras.layers.Layer):
    """Convolution, ReLU, convolution, plus the input; no ReLU after the addition (Sec. 3.2).

    Args:
      filters: channels of input and output.
      kernel_size: of both convolutions.
      shortcut: False makes it two plain convolutions, each with its ReLU (SR-ED, SR-Flat of Table 1).

    Call: [B, H, W, filters] -> the same shape.
    """

    def __init__(self, filters: int, kernel_size: int = 5, shortcut: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.shortcut = filters, kernel_size, shortcut
        second = None if shortcut else "relu"
        self.conv1 = _convolution(self, "conv1", filters, kernel_size, "relu")
        self.conv2 = _convolution(self, "conv2", filters, kernel_size, second)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = self.conv2(self.conv1(inputs))
        return inputs + outputs if self.shortcut else outputs

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        mine = {"filters": self.filters, "kernel_size": self.kernel_size, "shortcut": self.shortcut}
        return {**super().get_config(), **mine}


def convolutions_of_res_blocks(res_blocks: list[ResBlock]) -> Iterator[tuple[str, tf.keras.layers.Conv2D]]:
    """Yields (`BLOCK/conv1`, layer), (`BLOCK/conv2`, layer) for each block in order."""
    for block in res_blocks:
        for convolution in (block.conv1, block.conv2):
            yield f"{block.name}/{convolution.name}", convolution


class _Block(tf.keras.layers.Layer):
    """Base class of the four blocks: ResBlocks of one width, and one more convolution.

    Args:
      stage: 1 to 3, for the names of the convolutions.
      filters: channels.
      kernel_size, res_blocks, shortcut: see `srn.config.ModelConfig`.
    """

    def __init__(
        self,
        stage: int,
        filters: int,
        kernel_size: int = 5,
        res_blocks: int = 3,
        shortcut: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.stage, self.filters, self.kernel_size = stage, filters, kernel_size
        self.num_res_blocks, self.shortcut = res_blocks, shortcut

    def _make_res_blocks(self, filters, names):
        return [
            ResBlock(filters, self.kernel_size, self.shortcut, name=name, dtype=self.dtype_policy)
            for name in names
        ]

    def _encoder_names(self):
        return [f"enc{self.stage}_{number + 2}" for number in range(self.num_res_blocks)]

    def _decoder_names(self, stage):
        return [f"dec{stage}_{number}" for number in range(self.num_res_blocks, 0, -1)]

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        mine = {
            "stage": self.stage,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "res_blocks": self.num_res_blocks,
            "shortcut": self.shortcut,
        }
        return {**super().get_config(), **mine}


@register
class EBlock(_Block):
    """A convolution of stride 2 with ReLU, then ResBlocks (Sec. 3.2).

    Args:
      stage: 1 to 3, for the names of the convolutions.
      filters: channels of the output.
      kernel_size, res_blocks, shortcut: see `srn.config.ModelConfig`.
      strides: 2, or 1 in a network without strides.

    Call: [B, H, W, C] -> [B, ceil(H / strides), ceil(W / strides), filters].
    """

    def __init__(self, stage: int, filters: int, *, strides: int = 2, **kwargs: Any):
        super().__init__(stage, filters, **kwargs)
        self.strides = strides
        self.convolution = _convolution(self, f"enc{stage}_1", filters, self.kernel_size, "relu", strides)
        self.res_blocks = self._make_res_blocks(filters, self._encoder_names())

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        features = self.convolution(inputs)
        for block in self.res_blocks:
            features = block(features)
        return features

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        return {**super().get_config(), "strides": self.strides}


@register
class InBlock(EBlock):
    """An EBlock of stride 1 applied to the two images: [B, H, W, 2 * channels] -> [B, H, W, filters]."""

    def __init__(self, stage: int = 1, filters: int = 32, *, strides: int = 1, **kwargs: Any):
        super().__init__(stage, filters, strides=strides, **kwargs)


@register
class DBlock(_Block):
    """ResBlocks, then a 4x4 deconvolution of stride 2 with ReLU, to which the skip is added (Sec. 3.2).

    Args:
      stage: 1 or 2, the stage that the deconvolution leads to.
      filters: channels of the output; the ResBlocks before it have twice as many.
      kernel_size, res_blocks, shortcut: see `srn.config.ModelConfig`.
      strides: 2, or 1 in a network without strides, where a convolution of `kernel_size` replaces the
        deconvolution.

    Call: (inputs [B, H, W, 2 * filters], skip [B, strides * H, strides * W, filters] or None)
      -> [B, strides * H, strides * W, filters].
    """

    def __init__(self, stage: int, filters: int, *, strides: int = 2, **kwargs: Any):
        super().__init__(stage, filters, **kwargs)
        self.strides = strides
        self.res_blocks = self._make_res_blocks(2 * filters, self._decoder_names(stage + 1))
        if strides == 1:
            self.convolution = _convolution(self, f"dec{stage}_4", filters, self.kernel_size, "relu")
        else:
            self.convolution = _deconvolution(self, f"dec{stage}_4", filters, "relu")

    def call(self, inputs: tf.Tensor, skip: tf.Tensor | None = None) -> tf.Tensor:
        features = inputs
        for block in self.res_blocks:
            features = block(features)
        features = self.convolution(features)
        return features if skip is None else features + skip

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        return {**super().get_config(), "strides": self.strides}


@register
class OutBlock(_Block):
    """ResBlocks, then a linear convolution to the image, in float32 (Sec. 3.2).

    Args:
      stage: 1, for the names of the convolutions.
      filters: channels of the input and the ResBlocks.
      channels: of the image.
      kernel_size, res_blocks, shortcut: see `srn.config.ModelConfig`.

    Call: [B, H, W, filters] -> [B, H, W, channels], neither clipped nor squashed.
    """

    def __init__(self, stage: int = 1, filters: int = 32, *, channels: int = 3, **kwargs: Any):
        super().__init__(stage, filters, **kwargs)
        self.channels = channels
        self.res_blocks = self._make_res_blocks(filters, self._decoder_names(stage))
        # float32 under every policy: bfloat16 has only the 256 levels of an 8-bit image in [0.5, 1].
        self.convolution = tf.keras.layers.Conv2D(
            channels, self.kernel_size, padding="same", name=f"dec{stage}_0", dtype="float32"
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        features = inputs
        for block in self.res_blocks:
            features = block(features)
        return self.convolution(features)

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        return {**super().get_config(), "channels": self.channels}


class _Bottleneck(tf.keras.layers.Layer):
    """Base class of bottlenecks, with the interface of Keras' cells: (inputs, states) -> (output, states).

    Args:
      filters: channels of input, output and of each state.
      kernel_size: of its convolutions.
      kernel_initializer: of the kernels that are applied to the hidden state.

    Call: inputs [B, H, W, filters], states: list of `num_states` tensors of that shape; the hidden state
    comes first.
    """

    num_states = 0

    def __init__(
        self,
        filters: int,
        kernel_size: int = CELL_KERNEL_SIZE,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, kernel_size
        self.kernel_initializer = tf.keras.initializers.get(kernel_initializer)

    def get_initial_state(self, inputs: tf.Tensor) -> list:
        """Zeros, one tensor for each state, of the shape of `inputs`."""
        return [tf.zeros_like(inputs) for _ in range(self.num_states)]

    def _convolution(self, name, filters, activation=None, sees_state=True):
        initializer = "glorot_uniform"
        if sees_state:
            # A copy, since an initializer returns the same values each time it is used.
            initializer = type(self.kernel_initializer).from_config(self.kernel_initializer.get_config())
        return tf.keras.layers.Conv2D(
            filters,
            self.kernel_size,
            padding="same",
            activation=activation,
            kernel_initializer=initializer,
            name=name,
            dtype=self.dtype_policy,
        )

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        mine = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_initializer": tf.keras.initializers.serialize(self.kernel_initializer),
        }
        return {**super().get_config(), **mine}


@register
class ConvLSTM2D(_Bottleneck):
    """One step of a convolutional LSTM over the scales (Sec. 3.1, Eq. 2); states [h, c].

    One convolution over [inputs, h] gives the gates i, j, f, o, in this order, and

        c' = c * sigmoid(f + 1) + sigmoid(i) * tanh(j)
        h' = tanh(c') * sigmoid(o)

    without peepholes; h' is passed to the decoder. This is the authors' cell; `keras.layers.ConvLSTM2D` has
    another order of gates, two kernels and a hard sigmoid.
    """

    num_states = 2

    def __init__(self, filters: int, **kwargs: Any):
        super().__init__(filters, **kwargs)
        self.convolution = self._convolution("LSTM_conv", 4 * filters)

    def call(self, inputs: tf.Tensor, states: list) -> tuple[tf.Tensor, list]:
        hidden, cell = states
        gates = self.convolution(tf.concat([inputs, hidden], axis=-1))
        i, j, f, o = tf.split(gates, 4, axis=-1)
        cell = cell * tf.sigmoid(f + FORGET_BIAS) + tf.sigmoid(i) * tf.tanh(j)
        hidden = tf.tanh(cell) * tf.sigmoid(o)
        return hidden, [hidden, cell]


@register
class ConvRNN2D(_Bottleneck):
    """The vanilla recurrence of the row "RNN" of Table 1; states [h].

    h' = tanh(convolution([inputs, h])), then another convolution with ReLU for the decoder. The paper only
    gives the number of parameters, 3.03M. Two readings have that many: one joint convolution and one for the
    output (3,026,659), or one each for input, state and output (3,026,787). The first is used, since it is
    closest to the ConvLSTM, whose gates are a joint convolution as well.
    """

    num_states = 1

    def __init__(self, filters: int, **kwargs: Any):
        super().__init__(filters, **kwargs)
        self.convolution = self._convolution("RNN_conv", filters, "tanh")
        self.output_convolution = self._convolution("RNN_out", filters, "relu", sees_state=False)

    def call(self, inputs: tf.Tensor, states: list) -> tuple[tf.Tensor, list]:
        hidden = self.convolution(tf.concat([inputs, *states], axis=-1))
        return self.output_convolution(hidden), [hidden]


@register
class ConvGRU2D(_Bottleneck):
    """A convolutional GRU, which Sec. 3.1 mentions as an alternative; states [h].

    z, r = sigmoid(convolution([inputs, h])); j = tanh(convolution([inputs, r * h])); h' = (1 - z) h + z j.
    """

    num_states = 1

    def __init__(self, filters: int, **kwargs: Any):
        super().__init__(filters, **kwargs)
        self.convolution = self._convolution("GRU_gates", 2 * filters, "sigmoid")
        self.candidate_convolution = self._convolution("GRU_candidate", filters, "tanh")

    def call(self, inputs: tf.Tensor, states: list) -> tuple[tf.Tensor, list]:
        (hidden,) = states
        z, r = tf.split(self.convolution(tf.concat([inputs, hidden], axis=-1)), 2, axis=-1)
        candidate = self.candidate_convolution(tf.concat([inputs, r * hidden], axis=-1))
        hidden = (1 - z) * hidden + z * candidate
        return hidden, [hidden]


@register
class ConvolutionBottleneck(_Bottleneck):
    """One convolution with ReLU instead of the cell (SS, SC, w/oR of Table 1); no states."""

    def __init__(self, filters: int, **kwargs: Any):
        super().__init__(filters, **kwargs)
        self.convolution = self._convolution("conv", filters, "relu", sees_state=False)

    def call(self, inputs: tf.Tensor, states: list) -> tuple[tf.Tensor, list]:
        return self.convolution(inputs), states


@register
class DeconvolutionUpsampling(tf.keras.layers.Layer):
    """Doubles height and width by a trained 4x4 deconvolution with the same number of channels."""

    def __init__(self, channels: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels = channels
        self.convolution = _deconvolution(self, "conv", channels)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.convolution(inputs)

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        return {**super().get_config(), "channels": self.channels}


@register
class SubpixelUpsampling(tf.keras.layers.Layer):
    """Doubles height and width by a convolution to four times the channels, followed by depth to space."""

    def __init__(self, channels: int, kernel_size: int = 3, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels, self.kernel_size = channels, kernel_size
        self.convolution = _convolution(self, "conv", 4 * channels, kernel_size, None)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(self.convolution(inputs), block_size=2)

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        return {**super().get_config(), "channels": self.channels, "kernel_size": self.kernel_size}


def _convolution(owner, name, filters, kernel_size, activation, strides=1):
    """A convolution under the dtype policy of `owner`, which sub-layers do not inherit by themselves."""
    return tf.keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        activation=activation,
        name=name,
        dtype=owner.dtype_policy,
    )


def _deconvolution(owner, name, filters, activation=None):
    """A 4x4 transposed convolution of stride 2."""
    return tf.keras.layers.Conv2DTranspose(
        filters,
        DECONVOLUTION_SIZE,
        2,
        padding="same",
        activation=activation,
        name=name,
        dtype=owner.dtype_policy,
    )
