"""Conversion of the network for other engines: ONNX and TensorFlow Lite.

The converted network takes and returns floating-point images, without the checks of `srn.serving.signatures`,
which these engines do not support. Instead, an image with values far outside [0, 1] is returned as NaN. Every
file is tested before it is written, since converters may produce wrong files without an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

import srn
from srn import weights as weights_of
from srn.errors import InputError, WorkError
from srn.files import require_writable, write_atomically
from srn.serving.contract import MAX_PIXELS
from srn.serving.signatures import has_values_of_images

if TYPE_CHECKING:
    from srn.network import DeblurringNetwork

OPSET = 17
TOLERANCE = {"float32": 1e-4, "float16": 2e-2}  # of [0, 1], what the check after conversion allows
_CHECKED_SIZE = (37, 53)  # of files for any size: one that needs padding

Size = tuple[int, int]  # height, width


def export_onnx(
    model: DeblurringNetwork,
    path: str | os.PathLike[str],
    size: Size | None = None,
    card: Mapping[str, Any] | None = None,
) -> None:
    """Writes `model` as ONNX: `image` float32 [N, H, W, 3] in [0, 1] -> `restored`, the same, clipped.

    The dimensions are named batch, height and width; the metadata identify the model and its weights.

    Args:
      model: float32.
      path: of the file.
      size: (height, width) of all images, for engines that require a fixed size; None: any size.
      card: of the weights (`srn.weights.find_card`), for the metadata.

    Raises `InputError` if tf2onnx or onnxruntime is not installed, for a model in bfloat16, a file that
    cannot be written and a size that is too large; `WorkError` if the results differ from those of the model.
    """
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install .[onnx]") from error
    _check_call(path, size)
    restore = _bare_function(model, size, batch=None)
    converted, _ = tf2onnx.convert.from_function(restore, restore.input_signature, opset=OPSET)
    _describe(converted, model, size, card or {})
    content = converted.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    _check(lambda image: session.run(["restored"], {"image": image})[0], restore, "float32", path, size)
    write_atomically(path, content)


def export_tflite(
    model: DeblurringNetwork,
    path: str | os.PathLike[str],
    weights: str = "float16",
    size: Size | None = None,
) -> None:
    """Writes `model` for TensorFlow Lite, with built-in operations only.

    Args:
      model: float32.
      path: of the file.
      weights: "float32", or "float16": half the size, the same arithmetic.
      size: (height, width) of the image [1, height, width, 3], which delegates require; None: any size, set
        by resizing the input tensor.

    Raises `InputError` for a model in bfloat16, a file that cannot be written and a size that is too large,
    `WorkError` if the results differ from those of the model.
    """
    _check_call(path, size)
    restore = _bare_function(model, size, batch=1 if size else None)
    module = tf.Module()
    module.restore, module.variables_of_network = restore, model.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions([restore.get_concrete_function()], module)
    if weights == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    content = converter.convert()
    _check(lambda image: run_tflite(content, image), restore, weights, path, size)
    write_atomically(path, content)


def _check_call(path, size: Size | None) -> None:
    """Raises `InputError` for errors that would otherwise be found after minutes, or use up the memory."""
    if Path(path).is_dir():
        raise InputError(f"output={path}: is a folder; name a file in it")
    require_writable(Path(path).parent)
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"size={size[1]}x{size[0]}: is more than {MAX_PIXELS} pixels; restore in tiles of one size"
        )


def run_tflite(content: bytes, image: np.ndarray) -> np.ndarray:
    """Runs a converted file in TensorFlow Lite's interpreter: float32 [N, H, W, 3] -> the same."""
    interpreter = tf.lite.Interpreter(model_content=content)
    (entry,), (outcome,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(entry["index"], image.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(outcome["index"])


def _bare_function(model, size, batch):
    if model.dtype_policy.compute_dtype != "float32":
        raise InputError("other engines take the network in float32 only; leave `precision` out")
    height, width = size or (None, None)

    @tf.function(input_signature=[tf.TensorSpec([batch, height, width, 3], tf.float32, name="image")])
    def restore(image):
        restored = tf.clip_by_value(model.restore(image), 0.0, 1.0)
        return {"restored": tf.where(has_values_of_images(image), restored, float("nan"))}

    return restore


def _describe(converted, model, size, card) -> None:
    """Adds names of dimensions and metadata to an ONNX model."""
    names = ("batch", "height", "width")
    for value in (*converted.graph.input, *converted.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        del dimensions[:]
        for name, fixed in zip((*names, None), (None, *(size or (None, None)), 3)):
            if fixed is None:
                dimensions.add(dim_param=name)
            else:
                dimensions.add(dim_value=fixed)
    converted.producer_name, converted.producer_version = "srn-deblurnet", srn.__version__
    facts = {
        "model": model.name,
        "name": card.get("name", ""),
        "licence": _as_text(card.get("licence", "")),
        "weights_sha256": weights_of.checksum(model),
        "config": json.dumps(model.config.to_dict()),
        "input": "image: float32 [batch, height, width, 3], RGB in [0, 1] as stored; far beyond it gives NaN",
        "output": "restored: the same",
    }
    for key, text in facts.items():
        if text:
            converted.metadata_props.add(key=key, value=text)


def _as_text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check(run: Callable[[np.ndarray], np.ndarray], restore, kind: str, path, size: Size | None) -> None:
    image = np.random.default_rng(0).random((1, *(size or _CHECKED_SIZE), 3), np.float32)
    expected, found = restore(image)["restored"].numpy(), run(image)
    if found.shape != expected.shape:
        raise WorkError(
            f"{path}: not written: the converted network gives {found.shape}, not {expected.shape}"
        )
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE[kind]:
        raise WorkError(f"{path}: not written: the converted network is {difference:.1g} away from the model")
