"""Errors for users: each line of the message names a file or an argument and says what to do.

The commands print them without a traceback (`srn/command.py`); in Python they are ordinary exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_LINE_LENGTH = 240
# `{{function_node __wrapped__SaveV2_...}} ` before TensorFlow's reason, ` [Op:SaveV2]` after it.
_BESIDE_THE_REASON = (" ", "\t", "Detected at", "Node:", "The error could be", "Additional GRPC", "Original")
_EXCEPTION = re.compile(r"^(?:srn\.errors\.)?(?:Input|Work)Error: ")  # from a Python function in a graph
_OPERATION = re.compile(r"\{\{(?:function_)?node .*?\}\} ?|:? ?\[Op:\w+\].*$")


class InputError(ValueError):
    """An argument, data set or weights that cannot be used; raised before work begins.

    The message has one line for each problem. The commands exit with code 2.
    """


class WorkError(RuntimeError):
    """Work that began and could not be finished, or failed in part. The commands exit with code 1."""


def list_some(names: Sequence[str], limit: int = 10) -> str:
    """The first `limit` of some names, for a message: `a, b, c, ...`."""
    return ", ".join([*names[:limit], *(["..."] if len(names) > limit else [])])


def first_line(error: object) -> str:
    """The relevant line of an error message, shortened to one line.

    TensorFlow's names of operations are removed; long lines are cut in the middle.
    """
    if isinstance(error, OSError) and error.strerror:  # its text has the file's name once more
        return error.strerror
    lines = (str(error).strip() or type(error).__name__).splitlines()
    # TensorFlow's errors of a graph begin with where the operation was made; the reason is their last line.
    reasons = [line for line in lines[1:] if line.strip() and not line.startswith(_BESIDE_THE_REASON)]
    line = reasons[-1] if lines[0] == "Graph execution error:" and reasons else lines[0]
    line = _EXCEPTION.sub("", _OPERATION.sub("", line).strip())
    return line if len(line) <= MAX_LINE_LENGTH else f"{line[:60]} ... {line[60 - MAX_LINE_LENGTH :]}"
