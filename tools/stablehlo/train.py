"""Trains with JAX alone, for a given time, with bundles that export.py made.

    python train.py --bundles=B128:0.3,B256:0.7 --archive=ARCHIVE --start=STATE --out=RUN --minutes=25

The bundles are of one model; each gets its share of the time. The learning rate falls over the time there is
(--minutes, all runs together, without compilation), whatever the machine's speed. RUN/state.npz is written
anew every --save_every seconds, at the end, and on SIGTERM or Ctrl-C; the same command goes on from it.
RUN/log.jsonl gets a line for each report. return_state.py turns RUN into what travels back.

--engine=twin takes the same steps by PyTorch (twin/), for a machine where XLA is slow with the bundles or
fails.
"""

import argparse
import dataclasses
import json
import math
import os
import signal
import sys
import time
from pathlib import Path

# The twin's PyTorch lives on the same device.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np
import state as travelling
from archive import open_archive
from sampler import KINDS, SamplerSettings

STATE_FILE, LOG_FILE = "state.npz", "log.jsonl"
SPENT = "seconds_spent"


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundles", required=True, help="FOLDER:SHARE,...: which train, in this order")
    parser.add_argument("--archive", required=True, help="folder with photos/, frames/, pairs/, held_out/")
    parser.add_argument("--start", required=True, help="folder of a state (checkpoint.py)")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, required=True, help="of training, all runs together")
    parser.add_argument("--engine", choices=("jax", "twin"), default="jax")
    parser.add_argument("--steps", type=int, help="end this run after so many steps in all")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the step"
    )
    parser.add_argument("--shares", default=None, help="of photos,frames,pairs in a batch")
    parser.add_argument("--longest", type=float, help="stroke of the camera, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inner", type=int, default=20, help="steps between two looks at the clock")
    parser.add_argument("--save_every", type=float, default=90, help="seconds")
    parser.add_argument("--validate_every", type=float, default=120, help="seconds")
    parser.add_argument("--report_every", type=float, default=15, help="seconds")
    parser.add_argument("--compilation_cache", help="folder where JAX keeps what it has compiled")
    return parser.parse_args()


def main() -> int:
    """Carries out the command; returns the exit code."""
    args = parse()
    try:
        return train(args)
    except travelling.UserError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2


def train(args) -> int:
    """Trains; returns the exit code."""
    began = time.monotonic()
    if args.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", args.compilation_cache)
    phases = parse_phases(args.bundles)
    out, stopped = Path(args.out), catch_signals()
    path = out / STATE_FILE
    state = travelling.load(path) if path.exists() else travelling.read_folder(args.start)[0]
    spent = float(state.pop(SPENT, 0.0))
    archive = open_archive(args.archive)
    state.update(travelling.parse_settings(args.set))
    engine = make_engine(args, [folder for folder, _ in phases], state, archive.tables())
    steps, budget = int(state[travelling.STEPS]), 60 * args.minutes
    log = Log(out / LOG_FILE)
    log.say(
        engine=engine.describe(),
        archive=str(archive),
        bundles=args.bundles,
        step=steps,
        spent_s=round(spent, 1),
        began_after_s=round(time.monotonic() - began, 1),
    )

    def save():
        travelling.save(path, engine.state(), **{SPENT: np.float64(spent)})

    def validate():
        log.say(step=steps, minutes=round(spent / 60, 2), **validation_psnr(engine, archive.held_out))

    clock = {name: time.monotonic() for name in ("save", "validate", "report")}
    phase, recent = None, []
    while not stopped and spent < budget and (args.steps is None or steps < args.steps):
        wanted = phase_at(phases, spent / budget)
        if wanted != phase:
            now = time.monotonic()
            engine.prepare(wanted)
            log.say(prepared=phases[wanted][0], seconds=round(time.monotonic() - now, 1))
            phase, recent, clock["report"] = wanted, [], time.monotonic()
        # So that the step's own schedule, which counts steps, is where the time is.
        engine.set("decay_steps", steps / (spent / budget) if spent else 1e9)
        started = time.monotonic()
        results = engine.run(phase, steps)
        now = time.monotonic()
        if not np.all(np.isfinite(results["loss"])):
            print(
                f"train.py: the loss is no number near step {steps}; {path} is from before", file=sys.stderr
            )
            return 1
        spent, steps = spent + now - started, steps + len(results["loss"])
        recent.append({**results, "seconds": now - started})
        if now - clock["report"] >= args.report_every:
            log.say(**report(engine, phase, steps, spent, recent))
            recent, clock["report"] = [], now
        if now - clock["validate"] >= args.validate_every:
            validate()
            clock["validate"] = time.monotonic()
        if now - clock["save"] >= args.save_every:
            save()
            clock["save"] = time.monotonic()
    save()
    if recent:
        log.say(**report(engine, phase, steps, spent, recent))
    validate()
    log.say(ended=stopped[0] if stopped else "done", step=steps, seconds=round(time.monotonic() - began, 1))
    return 128 + signal.Signals[stopped[0]].value if stopped else 0


