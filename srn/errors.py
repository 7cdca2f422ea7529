"""Errors that are meant for people: each line of the message names a file or an argument and what to do.

The commands print them without a traceback (`srn/command.py`); to a caller of the library they are
ordinary exceptions. Messages name arguments of functions (`crop_size=250 ...`); those that are given beside
the message are shown by a command as its flags (`--crop_size=250 ...`).
"""

from __future__ import annotations

import re


class _ReadableError(Exception):
    """An error with the names of the arguments that its message speaks of.

    Args:
      message: one line for each thing that is wrong.
      *arguments: names of arguments in it, such as "crop_size".
    """

    def __init__(self, message: str = "", *arguments: str):
        super().__init__(message)
        self.arguments = arguments

    def with_flags(self) -> str:
        """The message as a command says it: arguments are its flags, `crop_size` is `--crop_size`."""
        if not self.arguments:
            return str(self)
        names = "|".join(map(re.escape, self.arguments))
        return re.sub(rf"(?<![\w./-])({names})(?!\w)", r"--\1", str(self))


class InputError(_ReadableError, ValueError):
    """What was given cannot be used: an argument, a data set, weights. Found before work begins.

    The message has one line for each thing that is wrong. The commands exit with 2.
    """


class WorkError(_ReadableError, RuntimeError):
    """Work began and could not be finished, or a part of it failed. The commands exit with 1."""


def first_line(error) -> str:
    """The first line of an error's text, shortened: what fits into a line of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
