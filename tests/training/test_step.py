import numpy as np
import pytest
import tensorflow as tf

import srn
from srn.config import ModelConfig
from srn.training.average import WeightAverage
from srn.training.losses import multi_scale_loss
from srn.training.optimizers import adam
from srn.training.schedules import Warmup, polynomial_decay
from srn.training.step import clip_chosen, error_of_batch, make_training_step, to_decibels

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3, num_scales=2)


def batch(seed=0, size=32):
    generator = np.random.default_rng(seed)
    return tuple(tf.constant(generator.random((2, size, size, 3), np.float32)) for _ in range(2))


def test_the_schedule_is_the_papers():
    schedule = polynomial_decay(1e-4, 262_000)

    for step in (0, 1000, 131_000, 261_999):
        expected = (1e-4 - 1e-6) * (1 - step / 262_000) ** 0.3 + 1e-6
        np.testing.assert_allclose(schedule(step), expected, rtol=1e-3)
    assert float(schedule(262_000)) == pytest.approx(1e-6)
    assert float(schedule(500_000)) == pytest.approx(1e-6)


def test_the_authors_schedule_ends_at_zero():
    np.testing.assert_allclose(polynomial_decay(1e-4, 524_000, 0.0)(523_000), 1.53e-5, rtol=2e-3)


def test_warmup_rises_in_a_straight_line_to_the_schedule():
    schedule = polynomial_decay(0.8, 8, 0.0, power=1.0)  # 0.8, 0.7, 0.6, 0.5, 0.4

    rates = [float(Warmup(schedule, 4)(step)) for step in range(5)]

    np.testing.assert_allclose(rates, [0.8 / 4, 0.7 * 2 / 4, 0.6 * 3 / 4, 0.5, 0.4], rtol=1e-6)


def test_the_average_moves_by_its_fraction():
    weight = tf.Variable([1.0])
    average = WeightAverage([weight], decay=0.75)

    weight.assign([2.0])
    average.update([weight], steps_done=1)  # 1 / 10 stays
    assert average.values[0].numpy().tolist() == pytest.approx([1.9])

    weight.assign([10.0])
    average.update([weight], steps_done=1000)  # 0.75 stays, not 1000 / 1009
    assert average.values[0].numpy().tolist() == pytest.approx([0.75 * 1.9 + 0.25 * 10])


def test_the_step_keeps_the_average_after_its_update():
    model = srn.build_model(SMALL)
    average = WeightAverage(model.trainable_variables, decay=0.5)
    start = [variable.numpy() for variable in model.trainable_variables]

    make_training_step(model, adam(1e-2), average=average)(*batch())

    for value, begin, variable in zip(average.values, start, model.trainable_variables):
        np.testing.assert_allclose(value, 0.1 * begin + 0.9 * variable.numpy(), atol=1e-6)


def test_adam_is_the_papers():
    optimizer = adam(1e-4)
    weight = tf.Variable([0.0])

    optimizer.apply_gradients([(tf.constant([1e-7]), weight)])

    # The first step is rate * g / (|g| + epsilon / sqrt(1 - beta_2)): it tells 1e-8 from Keras' own 1e-7.
    np.testing.assert_allclose(-weight.numpy(), 1e-4 * 1e-7 / (1e-7 + 1e-8 / np.sqrt(0.001)), rtol=1e-4)


def test_the_clip_scales_the_chosen_together_and_leaves_the_rest_untouched():
    variables = [tf.Variable([0.0, 0.0]), tf.Variable([0.0]), tf.Variable([0.0])]
    gradients = [tf.constant([300.0, 400.0]), tf.constant([12.0]), tf.constant([9.0])]

    clipped, norm = clip_chosen(gradients, variables, [variables[2], variables[1]], clip_norm=3.0)

    assert float(norm) == 15.0
    assert clipped[0] is gradients[0]
    np.testing.assert_allclose(clipped[1], [12.0 * 3 / 15], rtol=1e-6)
    np.testing.assert_allclose(clipped[2], [9.0 * 3 / 15], rtol=1e-6)


def test_a_small_norm_is_not_stretched_and_no_choice_is_no_clip():
    variables, gradients = [tf.Variable([0.0])], [tf.constant([2.0])]

    assert clip_chosen(gradients, variables, variables, 3.0)[0][0].numpy().tolist() == [2.0]
    assert clip_chosen(gradients, variables, [], 3.0)[0] is gradients


