"""Atomic writing of files, text files, and JSON files with a format version."""

from __future__ import annotations

import codecs
import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from srn.errors import InputError

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file in UTF-8 or UTF-16 (as Windows' shell writes), without its byte order mark.

    Raises OSError where it cannot be read, UnicodeDecodeError where it is no text.
    """
    content = Path(path).read_bytes()
    return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")


def write_atomically(path: str | os.PathLike[str], data: bytes | Iterable[bytes]) -> None:
    """Writes `data` to `path` completely or not at all.

    Args:
      path: the file to write; its folder is created if needed, an existing file is replaced.
      data: the whole content, or its parts in order.

    Raises OSError naming `path` when it cannot be written; an existing file is then unchanged.
    """
    path = Path(path)
    try:
        _write_atomically(path, data)
    except OSError as error:
        if error.errno is not None:  # for a full disk, the system does not name the file
            error.filename, error.filename2 = str(path), None
        raise


def _write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since renaming is atomic only within a file system; with the same suffix, since
    # folders are checked for files of other kinds.
    temporary = path.with_name(f".partial-{uuid.uuid4().hex}{path.suffix}")
    try:
        with open(temporary, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())  # or a power failure could leave an empty file under the new name
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # already gone after a successful rename


def write_json(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Writes `content` as JSON, atomically; `content["format"]` is the version that `read_json` checks."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: str | os.PathLike[str], version: int, kind: str, script: str) -> dict[str, Any]:
    """Reads a file written by `write_json`.

    Args:
      path: of the file.
      version: the expected `format`.
      kind: what the file describes, for the error message: "a cache".
      script: the command that writes it, for the error message.

    Raises `InputError` naming a file that is missing, damaged or of another version.
    """
    try:
        content = json.loads(Path(path).read_text())
        if content["format"] == version:
            return content
    except FileNotFoundError:
        raise InputError(f"{path}: not there; run {script} (again)") from None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: not of {kind} of this version; run {script} again")


def require_writable(folder: str | os.PathLike[str]) -> None:
    """Creates `folder` if needed. Raises `InputError` naming it if no file can be written there."""
    probe = Path(folder) / f".probe-{uuid.uuid4().hex}"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
