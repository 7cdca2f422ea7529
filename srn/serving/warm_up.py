"""Requests that a server replays when it loads a version, so that the first caller does not wait."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from srn.images import encode_png

WARM_UP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def write_warm_up(folder, name: str, sizes: Iterable[tuple[int, int]]) -> Path:
    """Writes one request for each signature and size into an exported version; returns the file.

    Args:
      folder: of the version.
      name: of the model on the server.
      sizes: (height, width) of the images.
    """
    path = Path(folder) / WARM_UP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for height, width in sizes:
            for request in _requests(name, _draw(height, width)):
                writer.write(_as_log(request).SerializeToString())
    return path


def _requests(name, image):
    from tensorflow_serving.apis import predict_pb2

    floats = image[np.newaxis].astype(np.float32) / 255
    for signature, key, value in (
        ("serving_default", "image", tf.make_tensor_proto(floats)),
        ("encoded", "image_bytes", tf.make_tensor_proto([encode_png(image)])),
    ):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = name, signature
        request.inputs[key].CopyFrom(value)
        yield request


def _as_log(request):
    from tensorflow_serving.apis import prediction_log_pb2

    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def _draw(height, width) -> np.ndarray:
    """uint8 [height, width, 3] with an edge in it."""
    rows, columns = np.mgrid[:height, :width]
    ramp = (rows + columns) * 255 // max(height + width - 2, 1)
    return np.repeat(np.uint8(np.where(columns < width // 2, ramp, 255 - ramp))[..., np.newaxis], 3, axis=2)
