"""The project's training step with all that a run elsewhere may set as variables. TensorFlow's side."""

from __future__ import annotations

import tensorflow as tf

from srn.errors import InputError
from srn.training.average import WeightAverage
from srn.training.optimizers import adam
from srn.training.schedules import Warmup, polynomial_decay
from srn.training.step import make_training_step
from srn.weights import named_variables

from . import state as travelling

# The paper's, and a warmup that is off.
SETTINGS = {
    "learning_rate": 1e-4,
    "end_learning_rate": 1e-6,
    "decay_power": 0.3,
    "decay_steps": 262_000.0,
    "warmup_steps": 0.0,
}
EMA_DECAY = 0.999
CURRENT_LEARNING_RATE = "current_learning_rate"


class BridgedTraining:
    """A model with its optimizer, average and compiled step, and names for all of their variables.

    Args:
      model: a built `ScaleRecurrentNetwork`.
      clip_norm: of the recurrent cell's gradients; None clips nothing.
      jit_compile: whether XLA compiles the step; only then can it be exported.

    Attributes:
      step: as `srn.training.step.make_training_step` makes it.
      variables: {key of tools/stablehlo/state.py: `tf.Variable`}.
    """

    def __init__(self, model, clip_norm: float | None, jit_compile: bool = True):
        settings = {name: tf.Variable(value, trainable=False) for name, value in SETTINGS.items()}
        rate = ("learning_rate", "decay_steps", "end_learning_rate", "decay_power")
        schedule = Warmup(polynomial_decay(*(settings[name] for name in rate)), settings["warmup_steps"])
        self.model, self.optimizer = model, adam(schedule)
        self.average = WeightAverage(model.trainable_variables, EMA_DECAY)
        self.step = make_training_step(model, self.optimizer, clip_norm, jit_compile, self.average)
        settings["ema_decay"] = self.average.decay
        self.variables = {
            **self._named(travelling.AVERAGE, self.average.values),
            # Keras 2.15 gives its slots out in one list, among other things; these two are Adam's own.
            **self._named(travelling.FIRST_MOMENT, self.optimizer._momentums),
            **self._named(travelling.SECOND_MOMENT, self.optimizer._velocities),
            **self._named("", model.trainable_variables),
            travelling.STEPS: self.optimizer.iterations,
            CURRENT_LEARNING_RATE: self.optimizer._current_learning_rate,
            **{travelling.SETTING + name: variable for name, variable in settings.items()},
        }

    def _named(self, prefix, values):
        """`values`, in the order of the model's trainable variables, under the weights' names."""
        names = {variable.ref(): name for name, variable in named_variables(self.model).items()}
        return {
            prefix + names[variable.ref()]: value
            for variable, value in zip(self.model.trainable_variables, values)
        }

    def read(self) -> dict:
        """The state as arrays."""
        return {key: variable.numpy() for key, variable in self.variables.items()}

    def assign(self, state: dict) -> None:
        """Takes over the arrays of a state; settings that it lacks stay."""
        for key, variable in self.variables.items():
            if key in state:
                variable.assign(state[key])
            elif not key.startswith(travelling.SETTING) and key != CURRENT_LEARNING_RATE:
                raise InputError(f"the state has no {key}")


def make_validation(model):
    """Returns `validate(blurry, sharp)`, compiled: mean squared errors of blurry and restored, on 0..255.

    The images are float32 [1, H, W, C] in [0, 1]; the restored one is rounded to 8 bits first, as in a file.
    """

    @tf.function(jit_compile=True)
    def validate(blurry, sharp):
        restored = tf.clip_by_value(model(blurry, training=False)[0], 0.0, 1.0)
        pairs = {"blurry": blurry, "restored": restored}
        return {
            name: tf.reduce_mean((tf.round(image * 255) - tf.round(sharp * 255)) ** 2)
            for name, image in pairs.items()
        }

    return validate
