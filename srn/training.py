"""One update of the weights: loss, gradients, the clip of the ConvLSTM, Adam with its schedule (Sec. 4)."""

from __future__ import annotations

import tensorflow as tf

from srn.losses import multi_scale_loss

CLIP_NORM = 3.0


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


def clip_chosen(gradients: list, variables: list, chosen: list, clip_norm: float) -> tuple:
    """Scales the gradients of `chosen` variables together to a global norm of at most `clip_norm`.

    Args:
      gradients, variables: lists in the same order.
      chosen: the variables to clip; the gradients of all others are given back untouched.
      clip_norm: the paper's is 3.

    Returns:
      (gradients, global norm of the chosen before the clip; 0 where none is chosen).
    """
    wanted = {variable.ref() for variable in chosen}
    places = [place for place, variable in enumerate(variables) if variable.ref() in wanted]
    if not places:
        return gradients, tf.zeros([])
    clipped, norm = tf.clip_by_global_norm([gradients[place] for place in places], clip_norm)
    gradients = list(gradients)
    for place, gradient in zip(places, clipped):
        gradients[place] = gradient
    return gradients, norm


def make_training_step(
    model,
    optimizer,
    clip_norm: float | None = CLIP_NORM,
    jit_compile: bool = False,
    average: WeightAverage | None = None,
):
    """Returns `step(blurry, sharp) -> dict of float32 scalars`, a `tf.function` that updates `model` once.

    The gradients of the recurrent cells alone are clipped, "to stabilise the training" (Sec. 4).

    Args:
      model: a built `ScaleRecurrentNetwork`.
      optimizer: a Keras optimizer; its slots are made here if they are not yet.
      clip_norm: global norm for the cells' gradients; None clips nothing, as the authors' code in fact does.
      jit_compile: whether XLA compiles the step; images must then have static shapes.
      average: of the model's trainable variables, to be kept by the step; None for none.

    The step's images are [B, H, W, C] in [0, 1]. It returns `loss`, `psnr` of the finest scale in dB (of the
    clipped float images, over the batch), `recurrent_gradient_norm` before the clip.
    """
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def step(blurry, sharp):
        with tf.GradientTape() as tape:
            outputs = model(blurry, training=True)
            loss = multi_scale_loss(outputs, sharp, model.config)
        gradients = tape.gradient(loss, variables)
        norm = tf.zeros([])
        if clip_norm is not None:
            gradients, norm = clip_chosen(gradients, variables, model.recurrent_variables, clip_norm)
        optimizer.apply_gradients(zip(gradients, variables))
        if average is not None:
            average.update(variables, optimizer.iterations)
        return {
            "loss": loss,
            "psnr": psnr_of_batch(outputs[0], sharp),
            "recurrent_gradient_norm": norm,
        }

    return step


def psnr_of_batch(restored, sharp) -> tf.Tensor:
    """PSNR in dB over all elements of a batch in [0, 1]: a sign of progress, no score (see `srn.metrics`)."""
    error = tf.reduce_mean(tf.math.squared_difference(tf.clip_by_value(restored, 0.0, 1.0), sharp))
    return -10.0 / tf.math.log(10.0) * tf.math.log(tf.maximum(error, 1e-10))
