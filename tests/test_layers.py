import inspect

import numpy as np
import pytest
import tensorflow as tf

from srn import layers

BLOCKS = [
    layers.ResBlock(4, kernel_size=3, shortcut=False),
    layers.InBlock(1, 4, kernel_size=3, res_blocks=1),
    layers.EBlock(2, 8, kernel_size=3, res_blocks=2, shortcut=False, strides=1),
    layers.DBlock(1, 4, kernel_size=3, res_blocks=1, strides=2),
    layers.OutBlock(1, 4, kernel_size=3, res_blocks=1, channels=1),
    layers.ConvLSTM2D(4, kernel_initializer=tf.keras.initializers.TruncatedNormal(0.0, 0.001)),
    layers.ConvRNN2D(4, kernel_size=5),
    layers.ConvGRU2D(4),
    layers.ConvolutionBottleneck(4),
    layers.DeconvolutionUpsampling(3),
    layers.SubpixelUpsampling(3),
]


@pytest.mark.parametrize("layer", BLOCKS, ids=lambda layer: type(layer).__name__)
def test_every_argument_is_in_the_config_and_the_round_trip_keeps_it(layer):
    config = layer.get_config()
    arguments = set(inspect.signature(type(layer).__init__).parameters) - {"self", "kwargs"}

    assert arguments <= set(config)
    copy = tf.keras.saving.deserialize_keras_object(tf.keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == config


def test_a_res_block_is_relu_inside_and_none_after_the_addition():
    block = layers.ResBlock(1, kernel_size=1)
    block.build([None, 1, 1, 1])
    inputs = tf.constant([[[[-3.0]], [[2.0]]]])
    block(inputs)
    for convolution, scale in ((block.conv1, 1.0), (block.conv2, -2.0)):
        convolution.kernel.assign(tf.fill([1, 1, 1, 1], scale))

    # x + (-2) * relu(x): the negative input stays, and so does the negative sum.
    assert np.asarray(block(inputs)).reshape(-1).tolist() == [-3.0, -2.0]


def test_without_its_shortcut_a_res_block_is_two_convolutions_with_relu():
    block = layers.ResBlock(1, kernel_size=1, shortcut=False)
    inputs = tf.constant([[[[-3.0]], [[2.0]]]])
    block(inputs)
    for convolution, scale in ((block.conv1, 1.0), (block.conv2, 3.0)):
        convolution.kernel.assign(tf.fill([1, 1, 1, 1], scale))

    assert np.asarray(block(inputs)).reshape(-1).tolist() == [0.0, 6.0]


def test_blocks_halve_and_double():
    image = tf.zeros([1, 8, 12, 6])

    first = layers.InBlock(1, 4)(image)
    second = layers.EBlock(2, 8)(first)
    back = layers.DBlock(1, 4)(second, first)
    out = layers.OutBlock(1, 4, channels=3)(back)

    shapes = [tuple(tensor.shape) for tensor in (first, second, back, out)]
    assert shapes == [(1, 8, 12, 4), (1, 4, 6, 8), (1, 8, 12, 4), (1, 8, 12, 3)]


def test_the_deconvolution_has_its_relu_before_the_skip_is_added():
    block = layers.DBlock(1, 1, res_blocks=0)
    inputs, skip = tf.ones([1, 1, 1, 2]), tf.fill([1, 2, 2, 1], -5.0)
    block(inputs, skip)
    block.convolution.kernel.assign(tf.fill([4, 4, 1, 2], -1.0))

    # relu(-2) + (-5), not relu(-2 - 5)
    np.testing.assert_array_equal(block(inputs, skip), skip)


def test_the_strided_convolution_pads_one_before_and_two_after():
    block = layers.EBlock(2, 1, res_blocks=0)
    image = np.zeros([1, 8, 8, 1], np.float32)
    image[0, 0, 0, 0] = 1.0
    block(image)
    kernel = np.arange(25.0, dtype=np.float32).reshape(5, 5, 1, 1)
    block.convolution.kernel.assign(kernel)

    # The first output looks at rows and columns -1 to 3: pixel (0, 0) meets tap (1, 1).
    assert float(block(image)[0, 0, 0, 0]) == kernel[1, 1, 0, 0]


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_a_convlstm_step_written_out_by_hand():
    cell = layers.ConvLSTM2D(2, kernel_size=1)
    generator = np.random.default_rng(0)
    inputs, hidden, state = (generator.standard_normal((1, 1, 1, 2)).astype(np.float32) for _ in range(3))
    cell(inputs, [hidden, state])
    kernel = generator.standard_normal((1, 1, 4, 8)).astype(np.float32)
    bias = generator.standard_normal(8).astype(np.float32)
    cell.convolution.kernel.assign(kernel)
    cell.convolution.bias.assign(bias)

    output, (new_hidden, new_state) = cell(inputs, [hidden, state])

    gates = np.concatenate([inputs, hidden], -1).reshape(4) @ kernel[0, 0] + bias
    i, j, f, o = np.split(gates, 4)
    expected_state = state.reshape(2) * sigmoid(f + 1.0) + sigmoid(i) * np.tanh(j)
    expected_hidden = np.tanh(expected_state) * sigmoid(o)
    np.testing.assert_allclose(np.reshape(new_state, 2), expected_state, rtol=1e-5)
    np.testing.assert_allclose(np.reshape(new_hidden, 2), expected_hidden, rtol=1e-5)
    np.testing.assert_array_equal(output, new_hidden)


def test_the_forget_bias_is_in_the_formula_and_not_in_the_variable():
    cell = layers.ConvLSTM2D(1, kernel_size=1, kernel_initializer="zeros")
    state = tf.ones([1, 1, 1, 1])

    _, (_, new_state) = cell(tf.zeros([1, 1, 1, 1]), [tf.zeros([1, 1, 1, 1]), state])

    assert np.asarray(cell.convolution.bias).tolist() == [0.0] * 4
    np.testing.assert_allclose(np.reshape(new_state, -1), sigmoid(1.0), rtol=1e-6)


def test_a_convgru_step_written_out_by_hand():
    cell = layers.ConvGRU2D(1, kernel_size=1)
    inputs, hidden = tf.fill([1, 1, 1, 1], 0.5), tf.fill([1, 1, 1, 1], -0.25)
    cell(inputs, [hidden])
    cell.convolution.kernel.assign(np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2))
    cell.candidate_convolution.kernel.assign(np.array([1.5, -1.0]).reshape(1, 1, 2, 1))

    output, states = cell(inputs, [hidden])

    z, r = sigmoid(0.5 * 1 - 0.25 * 3), sigmoid(0.5 * 2 - 0.25 * 4)
    expected = (1 - z) * -0.25 + z * np.tanh(1.5 * 0.5 + r * 0.25)
    np.testing.assert_allclose(np.reshape(output, -1), expected, rtol=1e-5)
    np.testing.assert_array_equal(output, states[0])


