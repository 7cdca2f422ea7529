"""Learning rates over the steps of a run."""

from __future__ import annotations

import tensorflow as tf


@tf.keras.saving.register_keras_serializable(package="srn")
class Trapezoid(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate that falls in a straight line over the last steps; not in the paper.

    A run at a constant rate can be prolonged for as long as there is time, and a branch of it, with a fall of
    its own, gives weights to use at any moment (Hägele et al., "Scaling laws and compute-optimal training
    beyond fixed training durations", NeurIPS 2024).

    Args:
      rate: before the fall.
      last_step: where the fall ends; None for no fall.
      fall_steps: how long it takes.
      end_rate: at its end.
    """

    def __init__(self, rate: float, last_step: int | None = None, fall_steps: int = 0, end_rate: float = 0.0):
        self.rate, self.last_step, self.fall_steps, self.end_rate = rate, last_step, fall_steps, end_rate

    def __call__(self, step):
        """The rate of step number `step`, counted from 0: float32."""
        if not self.fall_steps:
            return tf.constant(self.rate, tf.float32)
        left = (self.last_step - tf.cast(step, tf.float32)) / self.fall_steps
        return self.end_rate + (self.rate - self.end_rate) * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self):
        """All arguments of `__init__`."""
        return {name: getattr(self, name) for name in ("rate", "last_step", "fall_steps", "end_rate")}
