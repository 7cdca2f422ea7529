r"""Trains with JAX for a given time, with bundles made by export.py.

    python -m tools.stablehlo.train --bundles=B128:0.3,B256:0.7 --archive=ARCHIVE --start=STATE \
        --out=RUN --minutes=25

All bundles are of one model; each is trained for its fraction of the time. The learning rate decays over the
time budget (--minutes, of all runs together, without compilation), whatever the machine's speed.
RUN/state.npz is saved every --save_every seconds, at the end, and on SIGTERM or Ctrl-C; the same command
resumes from it. RUN/log.jsonl gets a line for each report. return_state.py converts RUN to the files to be
copied back.

--engine=twin takes the same steps in PyTorch (twin/), for machines where XLA is slow or fails.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import time
from pathlib import Path

# The twin's PyTorch lives on the same device.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np

from srn.errors import InputError, WorkError
from srn.files import write_atomically

from . import commands
from . import state as travelling
from .archive import open_archive
from .sampler import KINDS, SYNTHESES

STATE_FILE, LOG_FILE = "state.npz", "log.jsonl"
SPENT = "seconds_spent"


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--bundles",
        required=True,
        help="FOLDER:FRACTION,...: bundles in training order, with their fractions of the time",
    )
    parser.add_argument("--archive", required=True, help="folder with photos/, frames/, pairs/, held_out/")
    parser.add_argument(
        "--start", required=True, help="folder of a state (from_checkpoint.py, return_state.py)"
    )
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument(
        "--minutes", type=float, required=True, help="time budget of the training, of all runs together"
    )
    parser.add_argument("--engine", choices=("jax", "twin"), default="jax")
    parser.add_argument(
        "--steps", type=int, help="stop after this total number of steps, or up to --inner more"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting of the step"
    )
    parser.add_argument("--kind_weights", help="relative numbers of photos,frames,pairs in a batch")
    parser.add_argument(
        "--synthesis",
        choices=tuple(SYNTHESES),
        default="gopro",
        help="preset of the camera shake (docs/making_blur.md)",
    )
    parser.add_argument(
        "--soften",
        type=float,
        default=0.0,
        help="maximum standard deviation of a Gaussian blur applied to photographs first, in pixels",
    )
    parser.add_argument("--max_length", type=float, help="maximum length of the camera path, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inner", type=positive, default=20, help="steps between two checks of the time")
    parser.add_argument("--save_every", type=float, default=90, help="seconds")
    parser.add_argument("--validate_every", type=float, default=120, help="seconds")
    parser.add_argument("--report_every", type=float, default=15, help="seconds")
    parser.add_argument("--compilation_cache", help="folder of JAX's compilation cache")
    return parser.parse_args()


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def main() -> int:
    """Carries out the command; returns the exit code."""
    return train(parse())


def train(args) -> int:
    """Trains; returns the exit code."""
    began = time.monotonic()
    if args.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", args.compilation_cache)
    require_gpu_if_there_is_one()
    phases = parse_phases(args.bundles)
    facts = common_facts([folder for folder, _ in phases])
    out, stopped = Path(args.out), catch_signals()
    path = out / STATE_FILE
    source = path if path.exists() else args.start
    state = travelling.load(path) if path.exists() else travelling.read_folder(args.start)[0]
    spent = float(state.pop(SPENT, 0.0))
    archive = open_archive(args.archive)
    require_validation(archive.held_out, facts["validation_size"])
    state.update(travelling.parse_settings(args.set, facts["settings"]))
    engine = make_engine(args, [folder for folder, _ in phases], state, archive.tables())
    steps, budget = int(state[travelling.STEPS]), 60 * args.minutes
    log = Log(out / LOG_FILE)
    about = {name: facts[name] for name in ("model", "config", "precision")}
    write_atomically(out / travelling.RUN_FILE, json.dumps(about).encode())
    log.say(
        pid=os.getpid(),
        engine=engine.describe(),
        state=str(source),
        archive=str(archive),
        bundles=args.bundles,
        step=steps,
        spent_s=round(spent, 1),
        began_after_s=round(time.monotonic() - began, 1),
    )

    def save():
        arrays = engine.state()
        # The loss of a step is taken before its update: the last one may have spoilt the weights.
        if not all(np.all(np.isfinite(array)) for array in arrays.values()):
            raise WorkError(f"a weight is not finite at step {steps}; {path} is from before")
        travelling.save(path, arrays, **{SPENT: np.float64(spent)})

    def validate():
        log.say(step=steps, minutes=round(spent / 60, 2), **validation_psnr(engine, archive.held_out))

    # All at once: what fails to compile should do so before anything is trained.
    for index, (folder, _) in enumerate(phases):
        now = time.monotonic()
        with told_as_work(path):
            engine.prepare(index)
        log.say(prepared=folder, seconds=round(time.monotonic() - now, 1))
    clock = {name: time.monotonic() for name in ("save", "validate", "report")}
    phase, recent = None, []
    while not stopped and spent < budget and (args.steps is None or steps < args.steps):
        wanted = phase_at(phases, spent / budget)
        if wanted != phase:
            phase, recent, clock["report"] = wanted, [], time.monotonic()
        # So that the step's own schedule, which counts steps, is where the time is.
        engine.set("decay_steps", steps / (spent / budget) if spent else 1e9)
        started = time.monotonic()
        with told_as_work(path):
            results = engine.run(phase, steps)
        now = time.monotonic()
        if not np.all(np.isfinite(results["loss"])):
            raise WorkError(f"the loss is not finite near step {steps}; {path} is from before")
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
    if not stopped:  # who ends a run has no time left
        validate()
    log.say(ended=stopped[0] if stopped else "done", step=steps, seconds=round(time.monotonic() - began, 1))
    return 128 + signal.Signals[stopped[0]].value if stopped else 0


def make_engine(args, bundles, state, tables):
    """The engine that --engine names."""
    settings = dataclasses.replace(SYNTHESES[args.synthesis], soften=args.soften)
    if args.kind_weights:
        weights = tuple(number(weight, "--kind_weights") for weight in args.kind_weights.split(","))
        if len(weights) != len(KINDS):
            raise InputError(f"--kind_weights={args.kind_weights}: give {len(KINDS)}, for {', '.join(KINDS)}")
        settings = dataclasses.replace(settings, kind_weights=weights)
    if args.max_length is not None:
        if not args.max_length > settings.min_length:
            raise InputError(
                f"--max_length={args.max_length:g}: must be above {settings.min_length:g} pixels"
            )
        settings = dataclasses.replace(settings, max_length=args.max_length)
    return engine_class(args.engine)(bundles, state, tables, settings, args.seed, args.inner)


def engine_class(name: str):
    """What --engine names."""
    if name == "twin":
        from .twin.engine import TwinEngine

        return TwinEngine
    from .engine import JaxEngine

    return JaxEngine


@contextlib.contextmanager
def told_as_work(path):
    """What JAX and PyTorch raise, such as that memory is used up, in a line."""
    try:
        yield
    except RuntimeError as error:
        raise WorkError(f"{str(error).splitlines()[0]}; {path}, if it is there, is from before") from error


def require_gpu_if_there_is_one() -> None:
    """Raises `InputError` if there is a GPU that JAX does not use."""
    if Path("/dev/nvidia0").exists() and jax.default_backend() == "cpu" and "JAX_PLATFORMS" not in os.environ:
        raise InputError(
            "there is a GPU that JAX does not see; install jax[cuda13], or set JAX_PLATFORMS=cpu"
        )


def require_validation(held_out: list, size: list) -> None:
    """Held-out images that are all too small for the bundle's validation are refused."""
    if held_out and not any(_fits(blurry, size) for blurry, _ in held_out):
        raise InputError(
            f"all held-out images are smaller than the {size[0]}x{size[1]} of the bundle's validation"
        )


