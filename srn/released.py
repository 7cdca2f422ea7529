"""Released weights: lookup by name and verification of checksums.

Each has two files in `srn/released_weights`: NAME.npz, the weights in half precision with the authors' names,
and NAME.json, the model card with training data, scores and limitations. `tools/release_weights.py` writes
both.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from srn.errors import InputError

DEFAULT = "sr_edrb1"
WHICH = ("best", "latest", "average")  # weights of a training run; see `srn.weights.load_model`
FOLDER = Path(__file__).parent / "released_weights"


def list_released() -> list[str]:
    """The names, in order."""
    return sorted(card.stem for card in FOLDER.glob("*.json"))


def read_card(name: str) -> dict[str, Any]:
    """The model card of released weights. Raises `InputError` for an unknown name."""
    if name not in list_released():
        there = ", ".join(list_released()) or "none yet"
        raise InputError(f"{name}: no released weights have this name; there are: {there}")
    return json.loads((FOLDER / f"{name}.json").read_text())


def find(name: str) -> Path | None:
    """The path of the `.npz` of released weights; None for an unknown name.

    Raises `InputError` if the checksum of the file differs from its card.
    """
    if name not in list_released():
        return None
    path = FOLDER / f"{name}.npz"
    if not path.exists() or checksum(path.read_bytes()) != read_card(name)["sha256"]:
        raise InputError(f"{path}: is missing or damaged; install the project again")
    return path


def name_of_file(path: str | os.PathLike[str]) -> str | None:
    """The name of the released weights stored in this `.npz`; None for other files."""
    path = Path(path)
    is_released = path.stem in list_released() and path.resolve() == (FOLDER / f"{path.stem}.npz").resolve()
    return path.stem if is_released else None


def checksum(data: bytes) -> str:
    """The SHA-256 of a file, as in model cards."""
    return hashlib.sha256(data).hexdigest()
