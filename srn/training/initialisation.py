"""Starts that training only improves on: the identity, and a smaller trained network that is grown.

Not in the paper, which starts at Xavier values; from those, thousands of crops go into learning to copy.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from srn.errors import InputError

if TYPE_CHECKING:
    from srn.network import DeblurringNetwork


def start_at_identity(model: DeblurringNetwork) -> None:
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


def grow(model: DeblurringNetwork, trained: DeblurringNetwork) -> None:
    """Changes the start values of `model` so that it computes exactly what the smaller `trained` one does.

    Kernels are put into the centre of the larger ones, with zeros around them; ResBlocks that the smaller
    network lacks keep Xavier values in their first convolution and get zeros in the second, so that they
    add nothing at first. Function-preserving growth is from Chen et al., "Net2Net" (ICLR 2016).

    Args:
      model: a freshly built `ScaleRecurrentNetwork`, as large as `trained` or larger.
      trained: one that differs in nothing but smaller kernels and fewer ResBlocks.

    Raises `InputError` if the two differ in anything else.
    """
    small, large = trained.config, model.config
    resized = small.replace(kernel_size=large.kernel_size, res_blocks=large.res_blocks)
    is_smaller = small.kernel_size <= large.kernel_size and small.res_blocks <= large.res_blocks
    if not (is_smaller and large.residual and resized.is_same_network(large)):
        raise InputError(
            f"{trained.name} cannot be grown into {model.name}: with shortcuts, a larger kernel_size and "
            "more res_blocks are all that the two may differ in"
        )
    grown_from = dict(trained.convolutions())
    for name, convolution in model.convolutions():
        if name in grown_from:
            smaller = grown_from[name]
            _set(convolution, functools.partial(_put_into_centre, smaller=smaller.kernel.numpy()))
            convolution.bias.assign(smaller.bias)
        elif name.endswith("conv2"):
            _set(convolution, _zero)


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


def _put_into_centre(kernel, smaller) -> None:
    kernel[...] = 0.0
    rows, columns = ((large - small) // 2 for large, small in zip(kernel.shape, smaller.shape[:2]))
    height, width = smaller.shape[:2]
    kernel[rows : rows + height, columns : columns + width] = smaller
