import numpy as np
import pytest
import tensorflow as tf

import srn
from srn.config import ModelConfig
from srn.training.adversarial import Adversary, build_critic
from srn.training.checkpoints import Checkpoints
from srn.training.optimizers import adam, make_critic_optimizer
from srn.training.step import make_training_step


def images(seed, size=32, count=2):
    return tf.constant(np.random.default_rng(seed).random((count, size, size, 3), np.float32))


@pytest.fixture
def adversary():
    tf.keras.utils.set_random_seed(0)
    return Adversary(build_critic(features=4), adam(1e-2), weight=0.5)


def test_the_critic_is_that_of_the_authors_code():
    widths = [3, 32, 32, 64, 64, 128, 128, 256, 256, 512]
    expected = sum(25 * before * after for before, after in zip(widths, widths[1:]))
    expected += 16 * 512 * 512 + 512 + 1  # 4x4, and the last with its bias

    critic = build_critic()

    assert critic.count_params() == expected
    assert critic.compute_output_shape([7, 256, 256, 3]) == (7, 1, 1, 1)


@pytest.mark.parametrize("size, numbers", [(16, 1), (64, 1), (256, 1), (272, 2)])
def test_every_256_pixels_get_a_number(size, numbers):
    critic = build_critic(features=2)

    assert critic(images(0, size, count=1)).shape == (1, numbers, numbers, 1)


def test_a_critic_that_guesses_has_the_loss_of_two_coins(adversary):
    for variable in adversary.critic.trainable_variables:
        variable.assign(tf.zeros_like(variable))

    assert float(adversary.term(images(0))) == pytest.approx(0.5)  # the weight times 1
    assert float(adversary.learn(images(0), images(1))) == pytest.approx(2.0)


def test_terms_by_hand(adversary):
    logit = float(adversary.critic(images(0, count=1))[0, 0, 0, 0])
    other = float(adversary.critic(images(1, count=1))[0, 0, 0, 0])

    term = 0.5 * np.log2(1 + np.exp(-logit))
    learned = np.log2(1 + np.exp(logit)) + np.log2(1 + np.exp(-other))

    assert float(adversary.term(images(0, count=1))) == pytest.approx(term, rel=1e-4)
    assert float(adversary.learn(images(0, count=1), images(1, count=1))) == pytest.approx(learned, rel=1e-4)


@pytest.mark.parametrize("name, rate", [("adam", 1e-2), ("muon", 5e-4)])
def test_the_critic_uses_adam_at_the_rate_at_which_the_network_does(name, rate):
    kernel = tf.Variable(tf.ones([3, 3, 2, 2]))
    optimizer = make_critic_optimizer(name, 1e-2, [kernel])
    optimizer.build([kernel])

    optimizer.apply_gradients([(tf.fill([3, 3, 2, 2], 7.0), kernel)])

    np.testing.assert_allclose(kernel, 1 - rate, rtol=1e-6)  # Adam's first step has the size of its rate


def test_the_critic_learns_to_tell_them_apart(adversary):
    restored, sharp = tf.zeros([2, 32, 32, 3]), images(1)

    losses = [float(adversary.learn(restored, sharp)) for _ in range(12)]

    assert losses[-1] < 0.7 * losses[0]


def test_the_network_is_pulled_towards_what_is_taken_for_sharp(adversary):
    restored = tf.Variable(images(0))

    with tf.GradientTape() as tape:
        term = adversary.term(restored)
    gradient = tape.gradient(term, restored)

    assert np.abs(gradient).max() > 0
    restored.assign_sub(0.1 * gradient / tf.norm(gradient))
    assert float(adversary.term(restored)) < float(term)


def train(folder, steps, adversary=None):
    """Takes a run in `folder` to `steps`; its `Checkpoints`, and the results of the last step."""
    tf.keras.utils.set_random_seed(0)
    model = srn.build_model(ModelConfig(width=2, res_blocks=1, kernel_size=3, num_scales=1))
    if adversary:
        adversary = Adversary(build_critic(features=2), adam(1e-2), weight=0.5)
    checkpoints = Checkpoints(model, adam(1e-2), folder, adversary=adversary)
    step = make_training_step(model, checkpoints.optimizer, adversary=adversary)
    results = {}
    for number in range(checkpoints.resume(), steps):
        results = step(images(number), images(number + 100))
    checkpoints.save()
    return checkpoints, results


def test_the_critic_is_part_of_the_step_and_of_the_state(tmp_path):
    straight, results = train(tmp_path / "straight", 4, adversary=True)
    train(tmp_path / "halves", 2, adversary=True)
    resumed, _ = train(tmp_path / "halves", 4, adversary=True)

    assert float(results["critic_loss"]) > 0
    for one, other in (
        (straight.model, resumed.model),
        (straight.adversary.critic, resumed.adversary.critic),
    ):
        for before, after in zip(one.get_weights(), other.get_weights()):
            np.testing.assert_array_equal(before, after)


def test_a_critic_can_come_and_go_in_a_run(tmp_path):
    _, without = train(tmp_path, 1)
    _, begun = train(tmp_path, 2, adversary=True)
    checkpoints, _ = train(tmp_path, 3)

    assert "critic_loss" not in without and "critic_loss" in begun
    assert checkpoints.step == 3
