"""Exponential moving average of the weights; not in the paper."""

from __future__ import annotations

import tensorflow as tf


class WeightAverage:
    """Exponential moving average of weights over the steps.

    The decay at step n, from 1, is min(decay, n / (n + 9)), so that the initial weights are soon forgotten.

    Args:
      variables: the weights, which are also the initial values.
      decay: in [0, 1).

    Attributes:
      values: the averages, in the order of the weights.
      decay: a variable, so that it can be changed in a compiled step.
    """

    def __init__(self, variables: list, decay: float):
        self.values = [
            tf.Variable(variable, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
            for variable in variables
        ]
        self.decay = tf.Variable(decay, trainable=False, dtype=tf.float32, name="ema_decay")

    def begin(self, variables: list) -> None:
        """Resets the averages to `variables`."""
        for value, variable in zip(self.values, variables):
            value.assign(variable)

    def update(self, variables: list, steps_done: tf.Tensor | int) -> None:
        """Updates the averages with `variables`, in the same order, after `steps_done` steps."""
        number = tf.cast(steps_done, tf.float32)
        fraction = 1.0 - tf.minimum(self.decay, number / (number + 9.0))
        for value, variable in zip(self.values, variables):
            value.assign_add(fraction * (variable - value))
