"""Weights that come with the project: found by name, checked against their checksum.

Each has two files in `srn/released_weights`: NAME.npz, the weights in half precision under the authors'
names, and NAME.json, the model card: what they are, what they were trained on, what they score, where they
fail.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np

from srn.errors import InputError, WorkError
from srn.files import write_atomically

DEFAULT = "srn"
FOLDER = Path(__file__).parent / "released_weights"


def list_released() -> list[str]:
    """The names, in order."""
    return sorted(card.stem for card in FOLDER.glob("*.json"))


def read_card(name: str) -> dict:
    """The model card of released weights. Raises `InputError` where there are none of this name."""
    if name not in list_released():
        there = ", ".join(list_released()) or "none yet"
        raise InputError(f"{name}: no released weights have this name; there are: {there}")
    return json.loads((FOLDER / f"{name}.json").read_text())


def find(name: str) -> Path | None:
    """The `.npz` of released weights, None where there are none of this name.

    Raises `InputError` if the file is not the one that its card describes.
    """
    if name not in list_released():
        return None
    path = FOLDER / f"{name}.npz"
    if not path.exists() or _checksum(path.read_bytes()) != read_card(name)["sha256"]:
        raise InputError(f"{path}: is missing or damaged; install the project again")
    return path


def release(model, name: str, card: dict) -> Path:
    """Writes the weights of `model` in half precision, and their card; returns the `.npz`.

    Args:
      model: a built `ScaleRecurrentNetwork`.
      name: what they are found by.
      card: what the card says beside name, model, parameters and checksum.

    Raises `InputError` for a name that could be a path, `WorkError` for a weight beyond half precision.
    """
    from srn.official import named_variables
    from srn.zoo import name_of

    if not re.fullmatch(r"\w+", name):
        raise InputError(f"{name}: not a name; give letters, digits and underscores")
    arrays = {key: variable.numpy() for key, variable in named_variables(model).items()}
    if not all(np.all(np.abs(array) <= np.finfo(np.float16).max) for array in arrays.values()):
        raise WorkError(f"{name}: a weight is no number, or too large for half precision")
    halves = {key: array.astype(np.float16) for key, array in arrays.items()}
    buffer = io.BytesIO()
    facts = {"model": name_of(model.config) or "", "config": json.dumps(model.config.to_dict())}
    np.savez_compressed(buffer, resize=model.config.resize_grid, **facts, **halves)
    about = {"name": name, "model": facts["model"], "parameters": model.count_params()}
    card = {**card, **about, "sha256": _checksum(buffer.getvalue())}
    path = FOLDER / f"{name}.npz"
    write_atomically(path, buffer.getvalue())
    write_atomically(FOLDER / f"{name}.json", (json.dumps(card, indent=2) + "\n").encode())
    return path


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
