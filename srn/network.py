"""SRN-DeblurNet: one encoder-decoder run over the scales, coarse to fine, with the same weights.

Tao et al., "Scale-recurrent Network for Deep Image Deblurring", CVPR 2018. The equations:

  Eq. 1   I_i, h_i = Net_SR(B_i, up(I_{i+1}), up(h_{i+1}); theta)    `ScaleRecurrentNetwork.restore_scales`
  Eq. 2   f_i = Net_E(B_i, up(I_{i+1}); theta_E)                     `ScaleNetwork.call`
          h_i, g_i = ConvLSTM(up(h_{i+1}), f_i; theta_LSTM)
          I_i = Net_D(g_i; theta_D)
  Eq. 3   the loss                                                   `srn.training.losses.multi_scale_loss`

i = 1 is the finest scale; lists over the scales are finest first, so item 0 is the paper's scale 1.
Images are float32 in [0, 1], gamma-encoded as stored in files, [B, H, W, C]; outputs are not clipped.

Details that the paper leaves open are as in the authors' code: the estimate at the coarsest scale is the
blurry image itself; gradients flow from a finer scale to a coarser one through the state, but not through the
image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from srn import layers, pyramid
from srn.config import BOTTLENECKS, ModelConfig


@layers.register
class ScaleNetwork(tf.keras.layers.Layer):
    """Net_SR of Eq. 2, the network of one scale (Fig. 3).

    Args:
      config: `ModelConfig`, or its `to_dict()`.

    Call: ((blurry [B, h, w, C], estimate [B, h, w, C]), states: list, or None for zeros)
      -> (restored [B, h, w, C] float32, states: list of [B, h/4, w/4, 4 * width]).
    """

    def __init__(self, config: ModelConfig | dict, **kwargs: Any):
        super().__init__(**kwargs)
        self.config = _as_config(config)
        block = {
            "kernel_size": self.config.kernel_size,
            "res_blocks": self.config.res_blocks,
            "shortcut": self.config.residual,
            "dtype": self.dtype_policy,
        }
        strides, width = self.config.strides, self.config.width
        self.in_block = layers.InBlock(1, width, name="in_block", **block)
        self.encoder = [
            layers.EBlock(2, 2 * width, strides=strides, name="e_block1", **block),
            layers.EBlock(3, 4 * width, strides=strides, name="e_block2", **block),
        ]
        self.bottleneck = self._make_bottleneck(4 * width)
        self.decoder = [
            layers.DBlock(2, 2 * width, strides=strides, name="d_block1", **block),
            layers.DBlock(1, width, strides=strides, name="d_block2", **block),
        ]
        self.out_block = layers.OutBlock(1, width, channels=self.config.channels, name="out_block", **block)

    def _make_bottleneck(self, filters):
        layer = BOTTLENECKS[self.config.bottleneck].layer
        if layer is None:
            return None
        initializer = "glorot_uniform"
        if self.config.cell_stddev is not None:
            initializer = tf.keras.initializers.TruncatedNormal(0.0, self.config.cell_stddev)
        return getattr(layers, layer)(
            filters,
            kernel_initializer=initializer,
            name=self.config.bottleneck,
            dtype=self.dtype_policy,
        )

    def call(self, images: Sequence[tf.Tensor], states: list | None = None) -> tuple[tf.Tensor, list]:
        # Eq. 2, first line: f = Net_E(B, up(I))
        features, skips = self._encode(tf.concat(images, axis=-1))
        # second line: h, g = ConvLSTM(up(h), f)
        if self.bottleneck is not None:
            if states is None:
                states = self.bottleneck.get_initial_state(features)
            features, states = self.bottleneck(features, states)
        # third line: I = Net_D(g)
        return self._decode(features, skips), states or []

    def _encode(self, images):
        """[B, h, w, 2C] -> features [B, h/4, w/4, 4 * width]; skips of h and h/2, coarsest last."""
        features, skips = self.in_block(images), []
        for block in self.encoder:
            skips.append(features)
            features = block(features)
        return features, skips

    def _decode(self, features, skips):
        """Features [B, h/4, w/4, 4 * width] and the skips of the encoder -> image [B, h, w, C]."""
        for block, skip in zip(self.decoder, reversed(skips)):
            features = block(features, skip if self.config.layout == "encoder_decoder" else None)
        return self.out_block(features)

    def convolutions(self) -> Iterator[tuple[str, tf.keras.layers.Conv2D]]:
        """Yields every convolution of this scale in the order of the authors' checkpoints, with its name.

        Names are as there: `enc1_1`, `enc1_2/conv1`, ..., `convLSTM/LSTM_conv`, ..., `dec1_0`.
        """
        for block in (self.in_block, *self.encoder):
            yield block.convolution.name, block.convolution
            yield from layers.convolutions_of_res_blocks(block.res_blocks)
        if self.bottleneck is not None:
            scope = BOTTLENECKS[self.config.bottleneck].scope
            for convolution in _convolutions_of(self.bottleneck):
                yield f"{scope}/{convolution.name}", convolution
        for block in (*self.decoder, self.out_block):
            yield from layers.convolutions_of_res_blocks(block.res_blocks)
            yield block.convolution.name, block.convolution

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        return {**super().get_config(), "config": self.config.to_dict()}


class DeblurringNetwork(tf.keras.Model):
    """Base class of the networks; subclasses define `restore_scales`.

    Args:
      config: `ModelConfig`, or its `to_dict()`.
      dtype: Keras dtype policy: "float32", or "mixed_bfloat16": convolutions compute in bfloat16, weights,
        resizing and outputs are float32.

    Call: blurry [B, H, W, C], floating point in [0, 1], any B, H, W of at least 1
      -> list of restored images, finest first: [B, H, W, C], [B, ceil(H / 2), ceil(W / 2), C], ...; float32,
      not clipped.
    """

    restore_scales: Any  # a `tf.function`, called by `call`

    def __init__(self, config: ModelConfig | dict, **kwargs: Any):
        # No autocast: the images must stay float32 until the first convolution.
        super().__init__(autocast=False, **kwargs)
        self.config = _as_config(config)

    def build(self, input_shape: object = None) -> None:
        """Creates the weights by a call on symbolic images of any size."""
        super().build((None, None, None, self.config.channels))

    def call(self, blurry: tf.Tensor) -> list:
        # Eager calls of all sizes share one graph; within a graph, static sizes are kept.
        eager = tf.executing_eagerly()
        return (self.restore_scales if eager else self.restore_scales.python_function)(blurry)

    def restore(self, images: tf.Tensor) -> tf.Tensor:
        """Restores colour images at the finest scale.

        One-channel models are applied to the R, G and B planes as a batch of three, as in the authors' code.

        Args:
          images: [B, H, W, 3], float32 in [0, 1].

        Returns:
          [B, H, W, 3], float32, not clipped.
        """
        if self.config.channels == 3:
            return self(images)[0]
        batch, height, width = tf.unstack(tf.shape(images)[:3])
        planes = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [3 * batch, height, width, 1])
        restored = tf.reshape(self(planes)[0], [batch, 3, height, width])
        return tf.transpose(restored, [0, 2, 3, 1])

    def convolutions(self) -> Iterator[tuple[str, tf.keras.layers.Conv2D]]:
        """Yields (name, Keras layer) for every convolution; together they hold all weights of the network."""
        raise NotImplementedError

    @property
    def recurrent_variables(self) -> list:
        """The trainable variables of the recurrent cells, which alone are clipped in training (Sec. 4)."""
        return []

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        policy = tf.keras.mixed_precision.Policy(self.dtype_policy.name)
        dtype = tf.keras.saving.serialize_keras_object(policy)
        return {"name": self.name, "config": self.config.to_dict(), "dtype": dtype}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> DeblurringNetwork:
        """The inverse of `get_config`."""
        return cls(**{**config, "dtype": tf.keras.saving.deserialize_keras_object(config["dtype"])})


@layers.register
class ScaleRecurrentNetwork(DeblurringNetwork):
    """The network of the paper, Eq. 1; see `DeblurringNetwork` for arguments and call."""

    def __init__(self, config: ModelConfig | dict, **kwargs: Any):
        super().__init__(config, **kwargs)
        self.scale_networks = self._make_scale_networks()
        self.image_upsampling = _make_upsampling(
            self.config.image_upsampling, self.config.channels, "image_upsampling", "float32"
        )
        self.state_upsampling = [
            _make_upsampling(
                self.config.state_upsampling, 4 * self.config.width, f"state_upsampling{k}", self.dtype_policy
            )
            for k in range(self._num_states())
        ]

    def _make_scale_networks(self):
        names = ["scale_network"]
        if not self.config.share_weights:
            names = [f"scale_network{scale + 1}" for scale in range(self.config.num_scales)]
        return [ScaleNetwork(self.config, name=name, dtype=self.dtype_policy) for name in names]

    def _num_states(self):
        bottleneck = self.scale_networks[0].bottleneck
        return 0 if bottleneck is None else bottleneck.num_states

    @tf.function(reduce_retracing=True)
    @tf.autograph.experimental.do_not_convert
    def restore_scales(self, blurry: tf.Tensor) -> list:
        """Eq. 1: from the coarsest to the finest scale, each with image and state of the previous one."""
        size = pyramid.spatial_size(blurry)
        padded = pyramid.pad_to_multiple(tf.cast(blurry, tf.float32), self.config.size_multiple)
        blurry_pyramid = pyramid.build_pyramid(padded, self.config.num_scales, self.config.resize_grid)
        restored, states, outputs = None, None, []
        for scale in reversed(range(self.config.num_scales)):
            blurry_image = blurry_pyramid[scale]  # B_i
            if restored is None:
                estimate = blurry_image
            else:
                estimate = self._upsample_image(tf.stop_gradient(restored))  # up(I_{i+1})
                states = self._upsample_states(states)  # up(h_{i+1})
            restored, states = self._network_at(scale)((blurry_image, estimate), states)  # I_i, h_i
            outputs.append(pyramid.crop_to(restored, pyramid.size_at_scale(size, scale)))
        return outputs[::-1]

    def _network_at(self, scale):
        return self.scale_networks[scale if len(self.scale_networks) > 1 else 0]

    def _upsample_image(self, image):
        if self.image_upsampling is not None:
            return self.image_upsampling(image)
        return _double(image, self.config.resize_grid)

    def _upsample_states(self, states):
        if self.config.state_upsampling != "bilinear":
            return [upsample(state) for upsample, state in zip(self.state_upsampling, states)]
        return [_double(state, self.config.resize_grid) for state in states]

    @property
    def recurrent_variables(self) -> list:
        """The trainable variables of the recurrent cells, which alone are clipped in training (Sec. 4)."""
        if not self.config.is_recurrent:
            return []
        cells = [network.bottleneck for network in self.scale_networks]
        return [variable for cell in cells for variable in cell.trainable_variables]

    def convolutions(self) -> Iterator[tuple[str, tf.keras.layers.Conv2D]]:
        """Yields (name, Keras layer) for every convolution; names as in the authors' checkpoints.

        Without shared weights, names are prefixed by `scale1/` (the finest), ...
        """
        for scale, network in enumerate(self.scale_networks, 1):
            prefix = f"scale{scale}/" if len(self.scale_networks) > 1 else ""
            for name, convolution in network.convolutions():
                yield prefix + name, convolution
        for upsampling in (self.image_upsampling, *self.state_upsampling):
            if upsampling is not None:
                yield f"{upsampling.name}/{upsampling.convolution.name}", upsampling.convolution


def _as_config(config):
    return config if isinstance(config, ModelConfig) else ModelConfig.from_dict(config)


def _make_upsampling(kind, channels, name, dtype):
    """Returns a trainable layer, or None for bilinear resizing."""
    if kind == "bilinear":
        return None
    make = {"deconvolution": layers.DeconvolutionUpsampling, "subpixel": layers.SubpixelUpsampling}[kind]
    return make(channels, name=name, dtype=dtype)


def _double(images, grid):
    height, width = pyramid.spatial_size(images)
    return pyramid.resize(images, (2 * height, 2 * width), grid)


def _convolutions_of(layer):
    return [part for part in layer.submodules if isinstance(part, tf.keras.layers.Conv2D)]