def make_engine(args, bundles, state, tables):
    """The engine that --engine names."""
    settings = SamplerSettings()
    if args.shares:
        shares = tuple(number(share, "--shares") for share in args.shares.split(","))
        if len(shares) != len(KINDS):
            raise travelling.UserError(f"--shares={args.shares}: give {len(KINDS)}, for {', '.join(KINDS)}")
        settings = dataclasses.replace(settings, shares=shares)
    if args.longest:
        settings = dataclasses.replace(settings, longest=args.longest)
    return engine_class(args.engine)(bundles, state, tables, settings, args.seed, args.inner)


def engine_class(name: str):
    """What --engine names."""
    if name == "twin":
        from twin.engine import TwinEngine

        return TwinEngine
    from engine import JaxEngine

    return JaxEngine


def parse_phases(text: str) -> list:
    """`B128:0.3,B256:0.7` -> [("B128", 0.3), ("B256", 0.7)], of sum 1."""
    phases = []
    for part in text.split(","):
        folder, _, share = part.rpartition(":")
        if not folder or not (Path(folder) / "bundle.json").exists():
            raise travelling.UserError(f"--bundles: {part!r} is not FOLDER:SHARE with a bundle in the folder")
        phases.append((folder, number(share, "--bundles")))
    total = sum(share for _, share in phases)
    return [(folder, share / total) for folder, share in phases]


def number(text: str, flag: str) -> float:
    """A number above or at 0, of a flag."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise travelling.UserError(f"{flag}: {text!r} is not a number that can be a share")
    return value


def phase_at(phases: list, progress: float) -> int:
    """The place in `phases` at `progress` in [0, 1) of the time."""
    reached = np.cumsum([share for _, share in phases])
    return int(np.sum(progress >= reached[:-1]))


def report(engine, phase, steps, spent, results) -> dict:
    """What a line of the log says of the steps since the last."""
    bundle = engine.bundles[phase]
    mean = {name: float(np.mean([r[name] for r in results])) for name in ("loss", "psnr")}
    taken, seconds = sum(len(r["loss"]) for r in results), sum(r["seconds"] for r in results)
    memory = engine.memory_gib()
    return {
        **{"step": steps, "minutes": round(spent / 60, 2)},
        **{name: round(value, 6) for name, value in mean.items()},
        **{"crops_per_s": round(taken * bundle.batch_size / seconds, 2), "crop": bundle.crop_size},
        "learning_rate": float(np.float32(engine.learning_rate())),
        "memory_gib": None if memory is None else round(memory, 1),
    }


def validation_psnr(engine, held_out) -> dict:
    """Mean PSNR of the held-out images, as they are and restored, in dB."""
    size = engine.bundles[0].facts["validation_size"]
    errors = [
        engine.validate(*(_middle(image, size) for image in pair))
        for pair in held_out
        if _fits(pair[0], size)
    ]
    if not errors:
        return {"held_out": 0}
    psnr = {
        name: round(float(np.mean([10 * math.log10(255**2 / error[name]) for error in errors])), 3)
        for name in errors[0]
    }
    return {"held_out": len(errors), **{f"{name}_psnr": value for name, value in psnr.items()}}


def _fits(image, size):
    return image.shape[0] >= size[0] and image.shape[1] >= size[1]


def _middle(image, size):
    top, left = ((have - want) // 2 for have, want in zip(image.shape, size))
    return image[top : top + size[0], left : left + size[1]]


def catch_signals() -> list:
    """A list that gets the name of SIGTERM or SIGINT when one arrives."""
    caught = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: caught.append(signal.Signals(number).name))
    return caught


class Log:
    """Lines of JSON, printed and kept."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def say(self, **row):
        """Writes a line."""
        line = json.dumps(row)
        print(line, flush=True)
        with open(self._path, "a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
