"""The state of a training run, and the small files in which it is transferred. NumPy only.

In memory a state is a flat dict of arrays:

    NAME                       weights, float32, under the authors' names: enc1_1/weights, enc1_1/biases, ...
    average/NAME               their exponential moving average
    adam_m/NAME, adam_v/NAME   Adam's slots
    steps                      updates so far, int64
    setting/...                settings of the step: learning_rate, decay_steps, ema_decay, ...

For transfer, it is a folder with parts of limited size:

    weights_0.npz, weights_1.npz, ...   the averaged weights, float32: --ckpt=FOLDER/weights_0.npz takes them
    slots/slots_0.npz, ...              on request: Adam's slots, rounded to bfloat16
    run.json                            model, configuration, steps
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from srn.errors import InputError
from srn.files import write_atomically

AVERAGE, FIRST_MOMENT, SECOND_MOMENT = "average/", "adam_m/", "adam_v/"
_SLOTS = (FIRST_MOMENT, SECOND_MOMENT)
SETTING = "setting/"
STEPS = "steps"
RUN_FILE, BUNDLE_FILE = "run.json", "bundle.json"
PART_MIB = 15.0


def weight_names(state: dict) -> list[str]:
    """NAME of every weight of a state."""
    return [key.removeprefix(AVERAGE) for key in state if key.startswith(AVERAGE)]


def start_state(weights: dict, slots: dict | None = None, steps: int = 0) -> dict:
    """The state from which training begins or resumes.

    Args:
      weights: {NAME: array}.
      slots: {adam_m/NAME or adam_v/NAME: array}; None for zeros, and then the count of steps is 0 too, since
        Adam corrects its slots by it.
      steps: updates so far.
    """
    weights = {name: np.asarray(array, np.float32) for name, array in weights.items()}
    if slots is None:
        slots = {slot + name: np.zeros_like(weights[name]) for slot in _SLOTS for name in weights}
        steps = 0
    averages = {AVERAGE + name: array for name, array in weights.items()}
    return {**weights, **averages, **slots, STEPS: np.int64(steps)}


def parse_settings(assignments: list, known: dict) -> dict:
    """["NAME=VALUE"] -> {setting/NAME: float32}.

    Raises `InputError` for values that are not numbers of at least 0, and for settings that are not `known`.
    """
    settings = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        try:
            number = np.float32(value)
        except ValueError:
            number = np.float32(np.nan)
        if not 0 <= number < np.inf:
            raise InputError(f"{assignment!r} is not NAME=VALUE with a number from 0 on")
        if SETTING + name not in known:
            names = ", ".join(key.removeprefix(SETTING) for key in known)
            raise InputError(f"there is no setting {name!r}; there are: {names}")
        settings[SETTING + name] = number
    return settings


def write_folder(
    state: dict, facts: dict, folder, with_slots: bool = False, part_mib: float = PART_MIB
) -> list:
    """Writes a state for transfer; returns the files.

    Args:
      state: its averaged weights are written, not the latest ones.
      facts: what `run.json` says beside the steps; `model` and `config` are needed.
      folder: created if needed.
      with_slots: whether to include Adam's slots.
      part_mib: maximum size of a part, in MiB.
    """
    folder = Path(folder)
    weights = {name: np.asarray(state[AVERAGE + name], np.float32) for name in weight_names(state)}
    about = {"model": facts["model"], "config": json.dumps(facts["config"])}
    about["resize"] = facts["config"]["resize_grid"]
    files = _write_parts(folder / "weights", weights, part_mib, about)
    if with_slots:
        slots = {slot + name: to_bfloat16(state[slot + name]) for slot in _SLOTS for name in weights}
        files += _write_parts(folder / "slots" / "slots", slots, part_mib)
    checksums = {str(file.relative_to(folder)): _checksum(file) for file in files}
    described = {**facts, "steps": int(state[STEPS]), "has_slots": with_slots, "parts": checksums}
    write_atomically(folder / RUN_FILE, (json.dumps(described, indent=2) + "\n").encode())
    return [*files, folder / RUN_FILE]


def read_folder(folder) -> tuple[dict, dict]:
    """Reads what `write_folder` wrote: (state, facts). Raises `InputError` naming what cannot be read."""
    folder = Path(folder)
    try:
        facts = json.loads((folder / RUN_FILE).read_text())
        for part, checksum in facts["parts"].items():
            if _checksum(folder / part) != checksum:
                raise InputError(f"{folder / part}: is damaged, or is a part of another state")
        arrays = [load(folder / part) for part in facts["parts"] if "/" not in part]
        slots = [load(folder / part) for part in facts["parts"] if "/" in part]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: not a state that can be read ({error})") from error
    weights = {name: array for part in arrays for name, array in part.items()}
    for name in ("model", "config", "resize"):
        weights.pop(name)
    moments = {name: from_bfloat16(bits) for part in slots for name, bits in part.items()}
    return start_state(weights, moments or None, facts["steps"]), facts


def read_facts(bundle) -> dict:
    """`bundle.json` of a bundle (export.py). Raises `InputError` if it cannot be read."""
    try:
        return json.loads((Path(bundle) / BUNDLE_FILE).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{bundle}: not a bundle of export.py ({error})") from error


def save(path, state: dict, **more) -> None:
    """Writes a whole state, with further arrays `more`, as one file, atomically."""
    buffer = io.BytesIO()
    np.savez(buffer, **state, **more)
    write_atomically(path, buffer.getvalue())


def load(path) -> dict:
    """Reads what `save` wrote. Raises `InputError` if it cannot."""
    try:
        with np.load(path) as file:
            return dict(file.items())
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a state that can be read ({error})") from error


def to_bfloat16(array) -> np.ndarray:
    """float32 -> the bits of the nearest bfloat16 (ties to even), uint16; for finite values."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits) -> np.ndarray:
    """The inverse: uint16 bits -> float32."""
    return (np.asarray(bits).astype(np.uint32) << 16).view(np.float32)


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


def _checksum(file) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
