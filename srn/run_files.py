"""The checkpoints in the folder of a training run.

Checkpoints are found by their files, `step-N.index` and `step-N.data-...`, not by TensorFlow's list
(`checkpoint`), which may be lost or damaged.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srn.errors import first_line
from srn.files import write_atomically

BEST_FILE = "best.json"  # {"step": of the best validation, "psnr": its score, "validated": the latest one}
_FILE = re.compile(r"^step-(0|[1-9]\d*)\.(?:index|data-\d{5}-of-\d{5})$")


def steps_in(model_dir: str | os.PathLike[str]) -> list[int]:
    """The steps with any file of a checkpoint, intact or damaged, in ascending order."""
    if not Path(model_dir).is_dir():
        return []
    matches = (_FILE.match(name) for name in os.listdir(model_dir))
    return sorted({int(match[1]) for match in matches if match})


def prefix_of(model_dir: str | os.PathLike[str], step: int) -> str:
    """The prefix of the checkpoint of a step."""
    return str(Path(model_dir) / f"step-{step}")


def files_of(model_dir: str | os.PathLike[str], step: int) -> list[Path]:
    """The files of the checkpoint of a step, the index first."""
    files = Path(model_dir).glob(f"step-{step}.*")
    return sorted(
        (file for file in files if _FILE.match(file.name)), key=lambda file: file.suffix != ".index"
    )


def damage_of(prefix: str | os.PathLike[str]) -> str | None:
    """Reads a checkpoint completely and verifies checksums; returns the problem, or None."""
    if not Path(f"{prefix}.index").exists():
        return f"{Path(prefix).name}.index is missing"
    import tensorflow as tf  # imported here, so that train.py can check its flags without it

    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError, TypeError, OSError) as error:
        return first_line(error)
    return None


def newest_whole(model_dir: str | os.PathLike[str]) -> tuple[int | None, dict[int, str]]:
    """(step of the newest intact checkpoint, {step: problem} of newer ones).

    The step is None if there is none.
    """
    damaged: dict[int, str] = {}
    for step in reversed(steps_in(model_dir)):
        reason = damage_of(prefix_of(model_dir, step))
        if reason is None:
            return step, damaged
        damaged[step] = reason
    return None, damaged


def read_best(model_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the file of `write_best`; an empty dict before the first validation, or for a damaged file."""
    try:
        best = json.loads((Path(model_dir) / BEST_FILE).read_text())
        is_sound = int(best["step"]) >= 0 <= int(best["validated"]) and not math.isnan(best["psnr"])
        return best if is_sound else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def write_best(model_dir: str | os.PathLike[str], best: Mapping[str, Any]) -> None:
    """Writes the step of the best validation, its scores, and the step of the latest one."""
    write_atomically(Path(model_dir) / BEST_FILE, (json.dumps(best) + "\n").encode())
