"""Errors that are meant for people: each line of the message names a file or a flag and what to do.

The commands print them without a traceback (`srn/command.py`); to a caller of the library they are
ordinary exceptions.
"""

import re

LONGEST_LINE = 240
# `{{function_node __wrapped__SaveV2_...}} ` before TensorFlow's reason, ` [Op:SaveV2]` after it.
_BESIDE_THE_REASON = (" ", "\t", "Detected at", "Node:", "The error could be", "Additional GRPC", "Original")
_EXCEPTION = re.compile(r"^(?:srn\.errors\.)?(?:Input|Work)Error: ")  # from a Python function in a graph
_OPERATION = re.compile(r"\{\{(?:function_)?node .*?\}\} ?|:? ?\[Op:\w+\].*$")


class InputError(ValueError):
    """What was given cannot be used: a flag, a data set, weights. Found before work begins.

    The message has one line for each thing that is wrong. The commands exit with 2.
    """


class WorkError(RuntimeError):
    """Work began and could not be finished, or a part of it failed. The commands exit with 1."""


def first_line(error: object) -> str:
    """The first line of an error's text, shortened: what fits into a line of ours.

    TensorFlow's marks of the operation are left out; of a long line the end stays, which has the reason.
    """
    if isinstance(error, OSError) and error.strerror:  # its text has the file's name once more
        return error.strerror
    lines = (str(error).strip() or type(error).__name__).splitlines()
    # TensorFlow's errors of a graph begin with where the operation was made; the reason is their last line.
    reasons = [line for line in lines[1:] if line.strip() and not line.startswith(_BESIDE_THE_REASON)]
    line = reasons[-1] if lines[0] == "Graph execution error:" and reasons else lines[0]
    line = _EXCEPTION.sub("", _OPERATION.sub("", line).strip())
    return line if len(line) <= LONGEST_LINE else f"{line[:60]} ... {line[60 - LONGEST_LINE :]}"
