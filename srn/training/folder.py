"""The folder of a training run: locking, cleaning, and the history of its settings."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from srn.errors import InputError
from srn.files import write_atomically
from srn.training.config import MODEL_DIR, TrainingConfig

FLAGFILE = "flags.cfg"  # settings of the latest start
LOCK = "lock"
DAMAGED = "damaged"  # a folder for checkpoints that cannot be read
_EARLIER_FLAGS = re.compile(r"^flags-until-step-(\d+)\.cfg$")
_LEFTOVER = re.compile(r"^(step-\d+_temp.*|step-\d+\..*tempstate.*|\.partial-.*)$")
# Of one call, not of the run.
_OF_A_CALL = {"resume_from": None, "time_budget": None}


@contextlib.contextmanager
def locked(model_dir: Path) -> Iterator[None]:
    """Locks a folder, created if needed, against other runs while this process runs.

    It is a lock of the kernel, released whenever the process ends; the file `lock` names its holder.

    Raises `InputError` if another run holds it, or the folder cannot be written.
    """
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        file = (model_dir / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{model_dir}: cannot be written ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InputError(f"{model_dir}: {holder} trains there; choose another `model_dir`") from None
        except OSError:
            pass  # a file system without locks
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def remove_leftovers(model_dir: Path) -> None:
    """Removes temporary files of interrupted saves."""
    for path in model_dir.iterdir():
        if _LEFTOVER.match(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def move_files(files: list[Path], folder: Path) -> None:
    """Moves files into a folder, created if needed."""
    folder.mkdir(exist_ok=True)
    for file in files:
        os.replace(file, folder / file.name)


def write_settings(
    config: TrainingConfig, model_dir: Path, first_step: int, say: Callable[[str], Any]
) -> None:
    """Writes the settings to `flags.cfg`; reports differences from those that the run started with.

    A `flags.cfg` of other settings is kept as `flags-until-step-N.cfg`, with N = `first_step`.
    """
    path, config = model_dir / FLAGFILE, config.replace(**_OF_A_CALL)
    text = config.to_flagfile(**{MODEL_DIR: str(model_dir)})
    if first_step and path.exists() and path.read_text() != text:
        os.replace(path, model_dir / f"flags-until-step-{first_step}.cfg")
    write_atomically(path, text.encode())
    for line in _differences(config, _first_flagfile(model_dir)) if first_step else []:
        say(line)


def _first_flagfile(model_dir: Path) -> Path:
    """The settings that the run started with: the oldest kept file, or else the current one."""
    steps = [match[1] for match in map(_EARLIER_FLAGS.match, os.listdir(model_dir)) if match]
    return model_dir / (f"flags-until-step-{min(steps, key=int)}.cfg" if steps else FLAGFILE)


def _differences(config: TrainingConfig, path: Path) -> list[str]:
    """A line for each setting that differs from those in a flagfile; none for one that cannot be read."""
    try:
        first = TrainingConfig.from_flagfile(path)
    except InputError:
        return [f"{path.name}: cannot be compared with the present settings"]
    pairs = (
        (field.name, getattr(config, field.name), getattr(first, field.name))
        for field in dataclasses.fields(config)
    )
    return [f"{name} is {now!r}; the run began with {then!r}" for name, now, then in pairs if now != then]
