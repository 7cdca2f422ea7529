"""Learning rates over the steps of a run; `srn.training.optimizers.SCHEDULES` has their names."""

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

    def __init__(self, schedule, steps: int):
        self.schedule, self.steps = schedule, steps

    def __call__(self, step):
        risen = tf.cast(step + 1, tf.float32) / tf.maximum(tf.cast(self.steps, tf.float32), 1.0)
        return self.schedule(step) * tf.minimum(risen, 1.0)
