import numpy as np
import pytest
import tensorflow as tf

from srn.config import ModelConfig
from srn.training import losses
from srn.training.losses import multi_scale_loss, total_variation, with_total_variation


def test_equation_3_by_hand():
    sharp = tf.reshape(tf.range(16.0), [1, 4, 4, 1])
    # Half-pixel means of 2x2: 2.5, 4.5, 10.5, 12.5.
    outputs = [sharp + 2.0, tf.reshape([2.5, 4.5, 10.5, 16.5], [1, 2, 2, 1])]
    config = ModelConfig(channels=1, num_scales=2, kappa=(0.5, 3.0))

    loss = multi_scale_loss(outputs, sharp, config)

    assert float(loss) == 0.5 * 4.0 + 3.0 * (16.0 / 4)


def test_the_truth_is_resized_on_the_grid_of_the_model():
    sharp = tf.reshape(tf.range(16.0), [1, 4, 4, 1])
    outputs = [sharp, sharp[:, ::2, ::2]]

    assert float(multi_scale_loss(outputs, sharp, ModelConfig(num_scales=2, resize_grid="legacy"))) == 0.0
    assert float(multi_scale_loss(outputs, sharp, ModelConfig(num_scales=2))) == 2.5**2


def test_the_mean_over_a_batch_is_the_mean_of_the_losses():
    generator = np.random.default_rng(0)
    sharp, restored = (tf.constant(generator.random((3, 8, 8, 3), np.float32)) for _ in range(2))
    config = ModelConfig(num_scales=1)

    each = [float(multi_scale_loss([restored[k : k + 1]], sharp[k : k + 1], config)) for k in range(3)]

    np.testing.assert_allclose(multi_scale_loss([restored], sharp, config), np.mean(each), rtol=1e-6)


def test_total_variation_is_the_mean_difference_between_neighbours():
    # One row of 3 pixels with steps of 1 and 2, and two rows that differ by 5 in each of 2 pixels.
    fine = tf.constant([0.0, 1.0, 3.0], shape=[1, 1, 3, 1])
    coarse = tf.constant([0.0, 0.0, 5.0, 5.0], shape=[1, 2, 2, 1])
    config = ModelConfig(channels=1, num_scales=2, kappa=(1.0, 0.5))

    value = total_variation([fine, coarse], config)

    assert float(value) == pytest.approx((1 + 2) / 3 + 0.5 * (5 + 5) / 4)


def test_total_variation_stands_beside_a_loss_with_its_weight():
    outputs, config = [tf.constant([0.0, 1.0], shape=[1, 1, 2, 1])], ModelConfig(channels=1, num_scales=1)
    sharp = tf.zeros([1, 1, 2, 1])

    both = with_total_variation(multi_scale_loss, 0.1)(outputs, sharp, config)

    assert float(both) == pytest.approx(1 / 2 + 0.1 * 1 / 2)


def images(seed=0, shape=(2, 6, 8, 3)):
    return np.random.default_rng(seed).random(shape, np.float32)


def test_charbonnier_by_hand():
    restored = tf.constant([0.0, 0.3, 0.001, 0.5], shape=[1, 2, 2, 1])
    sharp = tf.constant([0.0, 0.0, 0.0, 0.1], shape=[1, 2, 2, 1])

    error = losses.charbonnier(restored, sharp)

    np.testing.assert_allclose(error, (0.001 + 0.3000017 + 0.001414214 + 0.4000012) / 4, rtol=1e-5)


def test_frequency_is_that_of_numpys_transforms():
    restored, sharp = images(0), images(1)

    error = losses.frequency(tf.constant(restored), tf.constant(sharp))

    difference = np.fft.fft2(restored, axes=(1, 2)) - np.fft.fft2(sharp, axes=(1, 2))
    expected = np.abs(np.stack([difference.real, difference.imag])).mean()
    np.testing.assert_allclose(error, expected, rtol=1e-4)


def test_the_sum_has_the_weight_of_mimo_unet():
    both = tf.constant(images(0)), tf.constant(images(1))

    total = losses.charbonnier_frequency(*both)

    np.testing.assert_allclose(total, losses.charbonnier(*both) + 0.1 * losses.frequency(*both))


@pytest.mark.parametrize("distance", [losses.charbonnier, losses.frequency, losses.charbonnier_frequency])
def test_gradients_are_finite_where_nothing_differs(distance):
    restored, sharp = tf.Variable(images()), tf.constant(images())

    with tf.GradientTape() as tape:
        error = distance(restored, sharp)

    assert np.abs(tape.gradient(error, restored)).max() < 1e-6


def test_other_losses_weigh_the_scales_alike():
    sharp = tf.constant(images(shape=(1, 8, 8, 3)))
    outputs = [sharp + 0.5, tf.zeros([1, 4, 4, 3])]
    config = ModelConfig(num_scales=2, kappa=(0.5, 3.0))

    value = losses.LOSSES["charbonnier"](outputs, sharp, config)

    half = tf.nn.avg_pool2d(sharp, 2, 2, "VALID")
    expected = 0.5 * losses.charbonnier(outputs[0], sharp) + 3 * losses.charbonnier(outputs[1], half)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
