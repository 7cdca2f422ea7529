"""Exports weights as a SavedModel for TensorFlow Serving.

    python export_savedmodel.py --ckpt=runs/gopro --export_dir=served/srn

writes served/srn/1 (then 2, ...), with the signatures `serving_default` and `encoded`.
"""

from absl import flags

from srn import command
from srn.errors import InputError
from srn.zoo import MODELS, PRECISIONS

_CKPT = flags.DEFINE_string("ckpt", None, "Weights: model directory, checkpoint, .npz, released name.")
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "The network, where the weights do not say.")
_PRECISION = flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Of the convolutions.")
_EXPORT_DIR = flags.DEFINE_string("export_dir", None, "Folder of the model; gets one for the version.")
_VERSION = flags.DEFINE_integer("version", None, "Default: one more than the highest there.", lower_bound=1)


def main() -> int:
    """Loads the weights and writes the SavedModel; returns the exit code."""
    for flag in (_CKPT, _EXPORT_DIR):
        if flag.value is None:
            raise InputError(f"--{flag.name} is needed")

    from srn.serving.export import export_savedmodel
    from srn.weights import load_model

    model = load_model(_CKPT.value, _MODEL.value, _PRECISION.value)
    folder = export_savedmodel(model, _EXPORT_DIR.value, _VERSION.value)
    print(f"{model.name}, {model.count_params():,} parameters, {_PRECISION.value}: {folder}")
    return command.DONE


if __name__ == "__main__":
    command.run(main)
