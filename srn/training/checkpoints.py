"""The state of a training run on disk."""

from __future__ import annotations

import contextlib
from pathlib import Path

import tensorflow as tf

from srn import weights
from srn.errors import InputError, WorkError, first_line
from srn.training.adversarial import Adversary
from srn.training.average import WeightAverage

_ADVERSARY = "adversary"  # in checkpoints


class Checkpoints:
    """The state of a run on disk: weights, optimizer (with its count of steps), the model's description.

    Args:
      model, optimizer: what is saved and restored.
      model_dir: the folder of the run; made if it is not there.
      keep: how many of the newest checkpoints stay.
      average: a `srn.training.average.WeightAverage` of the model, saved and restored with it; None for
        none. A run that had none so far begins it at the weights it has.
      adversary: a critic that learns with the model, saved and restored with it; None for none. A run that
        had none so far begins with it as it is.

    Raises `InputError` if the folder holds the run of another model, or cannot be written.
    """

    def __init__(
        self,
        model,
        optimizer,
        model_dir: str | Path,
        keep: int = 5,
        average: WeightAverage | None = None,
        adversary: Adversary | None = None,
    ):
        self.model, self.optimizer, self.average, self.adversary = model, optimizer, average, adversary
        self.model_dir = Path(model_dir)
        others = {**_tracked(average), **_tracked_adversary(adversary)}
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, **others)
        known = weights.read_model_file(model_dir)
        if known is not None and not known.is_same_network(model.config):
            raise InputError(f"{model_dir}: holds the run of another model; choose another `model_dir`")
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

    def prefix(self, step: int) -> str:
        """The prefix of the checkpoint of a step."""
        return str(self.model_dir / f"step-{step}")

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


def _tracked_adversary(adversary) -> dict:
    return {} if adversary is None else {_ADVERSARY: adversary}


def _holds_adversary(prefix) -> bool:
    names = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    return any(name.startswith(f"{_ADVERSARY}/") for name in names)
