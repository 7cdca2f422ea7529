import numpy as np
import pytest
import tensorflow as tf

from srn.config import ModelConfig
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
