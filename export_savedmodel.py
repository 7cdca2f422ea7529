"""Exports weights as a SavedModel for TensorFlow Serving.

    python export_savedmodel.py --ckpt=runs/gopro --export_dir=served/srn

writes served/srn/1 (then 2, ...), with the signatures `serving_default` and `encoded`, warm-up requests and a
model card, and the configuration files of the server. serving/README.md describes how to run the server.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from absl import flags

from srn import command
from srn.errors import InputError
from srn.released import WHICH
from srn.zoo import MODELS, PRECISIONS

_CKPT = flags.DEFINE_string(
    "ckpt", None, "Weights: a model directory, checkpoint prefix, .npz, or released name."
)
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "The network, for weights that do not name it.")
_WEIGHTS = flags.DEFINE_enum(
    "weights",
    "average",
    ["average", "latest"],
    "For checkpoints with both: averaged weights, or the latest ones.",
)
_WHICH = flags.DEFINE_enum(
    "which", None, WHICH, "Which weights of a training run; short for --ckpt=RUN/best etc."
)
_PRECISION = flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Precision of the convolutions.")
_EXPORT_DIR = flags.DEFINE_string(
    "export_dir", None, "Folder of the model, in which one is created for each version."
)
_NAME = flags.DEFINE_string(
    "name", None, "Name of the model on the server. Default: that of the folder --export_dir."
)
_VERSION = flags.DEFINE_integer(
    "version", None, "Version number. Default: one more than the highest in --export_dir."
)
_MAX_MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels",
    13.5,
    "Larger images are refused. Sides are rounded up to multiples of 16.",
    lower_bound=0.01,
    upper_bound=1000.0,
)
_WARM_UP = flags.DEFINE_list(
    "warm_up",
    ["256x256"],
    "WIDTHxHEIGHT,...: sizes of images that the server restores when it loads the version.",
)
_CARD = flags.DEFINE_string(
    "card",
    None,
    "JSON file with further entries of the model card, such as scores. Default: the released card.",
)


def main() -> int:
    """Loads the weights and writes the SavedModel; returns the exit code."""
    for flag in (_CKPT, _EXPORT_DIR):
        if not flag.value:
            raise InputError(f"--{flag.name} is needed")
    if not math.isfinite(_MAX_MEGAPIXELS.value):
        raise InputError(f"--max_megapixels={_MAX_MEGAPIXELS.value}: give a number")
    sizes = [_parse_size(size) for size in _WARM_UP.value]
    card = None if _CARD.value is None else _read_card(Path(_CARD.value))

    from srn.serving import export

    folder = export.export_checkpoint(
        _CKPT.value if _WHICH.value is None else f"{_CKPT.value}/{_WHICH.value}",
        _EXPORT_DIR.value,
        _VERSION.value,
        model=_MODEL.value,
        precision=_PRECISION.value,
        prefer_average=_WEIGHTS.value == "average",
        name=_NAME.value,
        max_pixels=round(_MAX_MEGAPIXELS.value * 1e6),
        warm_up_sizes=sizes,
        card=card,
    )
    print(folder)
    return command.DONE


def _parse_size(size: str) -> tuple[int, int]:
    """`WIDTHxHEIGHT` -> (height, width)."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", size)
    if not match:
        raise InputError(f"--warm_up={size}: give WIDTHxHEIGHT, such as 1280x720")
    return int(match[2]), int(match[1])


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"--card={path}: cannot be read ({error})") from error
    if not isinstance(card, dict):
        raise InputError(f"--card={path}: no JSON object")
    return card


if __name__ == "__main__":
    command.run(main)
