"""Rehearses a run elsewhere, end to end, on this machine's processor.

    make rehearse                                   both environments, then this
    python -m tools.stablehlo.rehearse --jax_python=.venv-jax/bin/python [--out=FOLDER] [--full]

export, pack, agreement, train, kill, resume, change to the twin, return, checkpoint, train on, evaluate:
with a small network and drawn scenes, some eight minutes on two cores with --full. --full also takes the 20
steps of the full network in both precisions. Each part must show what it is for; the first that does not
ends the rehearsal with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import TRANSFERRED
from . import state as travelling

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODEL, CROPS, SIZE = "sr_edrb1", ((8, 32), (4, 64)), "96,128"  # (batch, crop); height, width of scenes


class Rehearsal:
    """The commands of a rehearsal, run one after the other in a folder."""

    def __init__(self, jax_python: str, out: Path):
        self._pythons = {"tensorflow": sys.executable, "jax": jax_python}
        self.out, self._errors, self._began = out, out / "errors.txt", time.monotonic()
        # The training machine has nothing else of the project.
        self._trees = {"tensorflow": ROOT, "jax": out / "transferred"}
        copy_transferred(out / "transferred")

    def say(self, text: str) -> None:
        """A heading with the time so far."""
        print(f"\n== {time.monotonic() - self._began:4.0f} s  {text}", flush=True)

    def start(self, side: str, script: str | Path, *words) -> subprocess.Popen:
        """Begins a module of this package, by its name, or a script of the project; its output is shown."""
        words = [str(word) for word in words]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = str(self._trees[side])
        print("  $", script if isinstance(script, str) else script.name, *words, flush=True)
        what = ["-m", f"tools.stablehlo.{script}"] if isinstance(script, str) else [str(script)]
        command = [self._pythons[side], *what, *words]
        with open(self._errors, "w") as errors:
            return subprocess.Popen(
                command, cwd=self.out, env=environment, text=True, stdout=subprocess.PIPE, stderr=errors
            )

    def last_errors(self) -> str:
        """The end of what the last command wrote to stderr."""
        return self._errors.read_text()[-3000:]

    def run(self, side: str, script: str | Path, *words) -> str:
        """Runs a command to its end, which must be good; returns what it printed."""
        process = self.start(side, script, *words)
        output, _ = process.communicate()
        print("".join(f"    {line}\n" for line in output.splitlines()[-12:]), end="", flush=True)
        if process.returncode:
            fail(f"{script} ended with {process.returncode}\n{self.last_errors()}")
        return output


def copy_transferred(target: Path) -> None:
    """Copies what the training machine needs of the project to `target`."""
    for name in TRANSFERRED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, dirs_exist_ok=True)
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def main() -> int:
    """Carries out the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jax_python", required=True, help="interpreter with requirements.txt")
    parser.add_argument("--out", help="folder for everything that is made; default: a temporary one")
    parser.add_argument("--full", action="store_true", help="the full network's agreement too")
    args = parser.parse_args()
    jax_python = Path(args.jax_python).absolute()  # not resolved: a link is what makes the environment
    if not jax_python.exists():
        print(
            f"rehearse.py: --jax_python={args.jax_python} is not there; make rehearse makes it",
            file=sys.stderr,
        )
        return 2
    out = Path(args.out or tempfile.mkdtemp(prefix="rehearsal-")).absolute()
    out.mkdir(parents=True, exist_ok=True)
    rehearsal = Rehearsal(str(jax_python), out)
    bundles = export_and_pack(rehearsal)
    agree(rehearsal, args.full)
    train_kill_resume(rehearsal, bundles)
    repeat(rehearsal, bundles)
    come_back(rehearsal, bundles)
    rehearsal.say(f"rehearsed; everything is in {out}")
    return 0


