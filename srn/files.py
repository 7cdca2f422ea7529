"""Writing a file so that it is either whole or not there."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes `data` to `path` so that no reader, and no interrupted run, ever leaves half a file there.

    Args:
      path: the file to write. Its folder is made if need be; a file that is there already is replaced.
      data: the whole content.

    Raises OSError when the folder or the file cannot be written; `path` then holds what it held before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic within one file system only. The suffix stays, so that
    # whatever looks for files by their kind sees this one as what it is.
    temporary = path.with_name(f".partial-{uuid.uuid4().hex}{path.suffix}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # already gone after a successful rename
