"""The state of a training run, and the small files in which it travels. NumPy alone.

In memory a state is a flat dict of arrays:

    NAME                       weights, float32, under the authors' names: enc1_1/weights, enc1_1/biases, ...
    average/NAME               their exponential moving average
    adam_m/NAME, adam_v/NAME   Adam's slots
    steps                      updates so far, int64
    setting/...                what a run may set: learning_rate, decay_steps, ema_decay, ...

On the road it is a folder with parts of limited size:

    weights_0.npz, weights_1.npz, ...   the averaged weights, float32: --ckpt=FOLDER/weights_0.npz takes them
    slots/slots_0.npz, ...              on request: Adam's slots, rounded to bfloat16
    run.json                            model, configuration, steps
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np

AVERAGE, FIRST_MOMENT, SECOND_MOMENT = "average/", "adam_m/", "adam_v/"
_SLOTS = (FIRST_MOMENT, SECOND_MOMENT)
SETTING = "setting/"
STEPS = "steps"
RUN_FILE = "run.json"
PART_MIB = 15.0


class UserError(Exception):
    """A line for the user: what is wrong with which file or flag. Exit code 2."""


def weight_names(state: dict) -> list[str]:
    """NAME of every weight of a state."""
    return [key.removeprefix(AVERAGE) for key in state if key.startswith(AVERAGE)]


def start_state(weights: dict, slots: dict | None = None, steps: int = 0) -> dict:
    """The state in which training begins, or goes on.

    Args:
      weights: {NAME: array}.
      slots: {adam_m/NAME or adam_v/NAME: array}; None for zeros, and then `steps` must be 0, since Adam
      corrects
        its slots by the number of steps that they have seen.
      steps: updates so far.
    """
    weights = {name: np.asarray(array, np.float32) for name, array in weights.items()}
    if slots is None:
        slots = {slot + name: np.zeros_like(weights[name]) for slot in _SLOTS for name in weights}
        steps = 0
    averages = {AVERAGE + name: array for name, array in weights.items()}
    return {**weights, **averages, **slots, STEPS: np.int64(steps)}


def parse_settings(assignments: list) -> dict:
    """["NAME=VALUE"] -> {setting/NAME: float32}. Raises `UserError` for what is no assignment."""
    settings = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        try:
            settings[SETTING + name] = np.float32(value)
        except ValueError:
            raise UserError(f"{assignment!r} is not NAME=VALUE with a number") from None
    return settings


def write_folder(
    state: dict, facts: dict, folder, with_slots: bool = False, part_mib: float = PART_MIB
) -> list:
    """Writes what travels of a state; returns the files.

    Args:
      state: its averaged weights are written, not the latest ones.
      facts: what `run.json` says beside the steps; `model` and `config` are needed.
      folder: made if need be.
      with_slots: whether Adam's slots go along.
      part_mib: largest size of a part.
    """
    folder = Path(folder)
    weights = {name: np.asarray(state[AVERAGE + name], np.float32) for name in weight_names(state)}
    about = {"model": facts["model"], "config": json.dumps(facts["config"])}
    about["resize"] = facts["config"]["resize_grid"]
    files = _write_parts(folder / "weights", weights, part_mib, about)
    if with_slots:
        slots = {slot + name: to_bfloat16(state[slot + name]) for slot in _SLOTS for name in weights}
        files += _write_parts(folder / "slots" / "slots", slots, part_mib)
    described = {**facts, "steps": int(state[STEPS]), "has_slots": with_slots, "weights": len(weights)}
    write_file(folder / RUN_FILE, (json.dumps(described, indent=2) + "\n").encode())
    return [*files, folder / RUN_FILE]


def read_folder(folder) -> tuple[dict, dict]:
    """Reads what `write_folder` wrote: (state, facts). Raises `UserError` naming what cannot be read."""
    folder = Path(folder)
    try:
        facts = json.loads((folder / RUN_FILE).read_text())
        weights = _read_parts(folder, "weights")
        for name in ("model", "config", "resize"):
            weights.pop(name, None)
        slots = None
        if facts["has_slots"]:
            slots = {
                name: from_bfloat16(bits) for name, bits in _read_parts(folder / "slots", "slots").items()
            }
        expected = {slot + name for slot in _SLOTS for name in weights}
        if len(weights) != facts["weights"] or (slots is not None and set(slots) != expected):
            raise UserError(f"{folder}: a part is missing, or is of another run")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder}: not a state that can be read ({error})") from error
    return start_state(weights, slots, facts["steps"]), facts


def save(path, state: dict, **more) -> None:
    """Writes a whole state, with further arrays `more`, as one file, atomically."""
    buffer = io.BytesIO()
    np.savez(buffer, **state, **more)
    write_file(path, buffer.getvalue())


def load(path) -> dict:
    """Reads what `save` wrote. Raises `UserError` if it cannot."""
    try:
        with np.load(path) as file:
            return dict(file.items())
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a state that can be read ({error})") from error


def to_bfloat16(array) -> np.ndarray:
    """float32 -> the bits of the nearest bfloat16 (ties to even), uint16; for finite values."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits) -> np.ndarray:
    """The inverse: uint16 bits -> float32."""
    return (np.asarray(bits).astype(np.uint32) << 16).view(np.float32)


def write_file(path, data: bytes) -> None:
    """Writes a file that is either whole or not there; its folder is made if need be."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _write_parts(stem, arrays, part_mib, about=None) -> list:
    parts, used = [{}], 0
    for name, array in arrays.items():
        if used + array.nbytes > part_mib * 2**20 and parts[-1]:
            parts.append({})
            used = 0
        parts[-1][name] = array
        used += array.nbytes
    for stale in stem.parent.glob(f"{stem.name}_*.npz"):
        stale.unlink()
    files = [stem.with_name(f"{stem.name}_{number}.npz") for number in range(len(parts))]
    for file, part in zip(files, parts):
        save(file, part, **(about or {}))
    return files


def _read_parts(folder, stem) -> dict:
    files = sorted(Path(folder).glob(f"{stem}_*.npz"))
    if not files:
        raise UserError(f"{folder}: no {stem}_0.npz in it")
    arrays = {}
    for file in files:
        arrays.update(load(file))
    return arrays
