"""Learning rate schedules; see `srn.training.optimizers.SCHEDULES` for their names."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def polynomial_decay(
    learning_rate: float, decay_steps: int, end_learning_rate: float = 1e-6, power: float = 0.3
) -> tf.keras.optimizers.schedules.LearningRateSchedule:
    """(start - end) * (1 - step / decay_steps)**power + end, then constant.

    The paper's "exponentially decayed ... using power 0.3", read as polynomial as in the authors' code; the
    paper ends at 1e-6 after 2000 epochs, the code at 0 after 4000.
    """
    return tf.keras.optimizers.schedules.PolynomialDecay(
        learning_rate, decay_steps, end_learning_rate, power=power
    )


@tf.keras.saving.register_keras_serializable(package="srn")
class Warmup(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up of another schedule; not in the paper.

    Useful for high rates with `start_at_identity`, while Adam's moments are inaccurate.

    Args:
      schedule: another Keras schedule.
      steps: number of steps of the warm-up; step n (from 0) has the fraction (n + 1) / steps of its rate.
    """

    def __init__(self, schedule: tf.keras.optimizers.schedules.LearningRateSchedule, steps: int):
        self.schedule, self.steps = schedule, steps

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """The rate of step index `step`, counted from 0: float32."""
        risen = tf.cast(step + 1, tf.float32) / tf.maximum(tf.cast(self.steps, tf.float32), 1.0)
        return self.schedule(step) * tf.minimum(risen, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `__init__`."""
        return {"schedule": tf.keras.saving.serialize_keras_object(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Warmup:
        """The inverse of `get_config`."""
        return cls(tf.keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])


@tf.keras.saving.register_keras_serializable(package="srn")
class Trapezoid(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate with a linear decay over the last steps; not in the paper.

    A run at a constant rate can be continued for any time; a copy with a decay gives usable weights at any
    point (Hägele et al., "Scaling laws and compute-optimal training beyond fixed training durations", NeurIPS
    2024).

    Args:
      rate: before the decay.
      last_step: last step of the decay; None for no decay.
      fall_steps: number of steps of the decay.
      end_rate: rate at its end.
    """

    def __init__(self, rate: float, last_step: int | None = None, fall_steps: int = 0, end_rate: float = 0.0):
        self.rate, self.last_step, self.fall_steps, self.end_rate = rate, last_step, fall_steps, end_rate

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """The rate of step index `step`, counted from 0: float32."""
        if not self.fall_steps:
            return tf.constant(self.rate, tf.float32)
        left = (self.last_step - tf.cast(step, tf.float32)) / self.fall_steps
        return self.end_rate + (self.rate - self.end_rate) * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `__init__`."""
        return {name: getattr(self, name) for name in ("rate", "last_step", "fall_steps", "end_rate")}
