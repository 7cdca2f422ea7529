import numpy as np
import pytest
import tensorflow as tf

from srn.training import distances


def images(seed=0, shape=(2, 6, 8, 3)):
    return np.random.default_rng(seed).random(shape, np.float32)


def test_charbonnier_by_hand():
    restored = tf.constant([0.0, 0.3, 0.001, 0.5], shape=[1, 2, 2, 1])
    sharp = tf.constant([0.0, 0.0, 0.0, 0.1], shape=[1, 2, 2, 1])

    error = distances.charbonnier(restored, sharp)

    np.testing.assert_allclose(error, (0.001 + 0.3000017 + 0.001414214 + 0.4000012) / 4, rtol=1e-5)


def test_frequency_is_that_of_numpys_transforms():
    restored, sharp = images(0), images(1)

    error = distances.frequency(tf.constant(restored), tf.constant(sharp))

    difference = np.fft.fft2(restored, axes=(1, 2)) - np.fft.fft2(sharp, axes=(1, 2))
    expected = np.abs(np.stack([difference.real, difference.imag])).mean()
    np.testing.assert_allclose(error, expected, rtol=1e-4)


def test_the_sum_has_the_weight_of_mimo_unet():
    both = tf.constant(images(0)), tf.constant(images(1))

    total = distances.charbonnier_frequency(*both)

    np.testing.assert_allclose(total, distances.charbonnier(*both) + 0.1 * distances.frequency(*both))


@pytest.mark.parametrize(
    "distance", [distances.charbonnier, distances.frequency, distances.charbonnier_frequency]
)
def test_gradients_are_finite_where_nothing_differs(distance):
    restored, sharp = tf.Variable(images()), tf.constant(images())

    with tf.GradientTape() as tape:
        error = distance(restored, sharp)

    assert np.abs(tape.gradient(error, restored)).max() < 1e-6
