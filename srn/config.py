"""`ModelConfig`: the frozen configuration that every model is built from.

This module does not import TensorFlow, so that commands can list models and check flags quickly.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

UPSAMPLINGS = ("bilinear", "deconvolution", "subpixel")
RESIZE_GRIDS = ("half_pixel", "legacy")
LAYOUTS = ("encoder_decoder", "flat", "multi_scale")
MAX_SCALES = 4
NUM_STRIDES = 2  # Sec. 3.2: two EBlocks, each of stride 2


@dataclasses.dataclass(frozen=True)
class Bottleneck:
    """The layer between encoder and decoder.

    Attributes:
      layer: its class in `srn.layers`; None for nothing.
      is_recurrent: whether it has a hidden state.
      scope: prefix of the names of its convolutions, as in the authors' checkpoints.
    """

    layer: str | None
    is_recurrent: bool = False
    scope: str = ""


# To add a cell, add a layer to `srn.layers` and a line here.
BOTTLENECKS = {
    "convlstm": Bottleneck("ConvLSTM2D", is_recurrent=True, scope="convLSTM"),
    "convrnn": Bottleneck("ConvRNN2D", is_recurrent=True, scope="convrnn"),
    "convgru": Bottleneck("ConvGRU2D", is_recurrent=True, scope="convgru"),
    "convolution": Bottleneck("ConvolutionBottleneck", scope="convolution"),
    "none": Bottleneck(None),
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Configuration of a scale-recurrent network; the defaults are the network of the paper.

    Attributes:
      channels: 3 for colour, 1 for gray. A one-channel model restores R, G and B separately.
      num_scales: 1 to 4; Fig. 4 of the paper compares 1, 2 and 3.
      width: features of the finest stage; the stages have `width`, 2 * `width`, 4 * `width` (32, 64, 128).
      kernel_size: of all convolutions except those of the bottleneck (3x3) and the deconvolutions (4x4).
        Odd; 5 in the paper's final network, 3 in its Table 1.
      res_blocks: ResBlocks in each block of encoder and decoder; 3 in the paper.
      residual: whether ResBlocks have a shortcut. Without it (SR-ED, SR-Flat of Table 1) they are two
        convolutions, each with a ReLU.
      layout: "encoder_decoder", or "flat": the same layers in a row without strides and without skip
        connections (SR-Flat, SR-RB of Table 1), or "multi_scale": the network of Nah et al. (`srn.nah`),
        where `width` is that of all layers and `res_blocks` are those of one scale.
      bottleneck: the layer between encoder and decoder: a recurrent cell ("convlstm",
        "convrnn", "convgru": Sec. 3.1), one 3x3 "convolution", or "none".
      share_weights: whether all scales use the same weights; False is SC of Table 1.
      image_upsampling: upsampling of the restored image to the next finer scale (Sec. 3.1).
      state_upsampling: upsampling of the hidden state.
      resize_grid: sampling grid of bilinear resizing. "half_pixel": `tf.image.resize` of TensorFlow 2.
        "legacy": TensorFlow 1 (no half-pixel centres), which the authors' weights were trained with.
      kappa: weight of each scale in the loss (Eq. 3), finest first; empty means 1 for each.
      cell_stddev: standard deviation of the (truncated normal) initializer of the cell's kernel; None
        for Xavier, as for all other kernels. The authors' code uses 0.001.

    Raises `ValueError` naming the field and the allowed values.
    """

    channels: int = 3
    num_scales: int = 3
    width: int = 32
    kernel_size: int = 5
    res_blocks: int = 3
    residual: bool = True
    layout: str = "encoder_decoder"
    bottleneck: str = "convlstm"
    share_weights: bool = True
    image_upsampling: str = "bilinear"
    state_upsampling: str = "bilinear"
    resize_grid: str = "half_pixel"
    kappa: tuple[float, ...] = ()
    cell_stddev: float | None = None

    def __post_init__(self):
        self._check_values()
        self._fill_kappa()
        self._check_combinations()

    def _check_values(self):
        for name, lowest, highest in (
            ("channels", 1, 3),
            ("num_scales", 1, MAX_SCALES),
            ("width", 1, 1024),
            ("kernel_size", 1, 15),
            ("res_blocks", 0, 64),
        ):
            value = getattr(self, name)
            _require(_is_whole(value, lowest, highest), name, value, f"a whole number, {lowest} to {highest}")
        _require(self.channels != 2, "channels", self.channels, "1 or 3")
        _require(self.kernel_size % 2 == 1, "kernel_size", self.kernel_size, "an odd number")
        for name in ("residual", "share_weights"):
            value = getattr(self, name)
            _require(isinstance(value, bool), name, value, "True or False")
        for name, choices in (
            ("layout", LAYOUTS),
            ("bottleneck", BOTTLENECKS),
            ("image_upsampling", UPSAMPLINGS),
            ("state_upsampling", UPSAMPLINGS),
            ("resize_grid", RESIZE_GRIDS),
        ):
            value = getattr(self, name)
            _require(value in choices, name, value, "one of " + ", ".join(choices))
        stddev = self.cell_stddev
        is_allowed = stddev is None or (_is_number(stddev) and stddev > 0)
        _require(is_allowed, "cell_stddev", stddev, "None (Xavier) or a positive number")

    def _fill_kappa(self):
        given, allowed = self.kappa, f"{self.num_scales} weights of at least 0, one a scale, not all 0"
        is_list = isinstance(given, (tuple, list)) and all(_is_number(weight) for weight in given)
        _require(is_list, "kappa", given, allowed)
        kappa = tuple(float(weight) for weight in given) or (1.0,) * self.num_scales
        fits = len(kappa) == self.num_scales and min(kappa) >= 0 and max(kappa) > 0
        _require(fits, "kappa", given, allowed)
        object.__setattr__(self, "kappa", kappa)

    def _check_combinations(self):
        if self.layout == "multi_scale":
            several = self.num_scales > 1
            for name, only in (
                ("bottleneck", "none"),
                ("residual", True),
                ("share_weights", not several),
                ("image_upsampling", "subpixel" if several else "bilinear"),
            ):
                why = f"{only!r} where layout='multi_scale' has num_scales={self.num_scales}"
                _require(getattr(self, name) == only, name, getattr(self, name), why)
        if self.num_scales == 1:
            for name in ("image_upsampling", "state_upsampling"):
                why = "'bilinear' where num_scales=1: nothing is handed to a finer scale"
                _require(getattr(self, name) == "bilinear", name, getattr(self, name), why)
            _require(self.share_weights, "share_weights", False, "True where num_scales=1")
        if not self.is_recurrent:
            cells = ", ".join(name for name, cell in BOTTLENECKS.items() if cell.is_recurrent)
            why = f"where bottleneck={self.bottleneck!r}, which has no state as {cells} have"
            for name, default in (("state_upsampling", "bilinear"), ("cell_stddev", None)):
                _require(getattr(self, name) == default, name, getattr(self, name), f"{default!r} {why}")

    @property
    def is_recurrent(self) -> bool:
        """Whether a hidden state is passed from scale to scale."""
        return BOTTLENECKS[self.bottleneck].is_recurrent

    @property
    def strides(self) -> int:
        """The stride of an EBlock and of a DBlock's deconvolution."""
        return 2 if self.layout == "encoder_decoder" else 1

    @property
    def size_multiple(self) -> int:
        """Height and width inside the network are multiples of this: 16 in the paper.

        Each finer scale doubles the size and each EBlock halves it; other sizes are padded.
        """
        return self.strides**NUM_STRIDES * 2 ** (self.num_scales - 1)

    def is_same_network(self, other: ModelConfig) -> bool:
        """Whether weights of one fit the other: only fields that affect training alone differ."""
        return self._without_training() == other._without_training()

    def _without_training(self):
        return dataclasses.replace(self, kappa=(), cell_stddev=None)

    def replace(self, **changes: Any) -> ModelConfig:
        """A copy with some fields changed; `kappa` is reset when the number of scales changes."""
        if "num_scales" in changes and "kappa" not in changes:
            changes["kappa"] = ()
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict:
        """Plain values for JSON and `get_config`; the inverse of `from_dict`."""
        return {**dataclasses.asdict(self), "kappa": list(self.kappa)}

    @classmethod
    def from_dict(cls, values: dict) -> ModelConfig:
        """The inverse of `to_dict`. Raises `ValueError` for a field that does not exist."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"ModelConfig has no field {', '.join(unknown)}")
        return cls(**{**values, "kappa": tuple(values.get("kappa", ()))})


def _is_whole(value, lowest, highest) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _require(holds, field, value, allowed):
    if not holds:
        raise ValueError(f"{field}={value!r} cannot be built; allowed: {allowed}")
