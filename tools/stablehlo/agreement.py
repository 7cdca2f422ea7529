"""Takes the steps of reference.py with an engine of train.py, and compares: before training on a device.

    python -m tools.stablehlo.agreement BUNDLE STATE [--engine=twin] [--steps=3]

Exit code 1 where a loss is further from TensorFlow's than --tolerance, or (after all steps) the weights
differ from those of TensorFlow's graph by more than TensorFlow's own two ways of computing differ; for the
twin by more than 1 % of their update.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import numpy as np

from . import commands
from . import state as travelling
from .state import read_facts
from .train import engine_class

TOLERANCE = {"float32": 1e-4, "mixed_bfloat16": 1e-2}
# Neither way of computing is the truth: as far apart as TensorFlow's own two, give or take a half. The twin
# adds in another order, and Adam's first steps are as large for a tiny gradient as for any other.
ROOM = 1.5
TWIN_ROOM = 1e-2


def main() -> int:
    """Carries out the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle")
    parser.add_argument("state")
    parser.add_argument("--engine", choices=("jax", "twin"), default="jax")
    parser.add_argument("--steps", type=int, help="fewer than the reference has")
    parser.add_argument("--tolerance", type=float, help="relative, of a loss; default by precision")
    return compare(parser.parse_args())


def compare(args) -> int:
    """Prints the comparison; returns the exit code."""
    folder = Path(args.bundle)
    facts = read_facts(folder)
    batches = travelling.load(folder / "agreement" / "batches.npz")
    references = {kind: travelling.load(folder / "agreement" / f"{kind}.npz") for kind in ("graph", "xla")}
    start, _ = travelling.read_folder(args.state)
    start.update({key: value for key, value in batches.items() if key.startswith(travelling.SETTING)})
    engine = engine_class(args.engine)([folder], start, None, None, seed=0, inner=1)
    blurry, sharp = (np.float32(batches[side]) / 255 for side in ("blurry", "sharp"))
    sharp = sharp * np.float32(batches["target_scale"])
    steps = min(args.steps or len(blurry), len(blurry))
    crops = [
        (engine.to_device(one), engine.to_device(other)) for one, other in zip(blurry[:steps], sharp[:steps])
    ]
    losses = np.array([engine.step(*pair)["loss"] for pair in crops])
    print(f"{engine.describe()}: {steps} steps, loss {losses[0]:.7g} -> {losses[-1]:.7g}")

    ours = engine.state()
    names = [name for name in travelling.weight_names(start) if name in references["graph"]]
    has_weights = steps == len(blurry)
    tolerance = TOLERANCE[facts["precision"]] if args.tolerance is None else args.tolerance
    failed = False
    own = update_distance(references["xla"], references["graph"], start, names) if has_weights else None
    for kind, reference in references.items():
        worst = np.max(np.abs(losses / reference["loss"][:steps] - 1))
        line = f"  to TensorFlow's {kind}: losses {worst:.1e}"
        failed |= not worst <= tolerance
        if has_weights:
            distance = update_distance(ours, reference, start, names)
            line += f", weights {distance:.1e} of their update"
            room = max(ROOM * own, TWIN_ROOM if args.engine == "twin" else 0.0)
            failed |= kind == "graph" and not distance <= room
        print(line)
    if has_weights:
        between = np.max(np.abs(references["xla"]["loss"] / references["graph"]["loss"] - 1))
        print(f"  TensorFlow's xla to its graph: losses {between:.1e}, weights {own:.1e} of their update")
    print("DISAGREES" if failed else "agrees")
    return int(failed)


def update_distance(one: dict, other: dict, start: dict, names: list) -> float:
    """||one - other|| / ||other - start|| over all weights: the part of the training that differs."""
    difference, update = (
        sum(float(np.sum((np.float64(a[name]) - np.float64(b[name])) ** 2)) for name in names)
        for a, b in ((one, other), (other, start))
    )
    return (difference / update) ** 0.5


if __name__ == "__main__":
    commands.run(main)
