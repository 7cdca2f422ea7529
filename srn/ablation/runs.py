"""The runs of an ablation: each candidate with each seed is trained, validated and scored, once.

A run has a folder `OUT_DIR/NAME/seed-SEED` with the checkpoints and the log of `srn.train`, the scores of
`srn.evaluate`, and `run.json`: its settings, the validation over the steps, the test. A run that was
interrupted anywhere resumes there; a finished one is only read.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from srn.ablation.candidates import Candidate
from srn.data.pairs import find_pairs
from srn.errors import InputError, WorkError
from srn.files import write_atomically
from srn.metrics import WINDOW_SIZE, psnr
from srn.training.config import TrainingConfig

RECORD = "run.json"
_DEVICES = "CUDA_VISIBLE_DEVICES"
# Of the training settings, those that change no result; a finished run stays valid under others.
_WITHOUT_EFFECT = ("keep", "keep_every", "log_every", "pictures_every", "jit_compile", "cache_dir")


@dataclasses.dataclass(frozen=True)
class Run:
    """One candidate with one seed.

    Attributes:
      candidate: what is trained.
      training: its settings, with the seed and what the candidate changes.
      folder: of the run.
      test_dir, test_dataset: the data set that the last checkpoint is scored on, and its layout.
    """

    candidate: Candidate
    training: TrainingConfig
    folder: Path
    test_dir: str
    test_dataset: str = "auto"

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that affect the results, as plain values."""
        training = {
            field.name: getattr(self.training, field.name)
            for field in dataclasses.fields(self.training)
            if field.name not in _WITHOUT_EFFECT
        }
        return {
            "training": training,
            "test_dir": self.test_dir,
            "test_dataset": self.test_dataset,
        }


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The content of `run.json` of a finished run.

    Attributes:
      validation: step -> PSNR in dB on the validation pairs.
      test: the summary of `srn.evaluate` on the test pairs, and the mean `gain` over the blurry input, in dB.
    """

    validation: dict[int, float]
    test: dict[str, Any]


def plan(
    candidates: Sequence[Candidate],
    base: TrainingConfig,
    seeds: Sequence[int],
    out_dir: str | os.PathLike[str],
    test_dir: str,
    test_dataset: str = "auto",
) -> list[Run]:
    """The runs of an ablation: all candidates with the first seed, then with the second, and so on.

    Args:
      candidates: what to compare.
      base: settings of training, the same for all but for the network, the seed and what a candidate changes.
      seeds: of start values, order and crops.
      out_dir: the folder of the ablation.
      test_dir, test_dataset: see `Run`.

    Raises `InputError` where a candidate cannot be trained with these settings, or a folder holds a run that
    was begun with others.
    """
    runs = [
        Run(
            candidate,
            base.replace(model=candidate.config, seed=seed, **candidate.changes),
            Path(out_dir) / candidate.name / f"seed-{seed}",
            test_dir,
            test_dataset,
        )
        for seed in seeds
        for candidate in candidates
    ]
    for run in runs:
        _read(run)
    return runs


def outcome_of(run: Run) -> Outcome | None:
    """The outcome of a run; None if it is not finished."""
    record = _read(run)
    if record.get("test") is None:
        return None
    validation = {int(step): value for step, value in record["validation"].items()}
    return Outcome(dict(sorted(validation.items())), record["test"])


def require_pairs(data_dir: str, dataset: str = "auto") -> None:
    """Raises `InputError` for data that could not be scored: now, and not after the training."""
    find_pairs(data_dir, dataset, "test", min_size=WINDOW_SIZE)


def score_blurry(training: TrainingConfig) -> float:
    """The mean PSNR of the blurry images that a run with these settings is validated on, in dB."""
    from srn.images import read_rgb
    from srn.training.run import find_validation_pairs

    pairs = find_validation_pairs(training)
    return statistics.fmean(psnr(read_rgb(pair.blurry), read_rgb(pair.sharp)) for pair in pairs)


def read_finished(runs: Sequence[Run]) -> list[tuple[Run, Outcome]]:
    """The finished ones among `runs`, with their outcomes."""
    outcomes = [(run, outcome_of(run)) for run in runs]
    return [(run, outcome) for run, outcome in outcomes if outcome is not None]


def carry_out(run: Run) -> Outcome | None:
    """Trains and scores a run, as far as it is not done; None if Ctrl-C or SIGTERM interrupted it.

    Raises `InputError` and `WorkError` as `srn.train` and `srn.evaluate` do.
    """
    record = _read(run)
    if record.get("test") is None:
        from srn.training.run import FINISHED, train

        _write(run, record)  # so that no other settings are mixed in from here on
        result = train(run.training, run.folder)
        if result.ended_by != FINISHED:
            return None
        record["validation"] = _read_validation(run, result.step)
        record["test"] = _evaluate(
            run.test_dir,
            result.checkpoint,
            dataset=run.test_dataset,
            precision=run.training.precision,
            out_dir=run.folder / "test",
        )
        if record["test"] is None:
            return None
        _write(run, record)
    return outcome_of(run)


def _read_validation(run: Run, last_step: int) -> dict[str, float]:
    """Step -> PSNR, from the log of the run, without the additional validation at an interruption."""
    from srn.training.log import FILE, read_log

    interval = run.training.validation_interval
    if interval is None:
        return {}
    rows = {int(row["step"]): row.get("validation_psnr") for row in read_log(run.folder / FILE)}
    return {
        str(step): float(value)
        for step, value in sorted(rows.items())
        if value and (step % interval == 0 or step == last_step)
    }


def _evaluate(*what: Any, **how: Any) -> dict[str, Any] | None:
    """The summary of `srn.evaluate` of these arguments, with `gain`; None if Ctrl-C interrupted it."""
    from srn.evaluation.run import evaluate

    results = evaluate(*what, **how)
    (scores,) = results.by_method.values()
    if scores.interrupted:
        return None
    if scores.failures:
        raise WorkError("\n".join(scores.failures))
    wanted = ("psnr", "ssim_channel", "ssim_matlab", "images", "seconds_per_image")
    summary = {name: scores.summary[name] for name in wanted if name in scores.summary}
    gains = [score.gain for score in scores.scores if score.gain is not None and math.isfinite(score.gain)]
    return {**summary, "gain": statistics.fmean(gains)} if gains else summary


def _read(run: Run) -> dict[str, Any]:
    path = run.folder / RECORD
    if not path.exists():
        return {"settings": run.settings, "validation": {}, "test": None}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        begun = _flatten(record["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the record of a run ({error}); remove it to score it again") from error
    defaults = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}
    wanted = _flatten(json.loads(json.dumps(run.settings)))
    # A setting that is younger than the run had its default.
    other = [name for name, value in wanted.items() if begun.get(name, defaults.get(name)) != value]
    if other:
        raise InputError(
            f"{run.folder}: its run was begun with another {', '.join(other)}; choose another `out_dir`, or "
            "give the same settings"
        )
    return record


def _flatten(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings["training"], **{name: settings[name] for name in settings if name != "training"}}


def _write(run: Run, record: dict[str, Any]) -> None:
    write_atomically(run.folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())


# Several runs at a time: each is a process of its own, which also gives back its memory.


def carry_out_all(runs: Sequence[Run], jobs: int = 1, say: Callable[[str], Any] = print) -> bool:
    """Carries out all runs, `jobs` at a time, each in a process of its own.

    Where there are several visible GPUs (`CUDA_VISIBLE_DEVICES` with commas), each job gets one of them.

    Args:
      runs: of `plan`.
      jobs: how many at a time.
      say: called with a line for each run that begins.

    Returns:
      Whether all are finished; False if Ctrl-C or SIGTERM interrupted them. Finished runs are kept.

    Raises `WorkError` with a line for each run that failed, after all others.
    """
    waiting = [run for run in runs if outcome_of(run) is None]
    devices = [device for device in os.environ.get(_DEVICES, "").split(",") if device]
    processes, failures, lock = {}, [], threading.Lock()
    stopped = threading.Event()

    def work(job: int) -> None:
        environment = dict(os.environ)
        if len(devices) > 1:
            environment[_DEVICES] = devices[job % len(devices)]
        while not stopped.is_set():
            with lock:
                if not waiting or stopped.is_set():
                    return
                run = waiting.pop(0)
                say(f"{run.candidate.name}, seed {run.training.seed}: in {run.folder}")
                processes[job] = _start(run, environment)
            if processes[job].wait() != 0 and not stopped.is_set():
                failures.append(f"{run.candidate.name}, seed {run.training.seed}: failed, see above")

    def stop(number: int, _frame: Any) -> None:
        """Passes the signal on: each run saves and ends. No new one begins."""
        stopped.set()
        for process in list(processes.values()):
            if process.poll() is None:
                process.send_signal(number)

    before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(work, range(jobs)))
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    if failures:
        raise WorkError("\n".join(failures))
    return not stopped.is_set()


def _start(run: Run, environment: dict[str, str]) -> subprocess.Popen:
    """A process for one run; in a session of its own, so that Ctrl-C reaches it by `stop` alone."""
    words = [sys.executable, "-m", "srn.ablation.one_run", _to_json(run)]
    return subprocess.Popen(words, env=environment, start_new_session=True)


def _to_json(run: Run) -> str:
    others = {"folder": str(run.folder), "name": run.candidate.name}
    return json.dumps({**run.settings, **others, "training": dataclasses.asdict(run.training)})


def from_json(text: str) -> Run:
    """The run that `_to_json` described."""
    values = json.loads(text)
    training = TrainingConfig(**values.pop("training"))
    folder, name = Path(values.pop("folder")), values.pop("name")
    return Run(Candidate(name, training.model_config), training, folder, **values)
