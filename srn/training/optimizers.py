"""Optimizers and learning rate schedules by name.

`adam` and `polynomial` are those of the paper (Sec. 4). To add one, add a function and a line to `OPTIMIZERS`
or `SCHEDULES`. TensorFlow is imported inside the functions, so that commands can list the names quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

    from srn.training.config import TrainingConfig


def adam(learning_rate: Any) -> tf.keras.optimizers.Optimizer:
    """Adam as in Sec. 4: beta 0.9 and 0.999, epsilon 1e-8. `learning_rate`: a number or a schedule."""
    import tensorflow as tf

    return tf.keras.optimizers.Adam(learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, jit_compile=False)


def _polynomial(config: TrainingConfig, decay_steps: int, max_steps: int):
    from srn.training.schedules import polynomial_decay

    return polynomial_decay(config.learning_rate, decay_steps, config.end_learning_rate, config.decay_power)


def _trapezoid(config: TrainingConfig, decay_steps: int, max_steps: int):
    from srn.training.schedules import Trapezoid

    return Trapezoid(config.learning_rate, max_steps, config.fall_steps, config.end_learning_rate)


def _cosine(config: TrainingConfig, decay_steps: int, max_steps: int):
    import tensorflow as tf

    rate = config.learning_rate
    fraction = config.end_learning_rate / rate if rate else 0.0
    return tf.keras.optimizers.schedules.CosineDecay(rate, decay_steps, alpha=fraction)


def _muon(model, learning_rate):
    from srn.training.muon import make_muon

    return make_muon(model, learning_rate)


def make_critic_optimizer(name: str, learning_rate: Any, variables: list) -> tf.keras.optimizers.Optimizer:
    """Adam for the critic of the adversarial loss, at the rate at which the network uses Adam.

    Args:
      name: the optimizer of the network; "muon" uses Adam at a small part of its own rate.
      learning_rate: that of the network, a number or a schedule.
      variables: of the critic.
    """
    if name != "muon":
        return adam(learning_rate)
    from srn.training.muon import Muon

    optimizer = Muon(learning_rate, jit_compile=False)
    optimizer.use_adam_for(variables)
    return optimizer


# Name -> function (model, learning rate or schedule) -> Keras optimizer.
OPTIMIZERS = {"adam": lambda model, learning_rate: adam(learning_rate), "muon": _muon}

# Name -> function (config, decay_steps, max_steps) -> Keras schedule.
SCHEDULES = {"polynomial": _polynomial, "cosine": _cosine, "trapezoid": _trapezoid}


def make_schedule(config: TrainingConfig, decay_steps: int, max_steps: int) -> Any:
    """Returns the learning rate schedule of a run, a Keras schedule.

    Args:
      config: of the run.
      decay_steps: last step of the decay.
      max_steps: last step of the run.
    """
    schedule = SCHEDULES[config.schedule](config, decay_steps, max_steps)
    if not config.warmup_steps:
        return schedule
    from srn.training.schedules import Warmup

    return Warmup(schedule, config.warmup_steps)
