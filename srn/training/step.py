"""One update of the weights: loss, gradients, the clip of the ConvLSTM (Sec. 4)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from srn.training.adversarial import Adversary
from srn.training.average import WeightAverage
from srn.training.losses import multi_scale_loss

CLIP_NORM = 3.0


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
    indices = [index for index, variable in enumerate(variables) if variable.ref() in wanted]
    if not indices:
        return gradients, tf.zeros([])
    clipped, norm = tf.clip_by_global_norm([gradients[index] for index in indices], clip_norm)
    gradients = list(gradients)
    for index, gradient in zip(indices, clipped):
        gradients[index] = gradient
    return gradients, norm


def make_training_step(
    model,
    optimizer,
    clip_norm: float | None = CLIP_NORM,
    jit_compile: bool = False,
    average: WeightAverage | None = None,
    loss: Callable = multi_scale_loss,
    adversary: Adversary | None = None,
) -> Callable:
    """Returns `step(blurry, sharp) -> dict of float32 scalars`, a `tf.function` that updates `model` once.

    The gradients of the recurrent cells alone are clipped, "to stabilise the training" (Sec. 4).

    Args:
      model: a built `DeblurringNetwork`.
      optimizer: a Keras optimizer; its slots are made here if they are not yet.
      clip_norm: global norm for the cells' gradients; None clips nothing, as the authors' code in fact does.
      jit_compile: whether XLA compiles the step; images must then have static shapes.
      average: of the model's trainable variables, to be kept by the step; None for none.
      loss: of (outputs, sharp, config), as `srn.training.losses.multi_scale_loss`, Eq. 3.
      adversary: a critic that adds a term to the loss, and learns with each step; None for none.

    The step's images are [B, H, W, C] in [0, 1]. It returns `loss`, `psnr` of the finest scale in dB (of the
    clipped float images, over the batch), `recurrent_gradient_norm` before the clip, and with an adversary
    the `critic_loss`.
    """
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def step(blurry, sharp):
        with tf.GradientTape() as tape:
            outputs = model(blurry, training=True)
            value = loss(outputs, sharp, model.config)
            if adversary is not None:
                value += adversary.term(outputs[0])
        gradients = tape.gradient(value, variables)
        norm = tf.zeros([])
        if clip_norm is not None:
            gradients, norm = clip_chosen(gradients, variables, model.recurrent_variables, clip_norm)
        optimizer.apply_gradients(zip(gradients, variables))
        if average is not None:
            average.update(variables, optimizer.iterations)
        results = {
            "loss": value,
            "psnr": psnr_of_batch(outputs[0], sharp),
            "recurrent_gradient_norm": norm,
        }
        if adversary is not None:
            results["critic_loss"] = adversary.learn(outputs[0], sharp)
        return results

    return step


def psnr_of_batch(restored, sharp) -> tf.Tensor:
    """PSNR in dB over all elements of a batch in [0, 1]: a sign of progress, no score (see `srn.metrics`)."""
    error = tf.reduce_mean(tf.math.squared_difference(tf.clip_by_value(restored, 0.0, 1.0), sharp))
    return -10.0 / tf.math.log(10.0) * tf.math.log(tf.maximum(error, 1e-10))
