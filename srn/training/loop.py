"""A training run: the loop over the steps, its checkpoints, what it shows, and how it is interrupted."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
from pathlib import Path

import tensorflow as tf
from tqdm import tqdm

from srn import weights
from srn.errors import InputError, WorkError, first_line
from srn.training.step import make_training_step

PICTURES = 4  # of a batch, in TensorBoard


class Checkpoints:
    """The state of a run on disk: weights, optimizer (with its count of steps), the model's description.

    Args:
      model, optimizer: what is saved and restored.
      model_dir: the folder of the run; made if it is not there.
      keep: how many of the newest checkpoints stay.
      average: a `srn.training.optimizers.WeightAverage` of the model, saved and restored with it; None for
        none. A run that had none so far begins it at the weights it has.

    Raises `InputError` if the folder holds the run of another model, or cannot be written.
    """

    def __init__(self, model, optimizer, model_dir, keep: int = 5, average=None):
        self.optimizer, self.average, self.model_dir = optimizer, average, Path(model_dir)
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, **_tracked(average))
        known = weights.read_model_file(model_dir)
        if known is not None and not known.is_same_network(model.config):
            raise InputError(f"{model_dir}: holds the run of another model; choose another --model_dir")
        try:
            weights.write_model_file(model_dir, model.config)
        except OSError as error:
            raise InputError(f"{model_dir}: cannot be written ({error.strerror})") from error
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(model_dir), max_to_keep=keep, checkpoint_name="step"
        )

    def resume(self) -> int:
        """Restores the latest checkpoint if there is one; returns the number of steps done."""
        if self._manager.latest_checkpoint is not None:
            self._restore(self._manager.latest_checkpoint)
        return self.step

    def _restore(self, prefix):
        model = self._checkpoint.model
        self.optimizer.build(model.trainable_variables)
        if self.average is None and weights.has_average(prefix):
            raise InputError(
                f"{self.model_dir}: its run keeps an average of the weights; give its --ema_decay"
            )
        begins = self.average is not None and not weights.has_average(prefix)
        average = {} if begins else _tracked(self.average)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=self.optimizer, **average)
        weights.restore(checkpoint, prefix, "a run of this model").expect_partial()
        if begins:
            self.average.begin(model.trainable_variables)

    def save(self) -> str:
        """Writes a checkpoint of the present step, whole or not at all; returns its prefix.

        Raises `WorkError` if it cannot be written.
        """
        try:
            return self._manager.save(checkpoint_number=self.step)
        except tf.errors.OpError as error:
            raise WorkError(f"{self.model_dir}: cannot be saved ({first_line(error)})") from error

    @contextlib.contextmanager
    def save_on(self, error):
        """Saves before an `error`, such as that of an image that cannot be read, goes on to the caller."""
        try:
            yield
        except error:
            self.save()
            raise

    @property
    def step(self) -> int:
        """How many updates the weights have seen."""
        return int(self.optimizer.iterations)


def _tracked(average) -> dict:
    return {} if average is None else {weights.AVERAGE: average.values}


def train(
    model,
    optimizer,
    batches,
    checkpoints: Checkpoints,
    max_steps: int,
    *,
    clip_norm: float | None,
    jit_compile: bool = False,
    save_every: int = 1000,
    log_every: int = 20,
    pictures_every: int = 500,
    log_dir=None,
) -> str | None:
    """Trains from the step that `optimizer` is at to `max_steps`.

    Args:
      model, optimizer: see `srn.training.step.make_training_step`, also for `clip_norm` and `jit_compile`.
      batches: iterable of (blurry, sharp) that begins with the batch of the present step.
      checkpoints: where the state goes, every `save_every` steps and at the end.
      max_steps: updates of the whole run.
      log_every, pictures_every: steps between scalars, and between pictures, for TensorBoard.
      log_dir: TensorBoard's folder; None writes nothing.

    Returns:
      None, or the name of the signal (SIGINT, SIGTERM) that ended the run early; its state is saved.

    Raises `WorkError` if the loss is no number, or if a checkpoint cannot be written; the latest one is then
    from before. Where a batch cannot be read the state is saved and TensorFlow's error goes on.
    """
    step = make_training_step(model, optimizer, clip_norm, jit_compile, checkpoints.average)
    board = _Board(log_dir, model, optimizer)
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
            results = step(blurry, sharp)
            _require_finite(float(results["loss"]), number)
            bar.update()
            is_last, is_saved = number == max_steps or bool(caught), number % save_every == 0
            if number % log_every == 0 or is_saved or is_last:
                results = {name: float(value) for name, value in results.items()}
                board.write_scalars(results, number, bar.format_dict["rate"])
                bar.set_postfix(loss=f"{results['loss']:.5f}", psnr=f"{results['psnr']:.2f}")
            if number % pictures_every == 0 or is_last:
                board.write_pictures(blurry, sharp, number)
            if is_last:
                break
            if is_saved:
                checkpoints.save()
        checkpoints.save()
    return caught[0] if caught else None


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


def _require_finite(loss, step):
    if not math.isfinite(loss):
        raise WorkError(
            f"the loss is {loss} at step {step}, which is not saved; checkpoints from before stay. "
            "Try a lower --learning_rate or --clip_norm"
        )


class _Board:
    """TensorBoard's scalars and pictures; writes nothing where `log_dir` is None."""

    def __init__(self, log_dir, model, optimizer):
        self._model, self._optimizer = model, optimizer
        self._writer = tf.summary.create_noop_writer()
        if log_dir is not None:
            Path(log_dir).mkdir(parents=True, exist_ok=True)
            self._writer = tf.summary.create_file_writer(str(log_dir))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.close()

    def write_scalars(self, results, step, rate):
        """Results of a step, the learning rate and steps a second."""
        with self._writer.as_default(step):
            for name, value in results.items():
                tf.summary.scalar(f"train/{name}", value)
            tf.summary.scalar("train/learning_rate", _learning_rate(self._optimizer))
            if rate:
                tf.summary.scalar("train/steps_per_second", rate)

    def write_pictures(self, blurry, sharp, step):
        """Blurry, restored and sharp crops side by side."""
        restored = self._model(blurry[:PICTURES])[0]
        rows = tf.concat([blurry[:PICTURES], tf.clip_by_value(restored, 0.0, 1.0), sharp[:PICTURES]], axis=2)
        with self._writer.as_default(step):
            tf.summary.image("blurry_restored_sharp", rows, max_outputs=PICTURES)


def _learning_rate(optimizer):
    rate = optimizer.learning_rate
    is_schedule = isinstance(rate, tf.keras.optimizers.schedules.LearningRateSchedule)
    return rate(optimizer.iterations) if is_schedule else rate
