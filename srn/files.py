"""Files: written so that they are either whole or not there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from srn.errors import InputError


def write_atomically(path: str | os.PathLike[str], data: bytes | Iterable[bytes]) -> None:
    """Writes `data` to `path` so that no reader, and no interrupted run, ever leaves half a file there.

    Args:
      path: the file to write. Its folder is made if need be; a file that is there already is replaced.
      data: the whole content, or its parts one after the other.

    Raises OSError that names `path` when it cannot be written; it then holds what it held before.
    """
    path = Path(path)
    try:
        _write_atomically(path, data)
    except OSError as error:
        if error.errno is not None:  # of a full disk the system does not tell the file
            error.filename, error.filename2 = str(path), None
        raise


def _write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic within one file system only. The suffix stays, so that
    # whatever looks for files by their kind sees this one as what it is.
    temporary = path.with_name(f".partial-{uuid.uuid4().hex}{path.suffix}")
    try:
        with open(temporary, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name with nothing behind it
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # already gone after a successful rename


def require_writable(folder: str | os.PathLike[str]) -> None:
    """Makes `folder` if need be. Raises InputError naming it where nothing can be written there."""
    probe = Path(folder) / f".probe-{uuid.uuid4().hex}"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        is_file = isinstance(error, (FileExistsError, NotADirectoryError))
        reason = "it is no folder" if is_file else error.strerror
        raise InputError(f"{folder}: cannot be written ({reason})") from error
