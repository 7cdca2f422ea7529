"""Converts a run of train.py to small files to be copied back.

    python -m tools.stablehlo.return_state RUN OUT [--with_slots] [--part_mib=15]

OUT gets the averaged weights in float32 parts, run.json, the run's log and, on request, Adam's slots in
bfloat16.
"""

import argparse
import json
import shutil
from pathlib import Path

from srn.errors import InputError

from . import commands
from . import state as travelling
from .train import LOG_FILE, SPENT, STATE_FILE


def main() -> int:
    """Carries out the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("out")
    parser.add_argument("--with_slots", action="store_true")
    parser.add_argument("--part_mib", type=float, default=travelling.PART_MIB)
    args = parser.parse_args()
    run = Path(args.run)
    state = travelling.load(run / STATE_FILE)
    try:
        facts = json.loads((run / travelling.RUN_FILE).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{run}: not a run of train.py ({error})") from error
    facts["seconds"] = float(state.pop(SPENT))
    files = travelling.write_folder(state, facts, args.out, args.with_slots, args.part_mib)
    files.append(shutil.copy(run / LOG_FILE, args.out))
    print(f"{len(files)} files in {args.out}, step {int(state[travelling.STEPS])}")
    return 0


if __name__ == "__main__":
    commands.run(main)
