"""How the scripts here tell what went wrong: one line, exit code 2 for a wrong call, 1 for work that
failed.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path


class UserError(Exception):
    """A line for the user: what is wrong with which file or flag. Exit code 2."""


class WorkError(Exception):
    """A line for the user: what failed, and what is left of the work. Exit code 1."""


def run(main) -> None:
    """Ends the process with what `main` returns, or with the exit code of what it raises."""
    script = Path(sys.argv[0]).name
    try:
        sys.exit(main())
    except UserError as error:
        print(f"{script}: {error}", file=sys.stderr)
        sys.exit(2)
    except (WorkError, OSError) as error:
        print(f"{script}: {error}", file=sys.stderr)
        sys.exit(1)


def told_by_the_project(main):
    """`main` for `srn.command.run`, whose errors are those of the project."""

    @functools.wraps(main)
    def wrapped():
        from srn.errors import InputError

        try:
            return main()
        except UserError as error:
            raise InputError(str(error)) from error

    return wrapped