def common_facts(folders: list) -> dict:
    """The facts of the first bundle. Raises `InputError` where others are of another model."""
    all_facts = [travelling.read_facts(folder) for folder in folders]
    for folder, facts in zip(folders, all_facts):
        for name in ("config", "precision", "clip_norm"):
            if facts[name] != all_facts[0][name]:
                raise InputError(f"--bundles: {name} of {folder} is not that of {folders[0]}")
    if all_facts[0]["config"]["channels"] != 3:
        raise InputError("--bundles: the crops are made in colour, and the model has one channel")
    return all_facts[0]


def parse_phases(text: str) -> list:
    """`B128:0.3,B256:0.7` -> [("B128", 0.3), ("B256", 0.7)], of sum 1."""
    phases = []
    for part in text.split(","):
        folder, _, fraction = part.rpartition(":")
        if not folder or not (Path(folder) / "bundle.json").exists():
            raise InputError(f"--bundles: {part!r} is not FOLDER:FRACTION with a bundle in the folder")
        phases.append((folder, number(fraction, "--bundles")))
    total = sum(fraction for _, fraction in phases)
    if not total:
        raise InputError("--bundles: no fraction is above 0")
    return [(folder, fraction / total) for folder, fraction in phases]


def number(text: str, flag: str) -> float:
    """Parses a number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError(f"{flag}: {text!r} is not a number of at least 0")
    return value


def phase_at(phases: list, progress: float) -> int:
    """The index of the phase at `progress` in [0, 1) of the time."""
    reached = np.cumsum([fraction for _, fraction in phases])
    return int(np.sum(progress >= reached[:-1]))


def report(engine, phase, steps, spent, results) -> dict:
    """A line of the log about the steps since the last report."""
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
    """Mean PSNR in dB of the held-out images, blurry and restored."""
    size = engine.bundles[0].facts["validation_size"]
    errors = [
        engine.validate(*(_middle(image, size) for image in pair))
        for pair in held_out
        if _fits(pair[0], size)
    ]
    if not errors:
        return {"held_out": 0}
    psnr = {
        name: round(
            float(np.mean([10 * math.log10(255**2 / max(error[name], 1e-10)) for error in errors])), 3
        )
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
    commands.run(main)
