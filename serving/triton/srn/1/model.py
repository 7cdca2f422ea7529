"""An exported model in Triton's Python backend: `srn/1/model.savedmodel`, a folder of export_savedmodel.py.

Each request names one input, `image` or `image_bytes`, and is answered with the output of its signature.
"""

import os
from pathlib import Path

# Memory that does not grow with every new size of image: serving/README.md, Memory.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf
import triton_python_backend_utils as pb_utils

_SIGNATURES = {"image": ("serving_default", "restored"), "image_bytes": ("encoded", "restored_bytes")}


class TritonPythonModel:
    """What the backend calls, by these names."""

    def initialize(self, args):
        """Loads the model; raises where the folder is missing, which Triton reports."""
        folder = Path(args["model_repository"]) / args["model_version"] / "model.savedmodel"
        self._model = tf.saved_model.load(str(folder))  # held, or its variables would be freed

    def execute(self, requests):
        """One response for each request, an error being a response too."""
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        if len(inputs) != 1:
            return _error(f"give one of the inputs {' and '.join(_SIGNATURES)}, not {len(inputs)}")
        ((name, value),) = inputs.items()
        signature, output = _SIGNATURES[name]
        try:
            restored = self._model.signatures[signature](**{name: tf.constant(value)})[output]
        except tf.errors.InvalidArgumentError as error:
            # TensorFlow puts the trace of the graph before what the model says, and nodes after it.
            return _error(error.message.split("\n\t")[0].splitlines()[-1])
        return pb_utils.InferenceResponse([pb_utils.Tensor(output, restored.numpy())])


def _error(message):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG))
