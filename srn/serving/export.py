"""Export of a network as a SavedModel for TensorFlow Serving (signatures: `srn.serving.signatures`)."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from srn import provenance, weights
from srn.errors import InputError, WorkError, first_line
from srn.files import require_writable, write_atomically
from srn.serving.contract import MAX_PIXELS
from srn.serving.server_files import require_same_name, write_server_files, write_warm_up
from srn.serving.signatures import make_limit, make_servable

if TYPE_CHECKING:
    from srn.network import DeblurringNetwork

MODEL_CARD = "model_card.json"
WARM_UP_SIZES = ((256, 256),)
MAX_VERSION = 2**63 - 1  # servers ignore folders whose names are larger numbers


def export_checkpoint(
    ckpt: str | os.PathLike[str],
    export_dir: str | os.PathLike[str],
    version: int | None = None,
    *,
    model: str | None = None,
    precision: str = "float32",
    prefer_average: bool = True,
    card: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Loads weights and exports them: what export_savedmodel.py does.

    Args:
      ckpt, model, precision, prefer_average: see `srn.load_model`.
      export_dir, version: see `export_savedmodel`.
      card: further entries of the model card; None: those of released weights.
      options: further arguments of `export_savedmodel`.

    Returns:
      The folder of the version.

    Raises `InputError` and `WorkError` as those two do.
    """
    card = weights.find_card(ckpt) if card is None else card
    network = weights.load_model(ckpt, model, precision, prefer_average)
    return export_savedmodel(network, export_dir, version, card={**card, "ckpt": str(ckpt)}, **options)


def export_savedmodel(
    model: DeblurringNetwork,
    export_dir: str | os.PathLike[str],
    version: int | None = None,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    warm_up_sizes: Sequence[tuple[int, int]] = WARM_UP_SIZES,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `export_dir/VERSION` with `saved_model.pb`, warm-up requests and `model_card.json`, atomically.

    Configuration files for the server are written next to the versions (`srn.serving.server_files`).

    Args:
      model: a `DeblurringNetwork`; one-channel models serve colour, plane by plane.
      export_dir: folder of the model; servers load its highest version.
      version: an integer from 1; None: one more than the highest existing one.
      name: of the model on the server; None: the name of `export_dir`.
      max_pixels: of a request.
      warm_up_sizes: (height, width) of the images that the server restores when it loads the version.
      card: further entries of the model card.

    Returns:
      The folder of the version.

    Raises `InputError` if the version is invalid or exists, or the folder cannot be written, `WorkError` if
    writing fails.
    """
    export_dir = Path(export_dir)
    if version is not None and not 1 <= version <= MAX_VERSION:
        raise InputError(f"version={version}: a server reads versions from 1 to {MAX_VERSION}")
    name = _check_name(name or export_dir.resolve().name)
    limit = make_limit(model, max_pixels)
    if not all(limit.allows(height, width) for height, width in warm_up_sizes):
        raise InputError(f"`warm_up` names an image of more than the {max_pixels} pixels of a request")
    require_same_name(export_dir, name)
    require_writable(export_dir)
    target = export_dir / str(_choose_version(export_dir, version))
    # Servers only read folders whose names are numbers, so they never see an incomplete version.
    unfinished = export_dir / f".unfinished-{uuid.uuid4().hex}"
    module, signatures = make_servable(model, max_pixels)
    try:
        tf.saved_model.save(module, str(unfinished), signatures=signatures)
        write_warm_up(unfinished, name, warm_up_sizes)
        described = {**(card or {}), **_describe(model, name, max_pixels)}
        write_atomically(unfinished / MODEL_CARD, (json.dumps(described, indent=2) + "\n").encode())
        write_server_files(export_dir, name)
        os.rename(unfinished, target)
    except (OSError, tf.errors.OpError) as error:
        raise WorkError(f"{target}: cannot be written ({_reason(error)})") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _reason(error: OSError | tf.errors.OpError) -> str:
    """The system's error message without TensorFlow's names of operations and temporary files."""
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    text = re.sub(r"^\{\{.*?\}\} | \[Op:\w+\]$", "", " ".join(error.message.split()))
    return text.rpartition("; ")[2][-200:]


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[\w.-]+", name):
        raise InputError(f"{name!r}: no name for a model on a server; give letters, digits, _ . - as `name`")
    return name


def _describe(model, name, max_pixels) -> dict:
    return {
        "name": name,
        "model": model.name,
        "parameters": model.count_params(),
        "config": model.config.to_dict(),
        "precision": model.dtype_policy.name,
        "weights_sha256": weights.checksum(model),
        "signatures": {
            "serving_default": "image float32 [N, H, W, 3] in [0, 1] -> restored, the same",
            "encoded": "image_bytes string [N], PNG, JPEG or BMP -> restored_bytes string [N], PNG",
        },
        "max_pixels": max_pixels,
        "exported_by": provenance.describe_run(),
    }


def _choose_version(export_dir: Path, version: int | None) -> int:
    """Returns `version`, or one more than the highest version that a server reads."""
    # A server reads 007 as 7, and ignores numbers above MAX_VERSION.
    there = {int(path.name): path for path in export_dir.iterdir() if re.fullmatch(r"[0-9]+", path.name)}
    chosen = version or max((number for number in there if number <= MAX_VERSION), default=0) + 1
    if chosen in there:
        raise InputError(f"{there[chosen]}: is there already; choose another `version`")
    if chosen > MAX_VERSION:
        raise InputError(f"{there[MAX_VERSION]}: is the highest version that there can be; remove it")
    return chosen
