"""The training loop and its interruption by signals."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

import tensorflow as tf
from tqdm import tqdm

from srn.errors import WorkError
from srn.training.checkpoints import Checkpoints
from srn.training.config import FINISHED, TIME_BUDGET
from srn.training.watch import Watch, as_floats

# Ctrl-C; the end of a job, machine or terminal; a warning of the batch system before the end of a job.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@dataclasses.dataclass(frozen=True)
class Intervals:
    """Steps between checkpoints, reports, pictures and validations (None: no validation)."""

    save_every: int = 1000
    log_every: int = 20
    pictures_every: int = 500
    validate_every: int | None = None


def run_steps(
    step: Callable,
    batches: Iterable,
    checkpoints: Checkpoints,
    max_steps: int,
    watch: Watch,
    intervals: Intervals,
    *,
    deadline: float = math.inf,
    describe: Callable[[int], list[str]] = lambda number: [],
    first_part: Callable[[Any], tf.Tensor] = lambda images: images,
    is_anywhere: Callable[[bool], bool] = bool,
) -> tuple[str, dict[str, float]]:
    """Trains from the current step to `max_steps`.

    Args:
      step: the result of `srn.training.step.make_training_step`.
      batches: of (blurry, sharp), from the current step on.
      checkpoints: state of the run.
      max_steps: last step of the run.
      watch: reports the results and validates.
      intervals: of saving, reports and validation.
      deadline: value of `time.monotonic()` at which the run ends.
      describe: returns a line for each crop of the batch of a step, shown when the loss is not finite.
      first_part: returns the part of a batch on the first replica, for distributed training.
      is_anywhere: returns whether a condition holds in any process, for distributed training.

    Returns:
      (reason of the end, results of the last step): "max_steps", "time_budget", or the name of a signal of
      `SIGNALS`. The state is saved in all cases. The results are empty if no step was left to do.

    Raises `WorkError` if the loss or the weights are not finite, or if a checkpoint cannot be written; older
    checkpoints are kept. If a batch cannot be read, the state is saved and TensorFlow's error is raised.
    """
    results: dict[str, float] = {}
    stream = sys.stderr  # None where it was closed (`2>&-`)
    bar = tqdm(
        total=max_steps,
        initial=checkpoints.step,
        unit="step",
        file=None if stream is None else _OptionalStream(stream),
        dynamic_ncols=True,
        mininterval=0.5 if stream is not None and stream.isatty() else 30,
        disable=stream is None or not checkpoints.is_chief,
    )
    with watch.board, bar, catch_signals() as caught, checkpoints.save_on(tf.errors.OpError, OSError):
        watch.catch_up(intervals.validate_every)
        # The range comes first in zip, so that no batch is made after the last step.
        for number, (blurry, sharp) in zip(range(checkpoints.step + 1, max_steps + 1), batches):
            outcome = step(blurry, sharp)
            _require_finite(float(outcome["loss"]), number, checkpoints, describe)
            bar.update()
            if time.monotonic() >= deadline and not caught:
                caught.append(TIME_BUDGET)
            if is_anywhere(bool(caught)) and not caught:
                caught.append("SIGTERM")  # of another process
            is_last = number == max_steps or bool(caught)
            is_validated = _is_due(number, intervals.validate_every)
            is_saved = _is_due(number, intervals.save_every) or is_validated or is_last
            if is_saved:
                _require_sound(checkpoints, first_part(blurry), number)
                checkpoints.save()
            if _is_due(number, intervals.log_every) or is_saved:
                rate = bar.format_dict.get("rate")
                results = watch.report(number, as_floats(outcome), rate, is_validated)
                bar.set_postfix(_shown(results))
            if _is_due(number, intervals.pictures_every) or is_last:
                watch.board.write_pictures(first_part(blurry), first_part(sharp), number)
            if is_last:
                break
    return (caught[0] if caught and checkpoints.step < max_steps else FINISHED), results


class _OptionalStream:
    """Where the bar is written: a terminal or a reader that has gone, or a full disk, does not end a run."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: of a stream that was closed
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def _is_due(step: int, interval: int | None) -> bool:
    return interval is not None and step % interval == 0


def _shown(results: dict[str, float]) -> dict[str, str]:
    """Values of the progress bar: loss and PSNR of the crops, scores of a validation."""
    shown = {"loss": f"{results['loss']:.5f}", "psnr": f"{results['psnr']:.2f}"}
    for name, digits in (("psnr", 2), ("ssim_channel", 4), ("ssim_matlab", 4)):
        if f"validation_{name}" in results:
            shown[f"val_{name}"] = f"{results[f'validation_{name}']:.{digits}f}"
    return shown


@contextlib.contextmanager
def catch_signals() -> Iterator[list[str]]:
    """Yields a list to which the name of a caught signal of `SIGNALS` is added; a second one acts as usual.

    Ignored signals, as by `nohup`, stay ignored. Outside the main thread, as in some notebooks, Python cannot
    catch signals, and the list stays empty.
    """
    caught: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number, _frame):
        caught.append(signal.Signals(number).name)
        for kind, handler in before.items():
            signal.signal(kind, handler)

    before = {kind: signal.getsignal(kind) for kind in SIGNALS}
    before = {kind: handler for kind, handler in before.items() if handler is not signal.SIG_IGN}
    for kind in before:
        signal.signal(kind, note)
    try:
        yield caught
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _require_finite(
    loss: float, step: int, checkpoints: Checkpoints, describe: Callable[[int], list[str]]
) -> None:
    if not math.isfinite(loss):
        crops = describe(step)
        heading = f"the loss is {loss} at step {step}, which is not saved; {checkpoints.way_back()}"
        raise WorkError("\n".join([heading, *(f"step {step}: {crop}" for crop in crops)]))


def _require_sound(checkpoints: Checkpoints, blurry: Any, step: int) -> None:
    """Checks the output of the network before saving: it may not be finite although the weights are."""
    if not bool(tf.reduce_all(tf.math.is_finite(checkpoints.model(blurry[:1])[0]))):
        raise WorkError(
            f"the output is not finite after step {step}, which is not saved; {checkpoints.way_back()}"
        )
