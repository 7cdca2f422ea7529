"""Predefined models: the network of the paper, the authors' releases, Table 1, and Nah et al. of Table 2.

A model is a `ModelConfig`; to add one, add a line. Parameter counts are given next to each and are tested.

Details of Table 1 that the paper leaves open:

* SS and w/oR take the pairs [B, B] and [B, up(I)], so that they only differ in the recurrence. SS with a
  single input image would have 2,730,755 parameters, which also rounds to the 2.73M of the paper.
* SC is SS at three scales, each with its own weights; the estimate is passed on as in SRN.
* RNN has a joint convolution of input and state, and one for the output (see `ConvRNN2D`).
* Deconvolutions are 4x4, although all other kernels are 3x3: otherwise eight rows would not match the counts
  of the paper.
* SR-ED has the skip connections between encoder and decoder, and a ReLU after both convolutions of a pair.
* SR-Flat and SR-RB have no ConvLSTM, with which "43 layers" and 2.66M parameters are not both possible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from srn.config import ModelConfig
from srn.errors import InputError

if TYPE_CHECKING:  # listing models and checking flags must not wait for TensorFlow
    from srn.network import DeblurringNetwork

# The authors' code: small initial values of the cell, TensorFlow 1's resizing.
_OFFICIAL = ModelConfig(bottleneck="none", resize_grid="legacy")
_OFFICIAL_LSTM = ModelConfig(resize_grid="legacy", cell_stddev=0.001)
# Table 1 compares 3x3 networks.
_TABLE_1 = ModelConfig(kernel_size=3)
# Three scales of 40 convolutions of 5x5, and two upconvolutions.
_NAH = ModelConfig(
    layout="multi_scale",
    width=64,
    res_blocks=19,
    bottleneck="none",
    share_weights=False,
    image_upsampling="subpixel",
)

MODELS = {
    "srn": ModelConfig(),  # 8,061,411: the paper's network, colour, 5x5, ConvLSTM
    "official_lstm": _OFFICIAL_LSTM.replace(channels=1),  # 8,056,609: the release "lstm"
    "official_gray": _OFFICIAL.replace(channels=1),  # 6,876,449: the release "gray"
    "official_color": _OFFICIAL,  # 6,881,251: the release "color"
    "official_lstm_color": _OFFICIAL_LSTM,  # 8,061,411: not released, but their code can build it
    "ss": _TABLE_1.replace(bottleneck="convolution", num_scales=1),  # 2,731,619 = 2.73M
    "sc": _TABLE_1.replace(bottleneck="convolution", share_weights=False),  # 8,194,857 = 8.19M
    "wo_r": _TABLE_1.replace(bottleneck="convolution"),  # 2,731,619 = 2.73M
    "rnn": _TABLE_1.replace(bottleneck="convrnn"),  # 3,026,659 = 3.03M
    "sr_flat": _TABLE_1.replace(bottleneck="convolution", layout="flat", residual=False),  # 2,659,939 = 2.66M
    "sr_rb": _TABLE_1.replace(bottleneck="convolution", layout="flat"),  # 2,659,939 = 2.66M
    "sr_ed": _TABLE_1.replace(residual=False),  # 3,764,195 = 3.76M
    "sr_edrb1": _TABLE_1.replace(res_blocks=1),  # 2,214,115 = 2.21M
    "sr_edrb2": _TABLE_1.replace(res_blocks=2),  # 2,989,155 = 2.99M
    "sr_edrb3": _TABLE_1,  # 3,764,195 = 3.76M
    "nah": _NAH,  # 11,721,321: Nah et al. (CVPR 2017), which Table 2 compares with
}

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16", "mixed_bfloat16": "mixed_bfloat16"}


def list_models() -> list[str]:
    """The names that `build_model` accepts."""
    return list(MODELS)


def get_config(model: str | ModelConfig) -> ModelConfig:
    """The configuration of a named model; configurations are returned unchanged.

    Raises `InputError` for an unknown name.
    """
    if isinstance(model, ModelConfig):
        return model
    if model not in MODELS:
        raise InputError(f"there is no model {model!r}; the models are {', '.join(MODELS)}")
    return MODELS[model]


def name_of(config: ModelConfig) -> str | None:
    """The name of the first model with this configuration; None if there is none."""
    return next((name for name, known in MODELS.items() if known == config), None)


def build_model(model: str | ModelConfig = "srn", precision: str = "float32") -> DeblurringNetwork:
    """Builds a network, initialized as in the paper (Xavier uniform, biases 0).

    Args:
      model: a name of `list_models()`, or a `ModelConfig`.
      precision: "float32", or "bfloat16" (also "mixed_bfloat16"): convolutions in bfloat16, weights, resizing
        and outputs in float32.

    Returns:
      A built `srn.network.ScaleRecurrentNetwork`; `srn.nah.MultiScaleNetwork` for the layout "multi_scale".

    Raises `InputError` for an unknown name or precision.
    """
    config = get_config(model)
    if precision not in PRECISIONS:
        raise InputError(f"there is no precision {precision!r}; choose float32 or bfloat16")
    # Imported here, since listing models and checking flags must not wait for TensorFlow.
    from srn.nah import MultiScaleNetwork
    from srn.network import ScaleRecurrentNetwork

    kind = MultiScaleNetwork if config.layout == "multi_scale" else ScaleRecurrentNetwork
    network = kind(config, name=name_of(config) or "srn", dtype=PRECISIONS[precision])
    network.build()
    return network