def test_a_vanilla_step_keeps_its_state_before_the_second_convolution():
    cell = layers.ConvRNN2D(1, kernel_size=1)
    inputs, hidden = tf.fill([1, 1, 1, 1], 0.5), tf.fill([1, 1, 1, 1], 2.0)
    cell(inputs, [hidden])
    cell.convolution.kernel.assign(np.array([1.0, -1.0]).reshape(1, 1, 2, 1))
    cell.output_convolution.kernel.assign(np.array([-3.0]).reshape(1, 1, 1, 1))

    output, (state,) = cell(inputs, [hidden])

    np.testing.assert_allclose(np.reshape(state, -1), np.tanh(0.5 - 2.0), rtol=1e-5)
    np.testing.assert_allclose(np.reshape(output, -1), -3.0 * np.tanh(0.5 - 2.0), rtol=1e-5)


def test_start_values_are_xavier_uniform_and_zero():
    block = layers.EBlock(3, 128)
    block(tf.zeros([1, 8, 8, 64]))
    kernel, limit = block.convolution.kernel.numpy(), np.sqrt(6 / (25 * (64 + 128)))

    assert np.abs(kernel).max() <= limit
    assert abs(kernel.std() - limit / np.sqrt(3)) < 0.01 * limit
    assert not block.convolution.bias.numpy().any()


@pytest.mark.parametrize("make", [layers.DeconvolutionUpsampling, layers.SubpixelUpsampling])
def test_trained_upsampling_doubles(make):
    assert make(5)(tf.zeros([2, 3, 4, 5])).shape == (2, 6, 8, 5)
