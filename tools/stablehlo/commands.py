"""Exit codes of the commands that run without TensorFlow and absl: 2 for a wrong call, 1 for failed work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from srn.errors import InputError, WorkError


def run(main: Callable[[], int]) -> None:
    """Exits with the result of `main`, or prints its error in one line and exits with 2 or 1."""
    script = Path(sys.argv[0]).name
    try:
        sys.exit(main())
    except InputError as error:
        print(f"{script}: {error}", file=sys.stderr)
        sys.exit(2)
    except (WorkError, OSError) as error:
        print(f"{script}: {error}", file=sys.stderr)
        sys.exit(1)
