"""Checkpoints of a training run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from srn import run_files, weights
from srn.errors import InputError, WorkError, first_line
from srn.files import write_atomically
from srn.training import folder
from srn.training.adversarial import Adversary
from srn.training.average import WeightAverage

_ADVERSARY = "adversary"  # in checkpoints


class Checkpoints:
    """Saves and restores a run: weights, optimizer (with its number of steps), configuration of the model.

    Args:
      model, optimizer: of the run.
      model_dir: folder of the run, created if needed.
      keep: number of newest checkpoints to keep, in addition to the best one.
      average: average of the weights, or None. If the checkpoint has none, it starts from the weights.
      adversary: critic with its optimizer, or None. If the checkpoint has none, it starts as it is.
      keep_every: checkpoints of multiples of this step are kept as well; 0 for none.
      say: called with a line for each problem.
      is_chief: whether this process writes; others only read.

    Raises `InputError` if the folder holds the run of another model, or cannot be written.
    """

    def __init__(
        self,
        model: Any,
        optimizer: tf.keras.optimizers.Optimizer,
        model_dir: str | Path,
        keep: int = 5,
        average: WeightAverage | None = None,
        keep_every: int = 0,
        say: Callable[[str], Any] = print,
        adversary: Adversary | None = None,
        is_chief: bool = True,
    ):
        self.model, self.optimizer, self.average, self.adversary = model, optimizer, average, adversary
        self.is_chief, self._saved = is_chief, -1  # the step that this object has saved last
        self.model_dir, self._keep, self._keep_every, self._say = Path(model_dir), keep, keep_every, say
        others = {**_tracked(average), **_tracked_adversary(adversary)}
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, **others)
        known = weights.read_model_file(model_dir)
        if known is not None and not known.is_same_network(model.config):
            raise InputError(f"{model_dir}: holds the run of another model; choose another `model_dir`")
        try:
            if is_chief:
                weights.write_model_file(model_dir, model.config)
        except OSError as error:
            raise InputError(f"{model_dir}: cannot be written ({error.strerror})") from error

    def resume(self, step: int | None = None) -> int:
        """Restores the newest whole checkpoint, or the one of `step`; returns the number of steps done.

        See `find`.
        """
        return self.restore(self.find(step))

    def find(self, step: int | None = None) -> int | None:
        """The step of the newest intact checkpoint, or `step` itself; None without checkpoints.

        Newer damaged checkpoints are reported and moved to the folder `damaged`. If `step` is given, later
        checkpoints are moved to `after-step-N`; if that folder already exists, the run has gone back before,
        and resumes from its newest checkpoint, so that the same command can be repeated.

        Raises `InputError` if all checkpoints are damaged, or there is none of `step`.
        """
        aside = self.model_dir / f"after-step-{step}"
        if self.is_chief and step is not None and aside.exists():
            self._say(
                f"resume_from={step}: this run has gone back there before, and resumes from its newest "
                f"checkpoint; to go back once more rename {aside}"
            )
        elif self.is_chief and step is not None:
            self._go_back(step, aside)
        found, damaged = run_files.newest_whole(self.model_dir)
        if found is None and damaged:
            lines = [f"{self.prefix(number)}: damaged ({reason})" for number, reason in damaged.items()]
            raise InputError("\n".join([*lines, "no whole checkpoint is left; choose another `model_dir`"]))
        for number, reason in damaged.items() if self.is_chief else ():
            self._say(
                f"{self.prefix(number)}: damaged ({reason}), moved to {folder.DAMAGED}/; "
                f"resuming from step-{found}"
            )
            folder.move_files(run_files.files_of(self.model_dir, number), self.model_dir / folder.DAMAGED)
        return found

    def restore(self, step: int | None) -> int:
        """Restores the checkpoint of a step, or nothing for None; returns its step."""
        if step is not None:
            self._restore(self.prefix(step))
            if self.step != step:
                raise InputError(f"{self.prefix(step)}: is the checkpoint of step {self.step}; name it so")
        return self.step

    def _go_back(self, step: int, aside: Path) -> None:
        """Moves all later files to `aside`, which exists once all of them are moved."""
        steps = run_files.steps_in(self.model_dir)
        if step and step not in steps:
            there = ", ".join(map(str, steps)) or "none"
            raise InputError(
                f"resume_from={step}: {self.model_dir} has no such checkpoint (there are: {there})"
            )
        reason = run_files.damage_of(self.prefix(step)) if step else None
        if reason is not None:
            raise InputError(f"resume_from={step}: {self.prefix(step)} is damaged ({reason})")
        unfinished = aside.with_name(f"{aside.name}-unfinished")
        unfinished.mkdir(exist_ok=True)
        for later in (number for number in steps if number > step):
            folder.move_files(run_files.files_of(self.model_dir, later), unfinished)
        if run_files.read_best(self.model_dir).get("validated", 0) > step:
            folder.move_files([self.model_dir / run_files.BEST_FILE], unfinished)
        unfinished.rename(aside)

    def _restore(self, prefix):
        model = self.model
        self.optimizer.build(model.trainable_variables)
        if self.average is None and weights.has_average(prefix):
            raise InputError(
                f"{self.model_dir}: its run keeps an average of the weights; give its `ema_decay`"
            )
        begins = self.average is not None and not weights.has_average(prefix)
        others = {} if begins else _tracked(self.average)
        if _holds_adversary(prefix):
            others.update(_tracked_adversary(self.adversary))
        checkpoint = tf.train.Checkpoint(model=model, optimizer=self.optimizer, **others)
        weights.restore(checkpoint, prefix, "a run of this model").expect_partial()
        if begins and self.average is not None:
            self.average.begin(model.trainable_variables)

    def save(self) -> str:
        """Writes a checkpoint of the current step atomically; returns its prefix.

        Raises `WorkError` if it cannot be written, or if a value of the state is not finite; earlier
        checkpoints are kept.
        """
        prefix = self.prefix(self.step)
        if not self.is_chief or self._saved == self.step:
            return prefix
        self._require_finite()
        try:
            self._write(prefix)
            self._saved = self.step
            self._remove_old()
        except (tf.errors.OpError, OSError) as error:
            raise WorkError(
                f"{self.model_dir}: step {self.step} cannot be saved ({first_line(error)})"
            ) from error
        return prefix

    def _write(self, prefix):
        """Writes all files of a checkpoint, or none: a full disk may leave a truncated index."""
        # `tf.train.Checkpoint.restore` looks for it; of the step, so that the files depend on it alone.
        self._checkpoint.save_counter.assign(self.step)
        try:
            self._checkpoint.write(prefix)
            _write_through(run_files.files_of(self.model_dir, self.step))
        except (tf.errors.OpError, OSError):
            if run_files.damage_of(prefix):  # an earlier one of this step is still whole otherwise
                for file in run_files.files_of(self.model_dir, self.step):
                    file.unlink()
            raise

    def _require_finite(self):
        values = [*self.model.trainable_variables, *self.optimizer.variables]
        values += [] if self.average is None else self.average.values
        for value in values:
            if value.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(value))):
                raise WorkError(
                    f"{value.name} is not finite after step {self.step}, which is not saved; "
                    f"{self.way_back()}"
                )

    def way_back(self) -> str:
        """Advice on how to resume after a failed step."""
        steps = run_files.steps_in(self.model_dir)
        there = ", ".join(map(str, reversed(steps)))
        advice = "try a lower `learning_rate` or `clip_norm`"
        if not steps:
            return f"no checkpoint was written before; {advice}"
        return (
            f"checkpoints of steps {there} stay: go back by resume_from={steps[-1]} or earlier, and {advice}"
        )

    def _remove_old(self):
        """Removes all checkpoints but the newest, the milestones and the best; writes TensorFlow's list."""
        steps = run_files.steps_in(self.model_dir)
        kept = {*steps[-self._keep :], run_files.read_best(self.model_dir).get("step")}
        for step in steps:
            if step not in kept and not (self._keep_every and step % self._keep_every == 0):
                for file in run_files.files_of(self.model_dir, step):
                    file.unlink()
        names = [f"step-{step}" for step in run_files.steps_in(self.model_dir)]
        lines = [
            f'model_checkpoint_path: "{names[-1]}"',
            *(f'all_model_checkpoint_paths: "{name}"' for name in names),
        ]
        write_atomically(self.model_dir / "checkpoint", ("\n".join(lines) + "\n").encode())

    def prefix(self, step: int) -> str:
        """The prefix of the checkpoint of a step."""
        return run_files.prefix_of(self.model_dir, step)

    @contextlib.contextmanager
    def save_on(self, *errors: type[Exception]) -> Iterator[None]:
        """Saves before one of `errors` is raised, such as that of an image that cannot be read."""
        try:
            yield
        except errors:
            self.save()
            raise

    @property
    def step(self) -> int:
        """The number of training steps done."""
        return int(self.optimizer.iterations.numpy())


def _tracked(average) -> dict:
    return {} if average is None else {weights.AVERAGE: average.values}


def _tracked_adversary(adversary) -> dict:
    return {} if adversary is None else {_ADVERSARY: adversary}


def _holds_adversary(prefix) -> bool:
    names = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    return any(name.startswith(f"{_ADVERSARY}/") for name in names)


def _write_through(files: list[Path]) -> None:
    """Flushes files to the disk, so that they survive a power failure."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
