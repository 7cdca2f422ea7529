"""A start at the identity: weights that give the blurry image back, from which training only improves.

Not in the paper, which starts at Xavier values; from those, thousands of crops go into learning to copy.
"""

from __future__ import annotations

import numpy as np

from srn.errors import InputError


def start_at_identity(model) -> None:
    """Changes the start values of `model` so that every scale returns its blurry image (where not negative).

    The blurry image goes through the centre of the first convolution into the first features, past the
    ResBlocks (whose branches are zero for these), over the outermost skip (to which the last deconvolution
    adds zero), and through the centre of the last convolution. All other features keep their Xavier values,
    read out with weight zero at first. The architecture stays what it is.

    Args:
      model: a freshly built `ScaleRecurrentNetwork`.

    Raises `InputError` for a model without shortcuts or skips, through which no image passes unchanged.
    """
    config = model.config
    if config.layout != "encoder_decoder" or not config.residual or config.width < config.channels:
        raise InputError(
            f"{model.name} has no skips or shortcuts to pass the image on: start it at Xavier values"
        )
    carriers = slice(0, config.channels)
    for network in model.scale_networks:
        for block in (network.in_block, network.out_block):
            for res_block in block.res_blocks:
                _set(res_block.conv2, lambda kernel: _zero(kernel[..., carriers]))
        _set(network.decoder[-1].convolution, lambda kernel: _zero(kernel[:, :, carriers]))
        _set(network.in_block.convolution, lambda kernel: _pass(kernel[..., carriers]))
        _set(network.out_block.convolution, _pass)


def _set(convolution, change) -> None:
    kernel = convolution.kernel.numpy()
    change(kernel)
    convolution.kernel.assign(kernel)


def _zero(kernel) -> None:
    kernel[...] = 0.0


def _pass(kernel) -> None:
    """Makes the last axis of [k, k, in, out] a copy of as many first channels."""
    kernel[...] = 0.0
    centre, outputs = kernel.shape[0] // 2, np.arange(kernel.shape[-1])
    kernel[centre, centre, outputs, outputs] = 1.0
