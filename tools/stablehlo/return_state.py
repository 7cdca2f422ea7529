"""Turns a run of train.py into the small files that travel back.

    python return_state.py RUN OUT [--with_slots] [--part_mib=15]

OUT gets the averaged weights in float32 parts, run.json, the run's log and, on request, Adam's slots in
bfloat16.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import state as travelling

from train import LOG_FILE, SPENT, STATE_FILE


def main() -> int:
    """Carries out the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("out")
    parser.add_argument("--bundle", required=True, help="one of the run's bundles: says what model it is")
    parser.add_argument("--with_slots", action="store_true")
    parser.add_argument("--part_mib", type=float, default=travelling.PART_MIB)
    args = parser.parse_args()
    try:
        state = travelling.load(Path(args.run) / STATE_FILE)
        facts = json.loads((Path(args.bundle) / "bundle.json").read_text())
    except (travelling.UserError, OSError, ValueError) as error:
        print(f"return_state.py: {error}", file=sys.stderr)
        return 2
    facts = {name: facts[name] for name in ("model", "config", "precision")}
    facts["seconds"] = float(state.pop(SPENT))
    files = travelling.write_folder(state, facts, args.out, args.with_slots, args.part_mib)
    files.append(shutil.copy(Path(args.run) / LOG_FILE, args.out))
    print(f"{len(files)} files in {args.out}, step {int(state[travelling.STEPS])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
