"""An average of the weights over the steps of a run; not in the paper."""

from __future__ import annotations

import tensorflow as tf


class WeightAverage:
    """Exponential moving average of weights over the steps.

    After step n (from 1) each average moves by 1 - min(decay, n / (n + 9)) of the way to its weight, so that
    the first steps do not weigh more than later ones.

    Args:
      variables: the weights, where the average begins.
      decay: in [0, 1).

    Attributes:
      values: the averages, in the order of the weights.
      decay: a variable, so that a compiled step can be given another.
    """

    def __init__(self, variables: list, decay: float):
        self.values = [
            tf.Variable(variable, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
            for variable in variables
        ]
        self.decay = tf.Variable(decay, trainable=False, dtype=tf.float32, name="ema_decay")

    def begin(self, variables: list) -> None:
        """Makes `variables` the average."""
        for value, variable in zip(self.values, variables):
            value.assign(variable)

    def update(self, variables: list, steps_done: tf.Tensor | int) -> None:
        """Moves the averages towards `variables`, in their order, after `steps_done` steps."""
        number = tf.cast(steps_done, tf.float32)
        fraction = 1.0 - tf.minimum(self.decay, number / (number + 9.0))
        for value, variable in zip(self.values, variables):
            value.assign_add(fraction * (variable - value))
