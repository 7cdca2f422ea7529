"""Alternative initializations: the identity, and function-preserving growth of a smaller trained network.

Not in the paper, which uses Xavier initialization; from there, thousands of crops are spent on learning the
identity.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from srn.errors import InputError

if TYPE_CHECKING:
    from srn.network import DeblurringNetwork


def start_at_identity(model: DeblurringNetwork) -> None:
    """Initializes `model` such that every scale returns its blurry image (where not negative).

    The blurry image passes through the centre of the first convolution into the first features, and from them
    through the centre of the last convolution to the output. In between, it is kept by ResBlocks (whose
    branches are zero for these features) and the outermost skip connection (to which the last deconvolution
    adds zero). Where there are no shortcuts or no skip connections, all convolutions on the way pass it on.
    The other features keep their Xavier values, with zero weights in the last convolution. The architecture
    is not changed.

    Args:
      model: a newly built `ScaleRecurrentNetwork`.

    Raises `InputError` for models that cannot represent the identity: the layouts "multi_scale" and, with a
    recurrent cell, "flat", and models with fewer features than channels.
    """
    config = model.config
    is_flat = config.layout == "flat"
    if config.layout == "multi_scale" or (is_flat and config.is_recurrent) or config.width < config.channels:
        raise InputError(f"{model.name} has no layers that pass the image on: start it at Xavier values")
    carriers = slice(0, config.channels)
    for network in model.scale_networks:
        blocks = [network.in_block, *network.encoder, *network.decoder] if is_flat else [network.in_block]
        passing = [block.convolution for block in blocks]
        if not is_flat:
            _set(network.decoder[-1].convolution, lambda kernel: _zero(kernel[:, :, carriers]))
        elif network.bottleneck is not None:
            passing.append(network.bottleneck.convolution)
        for res_block in (part for block in (*blocks, network.out_block) for part in block.res_blocks):
            if config.residual:
                _set(res_block.conv2, lambda kernel: _zero(kernel[..., carriers]))
            else:
                passing += [res_block.conv1, res_block.conv2]
        for convolution in passing:
            _set(convolution, lambda kernel: _pass(kernel[..., carriers]))
        _set(network.out_block.convolution, _pass)


def grow(model: DeblurringNetwork, trained: DeblurringNetwork) -> None:
    """Initializes `model` such that it computes the same function as the smaller network `trained`.

    Kernels are copied to the centre of the larger ones and padded with zeros. In additional ResBlocks, the
    first convolution keeps its Xavier values and the second one is zero, so that they add nothing. See
    Chen et al., "Net2Net" (ICLR 2016).

    Args:
      model: a newly built `ScaleRecurrentNetwork`, at least as large as `trained`.
      trained: a network that differs only in smaller kernels and fewer ResBlocks.

    Raises `InputError` if the two differ otherwise.
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
    """Sets a kernel [k, k, in, out] to copy the first `out` input channels."""
    kernel[...] = 0.0
    centre, outputs = kernel.shape[0] // 2, np.arange(kernel.shape[-1])
    kernel[centre, centre, outputs, outputs] = 1.0


def _put_into_centre(kernel, smaller) -> None:
    kernel[...] = 0.0
    rows, columns = ((large - small) // 2 for large, small in zip(kernel.shape, smaller.shape[:2]))
    height, width = smaller.shape[:2]
    kernel[rows : rows + height, columns : columns + width] = smaller
