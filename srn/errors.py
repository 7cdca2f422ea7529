"""Errors that are meant for people: each line of the message names a file or a flag and what to do.

The commands print them without a traceback (`srn/command.py`); to a caller of the library they are
ordinary exceptions.
"""


class InputError(ValueError):
    """What was given cannot be used: a flag, a data set, weights. Found before work begins.

    The message has one line for each thing that is wrong. The commands exit with 2.
    """


class WorkError(RuntimeError):
    """Work began and could not be finished, or a part of it failed. The commands exit with 1."""


def first_line(error: object) -> str:
    """The first line of an error's text, shortened: what fits into a line of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
