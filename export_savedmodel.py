"""Exports weights as a SavedModel for TensorFlow Serving.

    python export_savedmodel.py --ckpt=runs/gopro --export_dir=served/srn

writes served/srn/1 (then 2, ...), with the signatures `serving_default` and `encoded`, warm-up requests and a
model card, and beside it the server's configuration files. serving/README.md tells how to run the server.
"""

import json
import re
from pathlib import Path

from absl import flags

from srn import command, released
from srn.errors import InputError
from srn.zoo import MODELS, PRECISIONS

_CKPT = flags.DEFINE_string("ckpt", None, "Weights: model directory, checkpoint, .npz, released name.")
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "The network, where the weights do not say.")
_WEIGHTS = flags.DEFINE_enum(
    "weights", "average", ["average", "latest"], "Of checkpoints with both: averaged weights, or the latest."
)
_PRECISION = flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Of the convolutions.")
_EXPORT_DIR = flags.DEFINE_string("export_dir", None, "Folder of the model; gets one for the version.")
_NAME = flags.DEFINE_string("name", None, "Of the model on the server. Default: that of --export_dir.")
_VERSION = flags.DEFINE_integer("version", None, "Default: one more than the highest there.", lower_bound=1)
_MAX_MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels",
    12.0,
    "Larger images are refused, by their headers.",
    lower_bound=0.01,
    upper_bound=1000.0,
)
_WARM_UP = flags.DEFINE_list(
    "warm_up", ["256x256"], "WIDTHxHEIGHT,... of images that the server restores when it starts."
)
_CARD = flags.DEFINE_string(
    "card", None, "JSON file of facts for the model card: training data, scores. Default: the released one."
)


def main() -> int:
    """Loads the weights and writes the SavedModel; returns the exit code."""
    for flag in (_CKPT, _EXPORT_DIR):
        if flag.value is None:
            raise InputError(f"--{flag.name} is needed")
    sizes, card = [_parse_size(size) for size in _WARM_UP.value], _read_card()

    from srn.serving.export import export_savedmodel
    from srn.weights import load_model

    prefer_average = _WEIGHTS.value == "average"
    model = load_model(_CKPT.value, _MODEL.value, _PRECISION.value, prefer_average)
    folder = export_savedmodel(
        model,
        _EXPORT_DIR.value,
        _VERSION.value,
        name=_NAME.value,
        most_pixels=round(_MAX_MEGAPIXELS.value * 1e6),
        warm_up_sizes=sizes,
        card={**card, "ckpt": _CKPT.value},
    )
    print(f"{model.name}, {model.count_params():,} parameters, {_PRECISION.value}: {folder}")
    return command.DONE


def _parse_size(size: str) -> tuple:
    """`WIDTHxHEIGHT` -> (height, width)."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    if not match:
        raise InputError(f"--warm_up={size}: give WIDTHxHEIGHT, such as 1280x720")
    return int(match[2]), int(match[1])


def _read_card() -> dict:
    if _CARD.value is None:
        is_released = _CKPT.value in released.list_released() and not Path(_CKPT.value).exists()
        return released.read_card(_CKPT.value) if is_released else {}
    try:
        card = json.loads(Path(_CARD.value).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"--card={_CARD.value}: cannot be read ({error})") from error
    if not isinstance(card, dict):
        raise InputError(f"--card={_CARD.value}: no JSON object")
    return card


if __name__ == "__main__":
    command.run(main)
