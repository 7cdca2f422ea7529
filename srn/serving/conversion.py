"""The same network for other engines: ONNX, and TensorFlow Lite.

The converted network is the bare one: floating point in, floating point out, any size; without the checks of
`srn.serving.signatures`, which these engines would drop or refuse. Every file is run once, at a size that
needs padding, before it is written: converters have been seen to write wrong files and say nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from srn.errors import InputError, WorkError
from srn.files import require_writable, write_atomically

OPSET = 17
TOLERANCE = {"float32": 1e-4, "float16": 2e-2}  # of [0, 1], what the check after conversion allows
_CHECKED_SIZE = (1, 37, 53, 3)


def export_onnx(model, path) -> None:
    """Writes `model` as ONNX: `image` float32 [N, H, W, 3] in [0, 1] -> `restored`, the same, clipped.

    Raises `InputError` where tf2onnx and onnxruntime are not installed, or for a model in bfloat16, which
    ONNX cannot hold; `WorkError` where the result does not compute what the model does.
    """
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install .[onnx]") from error
    restore = _bare_function(model)
    require_writable(Path(path).parent)
    converted, _ = tf2onnx.convert.from_function(restore, restore.input_signature, opset=OPSET)
    content = converted.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    _check(lambda image: session.run(["restored"], {"image": image})[0], restore, "float32", path)
    write_atomically(path, content)


def export_tflite(model, path, weights: str = "float16") -> None:
    """Writes `model` for TensorFlow Lite, built-in operations only; the caller resizes its input tensor.

    Args:
      model: a `DeblurringNetwork`, float32.
      path: of the file.
      weights: "float32", or "float16": half the size, the same arithmetic.

    Raises `InputError` for a model in bfloat16, `WorkError` where the result does not compute what the model
    does.
    """
    restore = _bare_function(model)
    require_writable(Path(path).parent)
    module = tf.Module()
    module.restore, module.variables_of_network = restore, model.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions([restore.get_concrete_function()], module)
    if weights == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    content = converter.convert()
    _check(lambda image: run_tflite(content, image), restore, weights, path)
    write_atomically(path, content)


def run_tflite(content: bytes, image: np.ndarray) -> np.ndarray:
    """Runs a converted file in TensorFlow Lite's interpreter: float32 [N, H, W, 3] -> the same."""
    interpreter = tf.lite.Interpreter(model_content=content)
    (entry,), (outcome,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(entry["index"], image.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(outcome["index"])


def _bare_function(model):
    if model.dtype_policy.compute_dtype != "float32":
        raise InputError("other engines take the network in float32 only; leave --precision out")

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="image")])
    def restore(image):
        return {"restored": tf.clip_by_value(model.restore(image), 0.0, 1.0)}

    return restore


def _check(run: Callable[[np.ndarray], np.ndarray], restore, kind: str, path) -> None:
    image = np.random.default_rng(0).random(_CHECKED_SIZE, np.float32)
    expected, found = restore(image)["restored"].numpy(), run(image)
    if found.shape != expected.shape:
        raise WorkError(
            f"{path}: not written: the converted network gives {found.shape}, not {expected.shape}"
        )
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE[kind]:
        raise WorkError(f"{path}: not written: the converted network is {difference:.1g} away from the model")
