"""DeepDeblur, the network that the paper compares with in Table 2.

Nah et al., "Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring", CVPR 2017. Coarse to
fine like SRN-DeblurNet, but each scale has its own weights, works at full resolution throughout, and passes
only an image to the next scale:

  I_K = Net_K(B_K)                          coarsest scale
  I_k = Net_k([B_k, up_k(I_{k+1})])         finer scales

Net_k is a convolution, `res_blocks` ResBlocks and a convolution, without normalization; up_k is an
"upconvolution": a convolution to four times the channels, followed by depth to space. Details that the paper
leaves open are as in both of the authors' releases (Torch, DeepDeblur_release; PyTorch, DeepDeblur-PyTorch):
5x5 kernels, also in up_k; no ReLU after the first convolution and after the addition of a ResBlock; 0.5 is
subtracted from images inside the network; gradients flow through up_k to coarser scales.

It is not a configuration of `srn.network`, since it would need options that no other model has: a first
convolution with a different number of inputs at the coarsest scale, an upsampling layer for each scale,
shifted images, no stopped gradient. The base class `DeblurringNetwork` is common to both.

Unlike the authors' code, it uses the image pyramid of the other models (`srn.pyramid`), so that all are
compared with the same ground truth (theirs is a Gaussian pyramid), and Xavier initialization.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from srn import layers, pyramid
from srn.config import ModelConfig
from srn.network import DeblurringNetwork

MEAN = 0.5  # subtracted before the first convolution and added after the last one
UPSAMPLING_KERNEL_SIZE = 5


@layers.register
class ResidualStack(tf.keras.layers.Layer):
    """Net_k: a convolution, ResBlocks of one width, a convolution to the image in float32.

    Args:
      filters: channels of all layers but the last.
      channels: of the image.
      kernel_size: of every convolution.
      res_blocks: number of ResBlocks of two convolutions each; 19 in the paper, hence 40 convolutions.

    Call: [B, H, W, any] -> [B, H, W, channels].
    """

    def __init__(
        self, filters: int = 64, channels: int = 3, kernel_size: int = 5, res_blocks: int = 19, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.filters, self.channels = filters, channels
        self.kernel_size, self.num_res_blocks = kernel_size, res_blocks
        convolution = {"kernel_size": kernel_size, "padding": "same"}
        self.first = tf.keras.layers.Conv2D(filters, name="first", dtype=self.dtype_policy, **convolution)
        self.res_blocks = [
            layers.ResBlock(filters, kernel_size, name=f"res{number + 1}", dtype=self.dtype_policy)
            for number in range(res_blocks)
        ]
        # float32 for the same reason as in `srn.layers.OutBlock`.
        self.last = tf.keras.layers.Conv2D(channels, name="last", dtype="float32", **convolution)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        features = self.first(inputs)
        for block in self.res_blocks:
            features = block(features)
        return self.last(features)

    def convolutions(self) -> Iterator[tuple[str, tf.keras.layers.Conv2D]]:
        """Yields (name, layer): `first`, `res1/conv1`, `res1/conv2`, ..., `last`."""
        yield self.first.name, self.first
        yield from layers.convolutions_of_res_blocks(self.res_blocks)
        yield self.last.name, self.last

    def get_config(self) -> dict:
        """Returns the arguments of `__init__`."""
        mine = {
            "filters": self.filters,
            "channels": self.channels,
            "kernel_size": self.kernel_size,
            "res_blocks": self.num_res_blocks,
        }
        return {**super().get_config(), **mine}


@layers.register
class MultiScaleNetwork(DeblurringNetwork):
    """DeepDeblur, for a configuration with the layout "multi_scale"; see `DeblurringNetwork`."""

    def __init__(self, config: ModelConfig | dict, **kwargs: Any):
        super().__init__(config, **kwargs)
        self.scale_networks = [
            ResidualStack(
                self.config.width,
                self.config.channels,
                self.config.kernel_size,
                self.config.res_blocks,
                name=f"scale{scale + 1}",
                dtype=self.dtype_policy,
            )
            for scale in range(self.config.num_scales)
        ]
        self.upsampling = [
            layers.SubpixelUpsampling(
                self.config.channels, UPSAMPLING_KERNEL_SIZE, name=f"upsampling{scale + 1}", dtype="float32"
            )
            for scale in range(self.config.num_scales - 1)
        ]

    @tf.function(reduce_retracing=True)
    @tf.autograph.experimental.do_not_convert
    def restore_scales(self, blurry: tf.Tensor) -> list:
        """From the coarsest to the finest scale, each with the upsampled image of the previous one."""
        size = pyramid.spatial_size(blurry)
        padded = pyramid.pad_to_multiple(tf.cast(blurry, tf.float32), self.config.size_multiple)
        blurry_pyramid = pyramid.build_pyramid(padded, self.config.num_scales, self.config.resize_grid)
        restored, outputs = None, []
        for scale in reversed(range(self.config.num_scales)):
            inputs = blurry_pyramid[scale] - MEAN
            if restored is not None:
                inputs = tf.concat([inputs, self.upsampling[scale](restored)], axis=-1)
            restored = self.scale_networks[scale](inputs)
            outputs.append(pyramid.crop_to(restored + MEAN, pyramid.size_at_scale(size, scale)))
        return outputs[::-1]

    def convolutions(self) -> Iterator[tuple[str, tf.keras.layers.Conv2D]]:
        """Yields (name, Keras layer): `scale1/first`, ... (the finest), then `upsampling1/conv`, ..."""
        for network in self.scale_networks:
            for name, convolution in network.convolutions():
                yield f"{network.name}/{name}", convolution
        for upsampling in self.upsampling:
            yield f"{upsampling.name}/{upsampling.convolution.name}", upsampling.convolution
