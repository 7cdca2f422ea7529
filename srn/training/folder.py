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

from srn import run_files
from srn.errors import InputError, first_line
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
        file = (model_dir / LOCK).open("ab+", buffering=0)
    except OSError as error:
        raise InputError(f"{model_dir}: cannot be written ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().decode(errors="replace").strip() or "another process"
            raise InputError(f"{model_dir}: {holder} trains there; choose another `model_dir`") from None
        except OSError:
            pass  # a file system without locks
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its text
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
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
    text = config.to_flagfile(**{MODEL_DIR: str(model_dir)}).encode()
    kept = model_dir / f"flags-until-step-{first_step}.cfg"
    # Settings with which no step was done are not kept over those that led to this step.
    if first_step and path.exists() and path.read_bytes() != text and not kept.exists():
        os.replace(path, kept)
    write_atomically(path, text)
    for line in _differences(config, _first_flagfile(model_dir)) if first_step else []:
        say(line)


def require_own(flagfile: str, model_dir: str) -> None:
    """Raises `InputError` if the flagfile of a run names another folder than the one it is in.

    This is the case for runs that were moved or copied; the old folder would be used or created again.
    """
    lies_in = Path(flagfile).parent
    is_of_run = Path(flagfile).name == FLAGFILE and run_files.steps_in(lies_in)
    if is_of_run and lies_in.resolve() != Path(model_dir).resolve():
        raise InputError(
            f"{flagfile}: names model_dir={model_dir}, but is in the folder of a run that was moved or "
            f"copied; give `model_dir`={lies_in} to resume it there"
        )


def _first_flagfile(model_dir: Path) -> Path:
    """The settings that the run started with: the oldest kept file, or else the current one."""
    steps = [match[1] for match in map(_EARLIER_FLAGS.match, os.listdir(model_dir)) if match]
    return model_dir / (f"flags-until-step-{min(steps, key=int)}.cfg" if steps else FLAGFILE)


def _differences(config: TrainingConfig, path: Path) -> list[str]:
    """A line for each setting that differs from those in a flagfile; one for a flagfile that is damaged."""
    try:
        first = TrainingConfig.from_flagfile(path)
    except InputError as error:
        return [f"{path.name}: cannot be compared with the present settings ({first_line(error)})"]
    if _only_prolongs(config, first):
        config = config.replace(max_steps=first.max_steps)
    pairs = (
        (field.name, getattr(config, field.name), getattr(first, field.name))
        for field in dataclasses.fields(config)
    )
    return [f"{name} is {now!r}; the run began with {then!r}" for name, now, then in pairs if now != then]


def _only_prolongs(config: TrainingConfig, first: TrainingConfig) -> bool:
    """Whether a later end of the run leaves all its steps as they were."""
    is_later = config.max_steps is None or (first.max_steps or config.max_steps) < config.max_steps
    return is_later and not config.phases and not config.fall_steps