def export_and_pack(rehearsal) -> str:
    """Draws data, exports a bundle for each size, packs; returns --bundles of train.py."""
    rehearsal.say("draw scenes, export, pack, start")
    width, height = reversed(SIZE.split(","))
    rehearsal.run(
        "tensorflow",
        ROOT / "examples" / "drawn_scenes.py",
        *("scenes", "--train", "8", "--test", "2", "--size", f"{width}x{height}"),
    )
    photos = rehearsal.out / "photos"
    shutil.copytree(rehearsal.out / "scenes" / "train" / "sharp", photos, dirs_exist_ok=True)
    frames = rehearsal.out / "frames"  # a still sequence: what is averaged is known
    frames.mkdir(exist_ok=True)
    for number in range(15):
        shutil.copy(photos / "0000.png", frames / f"{number:04d}.png")
    for batch, crop in CROPS:
        rehearsal.run(
            "tensorflow",
            "export",
            *(f"--model={MODEL}", f"--crop_size={crop}", f"--batch_size={batch}", "--precision=float32"),
            *(f"--validation_size={SIZE}", f"--out_dir=b{crop}"),
        )
    for split in ("train", "test"):
        shutil.rmtree(rehearsal.out / f"packed_{split}", ignore_errors=True)
        sources = [f"--pairs=scenes/{split}", "--dataset=pairs"]
        sources += ["--photos=photos", "--frames=frames"] if split == "train" else ["--hold_out=*"]
        rehearsal.run("tensorflow", "pack", f"--out_dir=packed_{split}", *sources)
        for part in sorted((rehearsal.out / f"packed_{split}").glob("part_*")):
            shutil.copytree(part, rehearsal.out / "archive", dirs_exist_ok=True)
    rehearsal.run(
        "tensorflow",
        "from_checkpoint",
        *(f"--model={MODEL}", "--start=identity", "--part_mib=4", "--out_dir=start"),
    )
    return ",".join(f"b{crop}:0.5" for _, crop in CROPS)


def agree(rehearsal, full: bool) -> None:
    """JAX and the twin take the steps that TensorFlow took."""
    cases = [(MODEL, 32, "float32", "1e-5", ["--target_scale=96"])]
    if full:
        settings = ["--set=warmup_steps=200"]
        cases += [("srn", 64, precision, None, settings) for precision in ("float32", "mixed_bfloat16")]
    for model, crop, precision, tolerance, more in cases:
        rehearsal.say(f"20 steps of {model} in {precision}, the clip acting in each")
        bundle, start = f"agree_{model}_{precision}", f"start_{model}"
        rehearsal.run(
            "tensorflow",
            "export",
            *(f"--model={model}", f"--crop_size={crop}", "--batch_size=2", f"--precision={precision}"),
            f"--out_dir={bundle}",
        )
        rehearsal.run(
            "tensorflow",
            "from_checkpoint",
            f"--model={model}",
            "--start=xavier",
            f"--out_dir={start}",
        )
        output = rehearsal.run("tensorflow", "reference", f"--bundle={bundle}", f"--start={start}", *more)
        if output.count("in 20 of 20 steps") != 2:
            fail("the clip does not act in every step")
        limit = [f"--tolerance={tolerance}"] if tolerance else []
        for engine in ("jax", "twin"):
            rehearsal.run("jax", "agreement", bundle, start, f"--engine={engine}", *limit)


def train_kill_resume(rehearsal, bundles) -> None:
    """Checks that a run stopped by SIGTERM and by SIGKILL is resumed and completed."""
    rehearsal.say("train, end it by SIGTERM")
    words = train_words(bundles, "run", "--minutes=0.6", "--save_every=2", "--report_every=2", "--inner=4")
    process = rehearsal.start("jax", "train", *words)
    wait_for(rehearsal, process, '"loss"')
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    show(output)
    if process.returncode != 128 + signal.SIGTERM or '"ended": "SIGTERM"' not in output:
        fail(f"SIGTERM: exit code {process.returncode}")
    before = steps_of(rehearsal.out / "run")

    rehearsal.say(f"resume from step {before}, end it by SIGKILL")
    process = rehearsal.start("jax", "train", *words)
    wait_for(rehearsal, process, '"loss"')
    process.kill()
    process.communicate()
    between = steps_of(rehearsal.out / "run")
    if between < before:
        fail(f"the state went back from step {before} to {between}")

    rehearsal.say(f"resume from step {between} to the end, with both sizes")
    rehearsal.run("jax", "train", *words)
    after = steps_of(rehearsal.out / "run")
    rows = [json.loads(line) for line in (rehearsal.out / "run" / "log.jsonl").read_text().splitlines()]
    sizes = {row["crop"] for row in rows if "crop" in row}
    if after <= between or rows[-1]["ended"] != "done" or sizes != {crop for _, crop in CROPS}:
        fail(f"step {between} to {after}, crops {sizes}, ended {rows[-1].get('ended')}")


