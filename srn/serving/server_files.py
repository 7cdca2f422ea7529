"""Configuration files of TensorFlow Serving, written once beside the versions of a model."""

from __future__ import annotations

from pathlib import Path

from srn.errors import InputError
from srn.files import write_atomically

MODELS_CONFIG = """\
# --model_config_file: which models are served. Without it the server takes the highest version.
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
# --monitoring_config_file: numbers for Prometheus, on the REST port.
prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }
"""

BATCHING = """\
# --enable_batching --batching_parameters_file: not to be enabled unless all callers use `encoded`.
# Requests of floats in different sizes cannot be merged, and one bad image fails the others of its batch.
max_batch_size { value: 4 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 16 }
num_batch_threads { value: 2 }
"""


def require_same_name(export_dir, name: str) -> None:
    """Raises `InputError` where the `models.config` of an earlier export serves other names only."""
    path = Path(export_dir) / "models.config"
    if path.exists() and f'name: "{name}"' not in path.read_text():
        raise InputError(f"{path}: serves no model of the name {name!r}; name it there, or give its --name")


def write_server_files(export_dir, name: str) -> None:
    """Writes `models.config`, `monitoring.config` and `batching.txt`; those that are there already stay.

    Args:
      export_dir: of the model, beside its versions.
      name: of the model on the server.
    """
    contents = {
        "models.config": MODELS_CONFIG.format(name=name, folder=Path(export_dir).resolve().name),
        "monitoring.config": MONITORING_CONFIG,
        "batching.txt": BATCHING,
    }
    for file, content in contents.items():
        path = Path(export_dir) / file
        if not path.exists():  # somebody may have changed it
            write_atomically(path, content.encode())
