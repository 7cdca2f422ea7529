"""Writes weights as a file for TensorFlow Lite.

    python -m srn.export_tflite --ckpt=srn --output=srn.tflite

One input, float32 [N, H, W, 3] in [0, 1], which the caller resizes; one output of the same shape.
"""

from absl import flags

from srn import command
from srn.errors import InputError
from srn.zoo import MODELS

_CKPT = flags.DEFINE_string("ckpt", None, "Weights: model directory, checkpoint, .npz, released name.")
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "The network, where the weights do not say.")
_WEIGHTS = flags.DEFINE_enum("weights", "float16", ["float16", "float32"], "How they are stored.")
_OUTPUT = flags.DEFINE_string("output", None, "The file to write.")


def main() -> int:
    """Converts and writes; returns the exit code."""
    for flag in (_CKPT, _OUTPUT):
        if flag.value is None:
            raise InputError(f"--{flag.name} is needed")

    from srn.serving.conversion import export_tflite
    from srn.weights import load_model

    export_tflite(load_model(_CKPT.value, _MODEL.value), _OUTPUT.value, _WEIGHTS.value)
    print(_OUTPUT.value)
    return command.DONE


if __name__ == "__main__":
    command.run(main)
