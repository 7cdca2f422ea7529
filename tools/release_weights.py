"""Adds trained weights to the project, in half precision, with a model card.

    python tools/release_weights.py --ckpt=runs/srn --name=srn --card=card.json

card.json contains training data, recipe, hours, hardware, scores and limitations. Both files are written to
srn/released_weights, to be committed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from srn import command, released
from srn.errors import InputError, WorkError
from srn.files import write_atomically

if TYPE_CHECKING:
    from srn.network import DeblurringNetwork

_CKPT = flags.DEFINE_string("ckpt", None, "Weights, as --ckpt of evaluate.py.", required=True)
_NAME = flags.DEFINE_string("name", None, "Name of the released weights.", required=True)
_CARD = flags.DEFINE_string("card", None, "JSON file with the model card.", required=True)


def main() -> int:
    """Writes weights and card; returns the exit code."""
    try:
        card = json.loads(Path(_CARD.value).read_text())
        if not isinstance(card, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise InputError(f"--card={_CARD.value}: cannot be read ({error})") from error
    from srn.weights import load_model

    path = release(load_model(_CKPT.value), _NAME.value, card)
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
    return command.DONE


def release(model: DeblurringNetwork, name: str, card: Mapping[str, Any]) -> Path:
    """Writes the weights of `model` in half precision, and their card, to `srn.released.FOLDER`.

    Args:
      model: a built network.
      name: what the weights are found by.
      card: what the card says beside name, model, parameters and checksum.

    Returns:
      The `.npz`.

    Raises `InputError` for a name that could be a path, `WorkError` for a weight beyond half precision.
    """
    from srn.weights import encode_npz, named_variables
    from srn.zoo import name_of

    if not re.fullmatch(r"\w+", name):
        raise InputError(f"{name}: not a name; give letters, digits and underscores")
    arrays = {key: variable.numpy() for key, variable in named_variables(model).items()}
    if not all(np.all(np.abs(array) <= np.finfo(np.float16).max) for array in arrays.values()):
        raise WorkError(f"{name}: a weight is not finite, or too large for half precision")
    halves = {key: array.astype(np.float16) for key, array in arrays.items()}
    encoded = encode_npz(model.config, halves, compress=True)
    about = {"name": name, "model": name_of(model.config) or "", "parameters": model.count_params()}
    described = {**card, **about, "sha256": released.checksum(encoded)}
    path = released.FOLDER / f"{name}.npz"
    write_atomically(path, encoded)
    write_atomically(released.FOLDER / f"{name}.json", (json.dumps(described, indent=2) + "\n").encode())
    return path


if __name__ == "__main__":
    command.run(main)
