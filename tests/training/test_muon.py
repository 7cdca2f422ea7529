import numpy as np
import pytest
import tensorflow as tf

import srn
from srn.training import muon
from srn.training.step import make_training_step


def newton_schulz(matrix, iterations=5):
    """As Jordan et al. write it down, on the matrix itself, in float64."""
    matrix = matrix / np.linalg.norm(matrix)
    for _ in range(iterations):
        gram = matrix @ matrix.T
        matrix = 3.4445 * matrix + (-4.7750 * gram + 2.0315 * gram @ gram) @ matrix
    return matrix


def ill_conditioned(rows=16, columns=90):
    normal = np.random.default_rng(0).standard_normal((rows, columns))
    return normal * np.geomspace(1, 1e-2, rows)[:, np.newaxis]


def test_the_gram_matrix_gives_what_the_matrix_itself_gives():
    matrix = ill_conditioned()

    orthogonal = muon.orthogonalize(tf.constant(matrix, tf.float32))

    np.testing.assert_allclose(orthogonal, newton_schulz(matrix), atol=2e-5)


def test_singular_values_end_near_one_and_vectors_stay():
    matrix = ill_conditioned()
    left, _, right = np.linalg.svd(matrix, full_matrices=False)

    orthogonal = muon.orthogonalize(tf.constant(matrix, tf.float32)).numpy()

    in_its_own_axes = left.T @ orthogonal @ right.T
    assert np.diag(in_its_own_axes).min() > 0.65 and np.diag(in_its_own_axes).max() < 1.25
    assert np.abs(in_its_own_axes - np.diag(np.diag(in_its_own_axes))).max() < 1e-4


def test_a_tall_matrix_is_the_transposed_of_the_wide_one():
    wide = tf.constant(ill_conditioned(), tf.float32)

    tall = muon.orthogonalize(tf.transpose(wide))

    np.testing.assert_array_equal(tall, tf.transpose(muon.orthogonalize(wide)))


def test_no_gradient_moves_nothing():
    assert not muon.orthogonalize(tf.zeros([4, 9])).numpy().any()


@pytest.mark.parametrize("is_transposed", [False, True])
def test_a_kernel_moves_along_its_matrix_of_outputs_by_inputs(is_transposed):
    kernel = tf.Variable(tf.zeros([2, 2, 3, 5]))
    gradient = np.random.default_rng(1).standard_normal(kernel.shape)
    optimizer = muon.Muon(0.1, jit_compile=False)
    if is_transposed:
        optimizer.use_transposed_for([kernel])

    optimizer.apply_gradients([(tf.constant(gradient, tf.float32), kernel)])

    order = (2, 3, 0, 1) if is_transposed else (3, 2, 0, 1)
    by_output = gradient.transpose(order)
    # The first momentum is 0.05 g, Nesterov's look ahead 0.0975 g: the scale is of no consequence.
    expected = -0.1 * newton_schulz(by_output.reshape(by_output.shape[0], -1))
    moved = kernel.numpy().transpose(order).reshape(expected.shape)
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_a_kernel_with_more_outputs_than_inputs_moves_further():
    wide, tall = tf.Variable(tf.zeros([1, 1, 8, 2])), tf.Variable(tf.zeros([1, 1, 2, 8]))
    optimizer = muon.Muon(0.1, jit_compile=False)

    optimizer.apply_gradients([(tf.random.normal(v.shape, seed=0), v) for v in (wide, tall)])

    norms = [np.linalg.norm(v.numpy().reshape(v.shape[2:]), 2) for v in (wide, tall)]
    assert 0.07 < norms[0] < 0.125 and 0.14 < norms[1] < 0.25  # (8 / 2)**0.5 = 2


def test_other_variables_take_adams_step():
    start = np.float32([[1.0, -2.0, 3.0]])
    ours, adams = tf.Variable(start), tf.Variable(start)
    gradients = np.random.default_rng(2).standard_normal((3, 1, 3)).astype(np.float32)
    optimizer = muon.Muon(0.2, adam_ratio=0.05, jit_compile=False)
    adam = tf.keras.optimizers.Adam(0.01, epsilon=1e-8, jit_compile=False)

    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), ours)])
        adam.apply_gradients([(tf.constant(gradient), adams)])

    np.testing.assert_allclose(ours, adams, rtol=1e-5)


def test_the_first_and_the_last_convolution_are_adams():
    model = srn.build_model("sr_edrb1")
    optimizer = muon.make_muon(model, 0.01)

    optimizer.build(model.trainable_variables)

    adams = {v.name for v, slots in zip(model.trainable_variables, optimizer._slots) if len(slots) == 2}
    kernels = {name.split("/")[-2] for name in adams if "kernel" in name}
    assert kernels == {"enc1_1", "dec1_0"}
    assert sum("bias" in name for name in adams) == 19


def small_model(precision="float32"):
    from srn.config import ModelConfig

    tf.keras.utils.set_random_seed(0)
    return srn.build_model(ModelConfig(num_scales=1, width=8, res_blocks=1, kernel_size=3), precision)


def test_slots_are_restored_with_a_checkpoint(tmp_path):
    images = tf.random.uniform([2, 16, 16, 3], seed=1)

    def begin():
        model = small_model()
        optimizer = muon.make_muon(model, 0.01)
        step = make_training_step(model, optimizer)
        return tf.train.Checkpoint(model=model, optimizer=optimizer), lambda: step(images, images[::-1])

    straight, step = begin()
    step(), step()
    saved = straight.save(str(tmp_path / "step"))
    step(), step()
    resumed, step = begin()
    resumed.restore(saved).assert_consumed()
    step(), step()

    for one, other in zip(straight.model.trainable_variables, resumed.model.trainable_variables):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_it_trains_in_mixed_bfloat16():
    model = small_model("bfloat16")
    images = tf.random.uniform([2, 16, 16, 3], seed=1)
    step = make_training_step(model, muon.make_muon(model, 0.01))

    losses = [float(step(images, images[::-1])["loss"]) for _ in range(12)]

    assert losses[-1] < 0.9 * losses[0]
    assert all(variable.dtype == tf.float32 for variable in model.trainable_variables)


def test_config_holds_every_argument():
    optimizer = muon.Muon(0.02, momentum=0.9, adam_ratio=0.1)

    again = muon.Muon.from_config(optimizer.get_config())

    assert again.get_config() == optimizer.get_config()
