"""Runs one run of an ablation in a process started by `srn.ablation.runs`."""

import sys

from srn import command
from srn.ablation.runs import carry_out, from_json


def main() -> int:
    """Runs the run described by the first argument, JSON; returns the exit code."""
    return command.DONE if carry_out(from_json(sys.argv[1])) else command.exit_code_of_signal("SIGINT")


if __name__ == "__main__":
    command.quiet_tensorflow()
    sys.exit(command.exit_code_of(main, "srn.ablation"))
