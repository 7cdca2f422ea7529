"""Candidates of an ablation: models of the zoo, and the alternatives of Sec. 3.1 and 3.3, in named lists.

This module does not import TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from srn.config import BOTTLENECKS, MAX_SCALES, UPSAMPLINGS, ModelConfig
from srn.errors import InputError
from srn.training.losses import LOSSES
from srn.zoo import MODELS, name_of


@dataclasses.dataclass(frozen=True)
class Published:
    """Results reported by the paper for a model on the 1111 test pairs of GOPRO_Large.

    Attributes:
      psnr: in dB.
      ssim: by MATLAB's `ssim` of the colour image (`ssim_matlab` of `srn.metrics`).
      confirmed: whether the numbers were found in a second source.
    """

    psnr: float
    ssim: float
    confirmed: bool = False


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model of an ablation, and its changes of the training settings.

    Attributes:
      name: unique within the ablation; the name of its folder.
      config: the network.
      changes: fields of `srn.TrainingConfig` that differ from the flagfile, such as `loss`.
      paper: results reported by the paper; None if there are none.
    """

    name: str
    config: ModelConfig
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    paper: Published | None = None


# Table 1, and the two networks of Table 2 that are in the zoo.
_PUBLISHED = {
    "ss": Published(28.40, 0.9045, confirmed=True),
    "sc": Published(29.05, 0.9166),
    "wo_r": Published(29.26, 0.9197),
    "rnn": Published(29.35, 0.9210),
    "sr_flat": Published(27.53, 0.8886),
    "sr_rb": Published(28.11, 0.8991),
    "sr_ed": Published(29.06, 0.9170),
    "sr_edrb1": Published(28.60, 0.9082),
    "sr_edrb2": Published(29.32, 0.9204),
    "sr_edrb3": Published(29.98, 0.9254, confirmed=True),
    "srn": Published(30.10, 0.9323, confirmed=True),
    "nah": Published(29.08, 0.9135, confirmed=True),
}
_TABLE_1 = list(_PUBLISHED)[:10]
_BASE = MODELS["sr_edrb3"]  # the baseline of the other lists: the last row of Table 1
TV_WEIGHT = 1e-3  # not given in the paper; chosen to have the size of Eq. 3 after some training
ADVERSARIAL_WEIGHT = 1e-4  # of Nah et al.


def _of_zoo(name: str) -> Candidate:
    return Candidate(name, MODELS[name], paper=_PUBLISHED.get(name))


def _variant(name: str, **changes: Any) -> Candidate:
    """The baseline with changes; a model of the zoo keeps its name, so that several lists train it once."""
    config = _BASE.replace(**changes)
    known = name_of(config)
    return _of_zoo(known) if known else Candidate(name, config)


_LISTS = {
    # The paper's Table 1: scales, recurrence, encoder-decoder, ResBlocks.
    "table1": [_of_zoo(name) for name in _TABLE_1],
    # The two networks of Table 2 that are trained on GOPRO.
    "table2": [_of_zoo(name) for name in ("srn", "nah")],
    # Sec. 3.1: the cell that carries the state from scale to scale, or none.
    "cells": [_variant(f"cell_{cell}", bottleneck=cell) for cell in BOTTLENECKS],
    # Sec. 3.1: upsampling of the image and the state.
    "upsampling": [
        _variant(f"up_{kind}", image_upsampling=kind, state_upsampling=kind) for kind in UPSAMPLINGS
    ],
    # Fig. 4 compares one to three scales; four are possible.
    "scales": [_variant(f"scales_{number}", num_scales=number) for number in range(1, MAX_SCALES + 1)],
    # Sec. 3.3: Eq. 3, the two other terms tried in the paper, and further losses.
    "losses": [
        *(Candidate(f"loss_{loss}", _BASE, {"loss": loss}) for loss in LOSSES),
        Candidate("loss_mse_tv", _BASE, {"loss": "mse", "tv_weight": TV_WEIGHT}),
        Candidate("loss_mse_adversarial", _BASE, {"loss": "mse", "adversarial_weight": ADVERSARIAL_WEIGHT}),
    ],
}


def list_names() -> list[str]:
    """The names of the lists that `find` takes."""
    return list(_LISTS)


def find(names: str) -> list[Candidate]:
    """The candidates given by `names`, without duplicates, in this order.

    Args:
      names: separated by commas: lists (`list_names()`), models of the zoo, single members of a list.

    Raises `InputError` for an unknown name.
    """
    members = {candidate.name: [candidate] for some in _LISTS.values() for candidate in some}
    known = {**{name: [_of_zoo(name)] for name in MODELS}, **members, **_LISTS}
    found: dict[str, Candidate] = {}
    for name in filter(None, (name.strip() for name in names.split(","))):
        if name not in known:
            raise InputError(
                f"models={name}: neither a list nor a model; the lists are {', '.join(_LISTS)}, "
                f"the models {', '.join(MODELS)}"
            )
        found.update({candidate.name: candidate for candidate in known[name]})
    if not found:
        raise InputError("models: name at least one list or model")
    return list(found.values())
