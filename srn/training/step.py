"""The training step: loss, gradients, gradient clipping of the ConvLSTM (Sec. 4)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from srn.training.adversarial import Adversary
from srn.training.average import WeightAverage
from srn.training.losses import multi_scale_loss

CLIP_NORM = 3.0


def clip_chosen(gradients: list, variables: list, chosen: list, clip_norm: float) -> tuple:
    """Scales the gradients of `chosen` variables together to a global norm of at most `clip_norm`.

    Args:
      gradients, variables: lists in the same order.
      chosen: the variables to clip; the gradients of all others are returned unchanged.
      clip_norm: the paper's is 3.

    Returns:
      (gradients, global norm of the chosen ones before clipping; 0 if there are none).
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
    model: Any,
    optimizer: tf.keras.optimizers.Optimizer,
    clip_norm: float | None = CLIP_NORM,
    jit_compile: bool = False,
    average: WeightAverage | None = None,
    loss: Callable = multi_scale_loss,
    adversary: Adversary | None = None,
    *,
    clip_all: bool = False,
    accumulate: int = 1,
    report_norms: bool = False,
    strategy: tf.distribute.Strategy | None = None,
) -> Callable:
    """Returns `step(blurry, sharp) -> dict of float32 scalars`, a `tf.function` that updates `model` once.

    By default, only the gradients of the recurrent cells are clipped, "to stabilise the training" (Sec. 4).

    Args:
      model: a built `DeblurringNetwork`.
      optimizer: a Keras optimizer; its slots are created here if needed.
      clip_norm: maximum global norm of these gradients; None for no clipping, as in the authors' code.
      jit_compile: whether XLA compiles the step; images must then have static shapes.
      average: of the trainable variables, updated by the step; None for no average.
      loss: of (outputs, sharp, config), as `srn.training.losses.multi_scale_loss`, Eq. 3.
      adversary: a critic that adds a term to the loss and is updated by the step; None for none.
      clip_all: whether to clip the global norm of all gradients instead.
      accumulate: number of equal parts of the batch that are computed one after the other to save memory; the
        mean of their gradients is that of the batch.
      report_norms: whether to return the norms of all gradients before and after clipping.
      strategy: for replicas that compute equal parts of each batch; model, optimizer and average must be
        created in its scope. Gradients are averaged before clipping.

    The step's images are [B, H, W, C] in [0, 1]. It returns `loss`, `psnr` of the finest scale in dB (of the
    clipped float images, over the batch), the norm before the clip (`recurrent_gradient_norm`, or
    `gradient_norm` with `clip_all`; 0 where nothing is clipped), and with an adversary the `critic_loss`.
    """
    variables = model.trainable_variables
    optimizer.build(variables)
    chosen = variables if clip_all else model.recurrent_variables
    by_itself = {} if strategy is None else {"skip_gradients_aggregation": True}
    compute = functools.partial(_differentiate, model, loss, adversary)
    if accumulate > 1:
        compute = functools.partial(_mean_over_parts, compute, accumulate)

    def update(blurry, sharp):
        restored, value, gradients = compute(blurry, sharp)
        error = error_of_batch(restored, sharp)
        if strategy is not None:
            replica = tf.distribute.get_replica_context()
            value, error, *gradients = replica.all_reduce("MEAN", [value, error, *gradients])
        norm, clipped = tf.zeros([]), gradients
        if clip_norm is not None:
            clipped, norm = clip_chosen(gradients, variables, chosen, clip_norm)
        optimizer.apply_gradients(zip(clipped, variables), **by_itself)
        if average is not None:
            average.update(variables, optimizer.iterations)
        results = {
            "loss": value,
            "psnr": to_decibels(error),
            "gradient_norm" if clip_all else "recurrent_gradient_norm": norm,
        }
        if report_norms:
            cell = model.recurrent_variables
            results.update(norms_of_parts(gradients, variables, cell))
            after = norms_of_parts(clipped, variables, cell)
            results.update({f"clipped_{name}": norm for name, norm in after.items()})
        if adversary is not None:
            results["critic_loss"] = adversary.learn(restored, sharp)
        return results

    if strategy is None:
        return tf.function(update, jit_compile=jit_compile)

    @tf.function
    def step(blurry, sharp):
        results = strategy.run(tf.function(update, jit_compile=jit_compile), (blurry, sharp))
        return {name: strategy.experimental_local_results(value)[0] for name, value in results.items()}

    return step


def _differentiate(model, loss, adversary, blurry, sharp) -> tuple:
    """(restored images of the finest scale, loss, gradients of the trainable variables) of a batch."""
    with tf.GradientTape() as tape:
        outputs = model(blurry, training=True)
        value = loss(outputs, sharp, model.config)
        if adversary is not None:
            value += adversary.term(outputs[0])
    return outputs[0], value, tape.gradient(value, model.trainable_variables)


def _mean_over_parts(compute, number, blurry, sharp) -> tuple:
    """`compute` for equal parts of a batch, one after the other; loss and gradients are averaged."""
    parts = zip(tf.split(blurry, number), tf.split(sharp, number))
    outputs, values, gradients = zip(*(compute(*part) for part in parts))
    means = [tf.add_n(of_variable) / number for of_variable in zip(*gradients)]
    return tf.concat(outputs, axis=0), tf.add_n(values) / number, means


def norms_of_parts(gradients: list, variables: list, cell: list) -> dict[str, tf.Tensor]:
    """Global norms of the gradients of the recurrent cells and of the rest."""
    wanted = {variable.ref() for variable in cell}
    of_cell = [gradient for variable, gradient in zip(variables, gradients) if variable.ref() in wanted]
    of_rest = [gradient for variable, gradient in zip(variables, gradients) if variable.ref() not in wanted]
    return {
        name: tf.linalg.global_norm(some) if some else tf.zeros([])
        for name, some in (("recurrent_gradient_norm", of_cell), ("rest_gradient_norm", of_rest))
    }


def error_of_batch(restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
    """The mean squared error over all elements of a batch, of restored images clipped to [0, 1]."""
    return tf.reduce_mean(tf.math.squared_difference(tf.clip_by_value(restored, 0.0, 1.0), sharp))


def to_decibels(error: tf.Tensor) -> tf.Tensor:
    """The PSNR of a mean squared error of images in [0, 1]; at most 100 dB."""
    return -10.0 / tf.math.log(10.0) * tf.math.log(tf.maximum(error, 1e-10))