def repeat(rehearsal, bundles) -> None:
    """Checks that 20 steps and 10 + 10 are equal, and nearly so when the twin resumes from JAX's state."""
    rehearsal.say("20 steps at once, and 10 + 10")
    # A rate that does not depend on the time that the steps take.
    still = ["--minutes=60", "--inner=5", "--set=decay_power=0", "--set=learning_rate=1e-4"]
    states = {}
    for name, engine, parts in (
        ("whole", "jax", [20]),
        ("halves", "jax", [10, 20]),
        ("mixed", "twin", [10, 20]),
    ):
        for part in parts:
            side = engine if part == 20 else "jax"
            words = train_words(bundles, name, *still, f"--steps={part}", f"--engine={side}")
            rehearsal.run("jax", "train", *words)
        states[name] = travelling.load(rehearsal.out / name / "state.npz")
    names = travelling.weight_names(states["whole"])
    for name, limit in (("halves", 0.0), ("mixed", 1e-4)):
        worst = max(float(abs(states["whole"][key] - states[name][key]).max()) for key in names)
        print(f"    weights of `{name}` differ from those of `whole` by {worst:.1e} at most")
        if worst > limit:
            fail(f"that is more than {limit:g}")


def come_back(rehearsal, bundles) -> None:
    """Converts the state to weights and a checkpoint, and uses both with the commands of the project."""
    rehearsal.say("return, checkpoint, train on, evaluate")
    rehearsal.run("jax", "return_state", "run", "back", "--with_slots", "--part_mib=4")
    rehearsal.run("tensorflow", "to_checkpoint", "--state=back", "--model_dir=project")
    steps = steps_of(rehearsal.out / "run")
    scores = {}
    for name, ckpt in (("blurry", "identity"), ("parts", "back/weights_0.npz"), ("checkpoint", "project")):
        words = (f"--ckpt={ckpt}", "--data_dir=scenes/test", "--dataset=pairs", f"--out_dir=scores_{name}")
        rehearsal.run("tensorflow", ROOT / "evaluate.py", *words)
        scores[name] = json.loads((rehearsal.out / f"scores_{name}" / "summary.json").read_text())["psnr"]
    there = [json.loads(line) for line in (rehearsal.out / "back" / "log.jsonl").read_text().splitlines()]
    there = [row["restored_psnr"] for row in there if "restored_psnr" in row][-1]
    print(f"    PSNR: {scores}; {there} where it was trained (of the pairs as JPEG)")
    if scores["parts"] != scores["checkpoint"] or abs(scores["parts"] - there) > 0.3:
        fail("the weights that came back are not those that were trained")
    if scores["parts"] == scores["blurry"]:
        fail("nothing was learned")
    output = rehearsal.run(
        "tensorflow",
        ROOT / "train.py",
        *(f"--model={MODEL}", "--model_dir=project", "--data_dir=scenes/train", "--dataset=pairs"),
        *("--crop_size=32", "--batch_size=2", "--ema_decay=0.999", f"--max_steps={steps + 2}"),
    )
    if f"step {steps} to {steps + 2}" not in output:
        fail("train.py did not resume from the checkpoint")

    rehearsal.say("and away again, with Adam's slots")
    words = ("--ckpt=project", "--with_slots", "--out_dir=again")
    rehearsal.run("tensorflow", "from_checkpoint", *words)
    words = (f"--bundles={bundles}", "--archive=archive", "--start=again", "--out=away")
    rehearsal.run("jax", "train", *words, "--minutes=60", "--inner=1", f"--steps={steps + 4}")
    if steps_of(rehearsal.out / "away") != steps + 4:
        fail("the run did not resume from the checkpoint of the project")


def train_words(bundles, out, *more) -> list:
    """The words of train.py."""
    files = (f"--bundles={bundles}", "--archive=archive", "--start=start", f"--out={out}")
    return [*files, "--max_length=9", "--validate_every=5", *more]


def wait_for(rehearsal, process, sign: str) -> None:
    """Shows what a command prints until `sign` is in a line."""
    for line in process.stdout:
        show(line)
        if sign in line:
            return
    fail(f"the command ended without {sign}\n{rehearsal.last_errors()}")


def steps_of(run: Path) -> int:
    """How many steps a run has saved."""
    return int(travelling.load(run / "state.npz")[travelling.STEPS])


def show(text: str) -> None:
    """Prints what a command has printed."""
    print("".join(f"    {line}\n" for line in text.splitlines()), end="", flush=True)


def fail(why: str) -> None:
    """Ends the rehearsal."""
    raise SystemExit(f"NOT REHEARSED: {why}")


if __name__ == "__main__":
    sys.exit(main())
