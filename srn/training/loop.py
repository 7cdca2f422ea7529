"""The loop over the steps of a training run, and how it is interrupted."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
from collections.abc import Callable, Iterable

import tensorflow as tf
from tqdm import tqdm

from srn.errors import WorkError
from srn.training.board import Board
from srn.training.checkpoints import Checkpoints
from srn.training.config import FINISHED


def run_steps(
    step: Callable,
    batches: Iterable,
    checkpoints: Checkpoints,
    max_steps: int,
    board: Board,
    *,
    save_every: int = 1000,
    log_every: int = 20,
    pictures_every: int = 500,
) -> tuple[str, dict[str, float]]:
    """Trains from the step that the state is at to `max_steps`.

    Args:
      step: as `srn.training.step.make_training_step` makes it.
      batches: of (blurry, sharp); begins with the batch of the present step.
      checkpoints: where the state goes, every `save_every` steps and at the end.
      max_steps: updates of the whole run.
      board: shows the results, every `log_every` steps, and crops, every `pictures_every` steps.

    Returns:
      (why it ended, results of the last step): "max_steps", or the name of a signal (SIGINT, SIGTERM) that
      ended it early. The state is saved in both cases. There are no results where no step was left to do.

    Raises `WorkError` if the loss is no number, or if a checkpoint cannot be written; the latest one is then
    from before. Where a batch cannot be read the state is saved and TensorFlow's error goes on.
    """
    results: dict[str, float] = {}
    bar = tqdm(
        total=max_steps,
        initial=checkpoints.step,
        unit="step",
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 30,
    )
    with board, bar, catch_signals() as caught, checkpoints.save_on(tf.errors.OpError):
        # zip asks the range first, so that no batch is made that no step would see.
        for number, (blurry, sharp) in zip(range(checkpoints.step + 1, max_steps + 1), batches):
            outcome = step(blurry, sharp)
            _require_finite(float(outcome["loss"]), number)
            bar.update()
            is_last, is_saved = number == max_steps or bool(caught), number % save_every == 0
            if number % log_every == 0 or is_saved or is_last:
                results = {name: float(value) for name, value in outcome.items()}
                board.write_scalars(results, number, bar.format_dict["rate"])
                bar.set_postfix(loss=f"{results['loss']:.5f}", psnr=f"{results['psnr']:.2f}")
            if number % pictures_every == 0 or is_last:
                board.write_pictures(blurry, sharp, number)
            if is_last:
                break
            if is_saved:
                checkpoints.save()
        checkpoints.save()
    return (caught[0] if caught else FINISHED), results


@contextlib.contextmanager
def catch_signals():
    """Yields a list that gets the name of SIGINT or SIGTERM when one arrives; a second one acts as usual."""
    caught = []

    def note(number, _frame):
        caught.append(signal.Signals(number).name)
        for kind, handler in before.items():
            signal.signal(kind, handler)

    before = {kind: signal.signal(kind, note) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _require_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise WorkError(
            f"the loss is {loss} at step {step}, which is not saved; checkpoints from before stay. "
            "Try a lower `learning_rate` or `clip_norm`"
        )
