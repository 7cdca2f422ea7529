"""Files for TensorFlow Serving: configuration and warm-up requests."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import text_encoding

from srn.errors import InputError, first_line
from srn.files import write_atomically
from srn.images import encode_png

WARM_UP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"

MODELS_CONFIG = """\
# For --model_config_file: the models and versions to serve.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{folder}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""

MONITORING_CONFIG = """\
# For --monitoring_config_file: metrics for Prometheus, on the REST port.
prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }
"""

BATCHING = """\
# For --enable_batching --batching_parameters_file. Do not enable it unless all callers use `encoded`:
# requests of floats with different sizes cannot be batched, and one invalid image fails the whole batch.
max_batch_size { value: 4 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 16 }
num_batch_threads { value: 2 }
"""


def require_same_name(export_dir: str | os.PathLike[str], name: str) -> None:
    """Raises `InputError` if the `models.config` of an earlier export is unreadable or has other names."""
    path = Path(export_dir) / "models.config"
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):  # the folder is checked later
        return
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}); remove it, or mend it") from error
    if f'name: "{name}"' not in text:
        raise InputError(f"{path}: serves no model of the name {name!r}; name it there, or give its `name`")


def write_server_files(export_dir: str | os.PathLike[str], name: str) -> None:
    """Writes `models.config`, `monitoring.config` and `batching.txt`; existing files are kept.

    Args:
      export_dir: of the model, beside its versions.
      name: of the model on the server.
    """
    contents = {
        "models.config": MODELS_CONFIG.format(name=name, folder=_quote(Path(export_dir).resolve().name)),
        "monitoring.config": MONITORING_CONFIG,
        "batching.txt": BATCHING,
    }
    for file, content in contents.items():
        path = Path(export_dir) / file
        if not path.exists():  # the user may have edited it
            write_atomically(path, content.encode())


def _quote(text: str) -> str:
    """Escapes a string for protobuf's text format."""
    return text_encoding.CEscape(text, as_utf8=True)


def write_warm_up(folder: str | os.PathLike[str], name: str, sizes: Iterable[tuple[int, int]]) -> Path:
    """Writes one request for each signature and size into an exported version; returns the file.

    A server runs them when it loads the version, so that the first caller need not wait.

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
    """Draws a ramp with an edge: uint8 [height, width, 3]."""
    rows, columns = np.mgrid[:height, :width]
    ramp = (rows + columns) * 255 // max(height + width - 2, 1)
    gray = np.where(columns < width // 2, ramp, 255 - ramp).astype(np.uint8)
    return np.repeat(gray[..., np.newaxis], 3, axis=2)