def test_the_step_clips_the_cells_gradients_and_no_others():
    clip_norm, rate = 1e-3, 0.5
    model = srn.build_model(SMALL)
    blurry, sharp = batch()
    before = [variable.numpy() for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = multi_scale_loss(model(blurry), sharp, model.config)
    gradients = tape.gradient(loss, model.trainable_variables)

    result = make_training_step(model, tf.keras.optimizers.SGD(rate), clip_norm)(blurry, sharp)

    cell = {variable.ref() for variable in model.recurrent_variables}
    norm = np.sqrt(
        sum(np.sum(g.numpy() ** 2) for v, g in zip(model.trainable_variables, gradients) if v.ref() in cell)
    )
    assert norm > clip_norm
    np.testing.assert_allclose(result["recurrent_gradient_norm"], norm, rtol=1e-3)
    for old, variable, gradient in zip(before, model.trainable_variables, gradients):
        scale = clip_norm / norm if variable.ref() in cell else 1.0
        np.testing.assert_allclose(old - variable, rate * scale * gradient, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_steps_lower_the_loss(precision):
    tf.keras.utils.set_random_seed(0)
    model = srn.build_model(SMALL, precision)
    step = make_training_step(model, adam(3e-3))
    blurry, sharp = batch()

    losses = [float(step(blurry, sharp)["loss"]) for _ in range(12)]

    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-4), ("bfloat16", 2e-2)])
def test_xla_takes_the_same_steps(precision, tolerance):
    config = SMALL.replace(width=2, res_blocks=0)  # XLA compiles for some seconds
    blurry, sharp = batch(size=16)
    losses, start = {}, srn.build_model(config).get_weights()
    for jit_compile in (False, True):
        model = srn.build_model(config, precision)
        model.set_weights(start)
        step = make_training_step(model, adam(1e-3), jit_compile=jit_compile)
        losses[jit_compile] = [float(step(blurry, sharp)["loss"]) for _ in range(2)]

    np.testing.assert_allclose(losses[True], losses[False], rtol=tolerance)


def test_psnr_of_a_batch_by_hand():
    sharp = tf.zeros([1, 2, 2, 3])

    for restored, psnr in ((sharp + 0.1, 20.0), (sharp - 5.0, 100.0)):  # the second is clipped to equal
        np.testing.assert_allclose(to_decibels(error_of_batch(restored, sharp)), psnr, rtol=1e-5)


def test_all_gradients_are_clipped_together_on_request():
    config = SMALL.replace(num_scales=1)
    learning_rate, clip_norm = 1.0, 1e-3
    moved = {}
    for clip_all in (False, True):
        tf.keras.utils.set_random_seed(0)
        model = srn.build_model(config)
        start = [variable.numpy() for variable in model.trainable_variables]
        optimizer = tf.keras.optimizers.SGD(learning_rate, jit_compile=False)
        results = make_training_step(model, optimizer, clip_norm, clip_all=clip_all)(*batch())
        changes = [v.numpy() - before for v, before in zip(model.trainable_variables, start)]
        moved[clip_all] = np.sqrt(sum(np.sum(change**2) for change in changes)), results

    np.testing.assert_allclose(moved[True][0], clip_norm, rtol=1e-3)
    assert moved[False][0] > 2 * clip_norm
    assert float(moved[True][1]["gradient_norm"]) > float(moved[False][1]["recurrent_gradient_norm"]) > 0


def test_a_batch_in_parts_is_the_batch():
    generator = np.random.default_rng(0)
    blurry, sharp = (tf.constant(generator.random((4, 16, 16, 3), np.float32)) for _ in range(2))
    start, moved, results = srn.build_model(SMALL).get_weights(), [], []
    for accumulate in (1, 2):
        model = srn.build_model(SMALL)
        model.set_weights(start)
        step = make_training_step(model, tf.keras.optimizers.SGD(0.1), 1e-3, accumulate=accumulate)
        results.append(step(blurry, sharp))
        moved.append(model.get_weights())

    for one, other in zip(*moved):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for name in ("loss", "psnr", "recurrent_gradient_norm"):
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-4)


def test_norms_of_the_cell_and_of_the_rest_before_and_after_the_clip():
    model = srn.build_model(SMALL)

    results = make_training_step(model, adam(1e-3), clip_norm=1e-3, report_norms=True)(*batch())

    assert float(results["recurrent_gradient_norm"]) > 1e-3
    np.testing.assert_allclose(results["clipped_recurrent_gradient_norm"], 1e-3, rtol=1e-3)
    assert float(results["clipped_rest_gradient_norm"]) == float(results["rest_gradient_norm"]) > 0
