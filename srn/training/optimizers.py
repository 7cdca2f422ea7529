"""What moves the weights: Adam with its schedule (Sec. 4), and an average of the weights over the steps."""

from __future__ import annotations

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


class Warmup(tf.keras.optimizers.schedules.LearningRateSchedule):
    """`schedule`, raised in a straight line over the first `steps` steps: step n gets (n + 1) / steps of it.

    Not in the paper. For high rates from a start at the identity, before Adam has seen many gradients.
    """

    def __init__(self, schedule, steps):
        self.schedule, self.steps = schedule, steps

    def __call__(self, step):
        risen = tf.cast(step + 1, tf.float32) / tf.maximum(tf.cast(self.steps, tf.float32), 1.0)
        return self.schedule(step) * tf.minimum(risen, 1.0)


def make_optimizer(learning_rate) -> tf.keras.optimizers.Optimizer:
    """Adam as in Sec. 4: beta 0.9 and 0.999, epsilon 1e-8. `learning_rate`: a number or a schedule."""
    return tf.keras.optimizers.Adam(learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, jit_compile=False)


class WeightAverage:
    """Exponential moving average of weights over the steps; not in the paper.

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
        self.values = [tf.Variable(variable, trainable=False) for variable in variables]
        self.decay = tf.Variable(decay, trainable=False, dtype=tf.float32, name="ema_decay")

    def begin(self, variables: list) -> None:
        """Makes `variables` the average."""
        for value, variable in zip(self.values, variables):
            value.assign(variable)

    def update(self, variables: list, steps_done) -> None:
        """Moves the averages towards `variables`, in their order, after `steps_done` steps."""
        number = tf.cast(steps_done, tf.float32)
        share = 1.0 - tf.minimum(self.decay, number / (number + 9.0))
        for value, variable in zip(self.values, variables):
            value.assign_add(share * (variable - value))
