"""Exports the project's training step, compiled, for a machine without TensorFlow.

    python -m tools.stablehlo.export --model=srn --crop_size=256 --batch_size=16 --out_dir=BUNDLE

A bundle is one model at one crop and batch size:

    train.hlo.pb, validate.hlo.pb     the step, and the PSNR of a whole image, as HLO
    bundle.json                       what they take and give

Weights are no part of it; see from_checkpoint.py.
"""

import json
import shutil
from pathlib import Path

from absl import flags

from srn import command
from srn.errors import InputError
from srn.files import write_atomically
from srn.zoo import MODELS, PRECISIONS, get_config

from . import state as travelling

_MODEL = flags.DEFINE_enum("model", "srn", list(MODELS), "The network.")
_CROP_SIZE = flags.DEFINE_integer("crop_size", 256, "Side of the crops, in pixels.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Crops in a step.", lower_bound=1)
_PRECISION = flags.DEFINE_enum(
    "precision", "mixed_bfloat16", list(PRECISIONS), "Of the convolutions; weights are float32."
)
_CLIP_NORM = flags.DEFINE_float(
    "clip_norm", 3.0, "For the recurrent cell's gradients; 0: none.", lower_bound=0.0
)
_VALIDATION_SIZE = flags.DEFINE_list(
    "validation_size", ["720", "640"], "Height and width of validation images."
)
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Folder for the bundle.", required=True)


def main() -> int:
    """Exports what the flags describe; returns the exit code."""
    config = get_config(_MODEL.value)
    height, width = _validation_size(config)
    if _CROP_SIZE.value % config.size_multiple:
        raise InputError(f"--crop_size={_CROP_SIZE.value}: must be a multiple of {config.size_multiple}")
    from srn.zoo import build_model

    from .bridge import BridgedTraining, make_validation

    training = BridgedTraining(build_model(config, _PRECISION.value), _CLIP_NORM.value or None)
    crops = [_BATCH_SIZE.value, _CROP_SIZE.value, _CROP_SIZE.value, config.channels]
    image = [1, height, width, config.channels]
    exact = _PRECISION.value == "float32"
    out_dir = Path(_OUT_DIR.value)
    programs = {
        "train": write_program(out_dir / "train.hlo.pb", training.step, crops, training, exact),
        "validate": write_program(
            out_dir / "validate.hlo.pb", make_validation(training.model), image, training, exact
        ),
    }
    settings = {key: float(v) for key, v in training.read().items() if key.startswith(travelling.SETTING)}
    facts = {
        **{"model": _MODEL.value, "config": config.to_dict(), "precision": PRECISIONS[_PRECISION.value]},
        **{"batch_size": _BATCH_SIZE.value, "crop_size": _CROP_SIZE.value, "clip_norm": _CLIP_NORM.value},
        "multiply_accumulates": _cost(training.model, _CROP_SIZE.value),
        **{"validation_size": [height, width], "settings": settings, "programs": programs},
    }
    write_atomically(out_dir / travelling.BUNDLE_FILE, (json.dumps(facts) + "\n").encode())
    shutil.rmtree(out_dir / "agreement", ignore_errors=True)  # it would be of another bundle
    size = sum(file.stat().st_size for file in out_dir.iterdir()) / 2**20
    print(f"{_MODEL.value}, {_BATCH_SIZE.value} crops of {_CROP_SIZE.value}: {size:.1f} MiB in {out_dir}")
    return command.DONE


def write_program(path, function, shape, training, exact) -> dict:
    """Writes a function of two images of `shape` as HLO; returns its description."""
    import tensorflow as tf

    from . import hlo

    arguments = {name: tf.TensorSpec(shape, tf.float32) for name in ("blurry", "sharp")}
    module, description = hlo.export_function(function, arguments, training.variables, exact)
    write_atomically(path, module)
    return description


def _cost(model, size):
    """Multiply-accumulates of a crop, None for the models of which they are not counted."""
    from srn.cost import count_multiply_accumulates

    try:
        return count_multiply_accumulates(model, size, size)
    except ValueError:
        return None


def _validation_size(config):
    try:
        height, width = (int(side) for side in _VALIDATION_SIZE.value)
    except ValueError:
        raise InputError("--validation_size: give HEIGHT,WIDTH in pixels, such as 720,640") from None
    if height % config.size_multiple or width % config.size_multiple:
        raise InputError(f"--validation_size: both sides must be multiples of {config.size_multiple}")
    return height, width


if __name__ == "__main__":
    command.run(main)
