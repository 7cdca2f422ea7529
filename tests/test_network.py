import numpy as np
import pytest
import tensorflow as tf

import srn
from srn.config import BOTTLENECKS, LAYOUTS, UPSAMPLINGS, ModelConfig
from srn.network import ScaleRecurrentNetwork

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)


def random_images(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).random(shape, np.float32))


@pytest.fixture(scope="module")
def model():
    return srn.build_model(SMALL)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 40), (16, 16), (37, 53), (64, 48)])
@pytest.mark.parametrize("batch", [1, 2])
def test_outputs_are_finest_first_at_any_size(model, batch, height, width):
    outputs = model(random_images(batch, height, width, 3))

    sizes = [(height, width), (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))]
    assert isinstance(outputs, list)
    assert [tuple(out.shape) for out in outputs] == [(batch, *size, 3) for size in sizes]
    assert all(out.dtype == tf.float32 for out in outputs)


def test_other_sizes_are_those_of_the_image_with_its_edge_repeated(model):
    image = random_images(1, 30, 45, 3)
    padded = tf.concat([image, *[image[:, -1:]] * 2], axis=1)
    padded = tf.concat([padded, *[padded[:, :, -1:]] * 3], axis=2)

    np.testing.assert_allclose(model(image)[0], model(padded)[0][:, :30, :45], atol=1e-6)


def test_a_graph_of_unknown_sizes_gives_the_same(model):
    image = random_images(2, 37, 53, 3)
    graph = tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([None, None, None, 3])])

    for dynamic, eager in zip(graph(image), model(image)):
        np.testing.assert_allclose(dynamic, eager, atol=1e-6)


def test_it_compiles_by_xla(model):
    image = random_images(1, 32, 32, 3)
    compiled = tf.function(lambda x: model(x)[0], jit_compile=True)

    np.testing.assert_allclose(compiled(image), model(image)[0], atol=1e-4)


def test_images_of_a_batch_do_not_see_each_other(model):
    images = random_images(3, 32, 32, 3)

    np.testing.assert_allclose(model(images)[0][1:2], model(images[1:2])[0], atol=1e-5)


def trace_scales(model, image):
    """[(images, states, outputs)] of each scale, coarse to fine."""
    network, calls = model.scale_networks[0], []
    original = network.call

    def call(images, states=None):
        result = original(images, states)
        calls.append((images, states, result))
        return result

    network.call = call
    try:
        model.restore_scales.python_function(image)
    finally:
        network.call = original
    return calls


def test_equation_1_is_what_runs(model):
    image = random_images(1, 32, 32, 3)

    coarse, middle, fine = trace_scales(model, image)

    (blurry, first_estimate), first_states, _ = coarse
    np.testing.assert_array_equal(first_estimate, blurry)  # [B, B] at the coarsest scale
    assert first_states is None
    for (_, _, (restored, states)), ((_, estimate), given, _) in ((coarse, middle), (middle, fine)):
        size = estimate.shape[1:3]
        np.testing.assert_allclose(estimate, tf.image.resize(restored, size), atol=1e-6)
        for state, handed in zip(states, given):
            np.testing.assert_allclose(handed, tf.image.resize(state, handed.shape[1:3]), atol=1e-6)
    assert blurry.shape == (1, 8, 8, 3)
    np.testing.assert_allclose(blurry, tf.image.resize(image, [8, 8]), atol=1e-6)


def test_no_gradient_goes_back_through_the_image_but_one_through_the_state():
    config = SMALL.replace(share_weights=False)  # so that each scale's part can be told
    image = random_images(1, 16, 16, 3)

    def gradients_of_coarsest(config):
        model = srn.build_model(config)
        with tf.GradientTape() as tape:
            finest = tf.reduce_sum(model(image)[0])
        coarsest = model.scale_networks[2]
        encoder, decoder = coarsest.in_block.convolution.kernel, coarsest.out_block.convolution.kernel
        return tape.gradient(finest, [encoder, decoder])

    encoder, decoder = gradients_of_coarsest(config)
    assert decoder is None or not np.any(decoder)
    assert np.any(encoder)
    encoder, decoder = gradients_of_coarsest(config.replace(bottleneck="convolution"))
    assert (encoder is None or not np.any(encoder)) and (decoder is None or not np.any(decoder))


CHOICES = [
    *({"bottleneck": bottleneck} for bottleneck in BOTTLENECKS),
    *({"bottleneck": bottleneck, "layout": "flat", "residual": False} for bottleneck in ("convlstm", "none")),
    *({"image_upsampling": up, "state_upsampling": up} for up in UPSAMPLINGS),
    *({"num_scales": scales} for scales in (1, 2, 4)),
    {"channels": 1, "resize_grid": "legacy"},
    {"share_weights": False, "image_upsampling": "deconvolution"},
    {"res_blocks": 0, "cell_stddev": 0.001},
    {
        "layout": "multi_scale",
        "bottleneck": "none",
        "share_weights": False,
        "image_upsampling": "subpixel",
    },
]


@pytest.mark.parametrize("changes", CHOICES, ids=str)
def test_every_choice_trains_all_its_weights(changes):
    config = SMALL.replace(**changes)
    model = srn.build_model(config)
    image = random_images(1, 36, 40, config.channels)

    with tf.GradientTape() as tape:
        outputs = model(image)
        loss = tf.add_n([tf.reduce_mean(out**2) for out in outputs])
    gradients = tape.gradient(loss, model.trainable_variables)

    assert len(outputs) == config.num_scales
    assert outputs[0].shape == image.shape
    missing = [v.name for v, g in zip(model.trainable_variables, gradients) if g is None]
    assert not missing


def test_choices_cover_every_layout():
    assert {changes.get("layout", LAYOUTS[0]) for changes in CHOICES} == set(LAYOUTS)


def test_recurrent_variables_are_those_of_the_cell_alone():
    assert [v.shape.as_list() for v in srn.build_model(SMALL).recurrent_variables] == [[3, 3, 32, 64], [64]]
    assert len(srn.build_model(SMALL.replace(share_weights=False)).recurrent_variables) == 6
    assert srn.build_model(SMALL.replace(bottleneck="convolution")).recurrent_variables == []


def test_bfloat16_computes_in_bfloat16_and_keeps_weights_and_images_in_float32():
    model = srn.build_model(SMALL, "bfloat16")
    exact = srn.build_model(SMALL)
    exact.set_weights(model.get_weights())
    image = random_images(1, 32, 32, 3)

    assert {v.dtype for v in model.variables} == {tf.float32}
    network = model.scale_networks[0]
    assert network.in_block.convolution.compute_dtype == "bfloat16"
    assert network.bottleneck.convolution.compute_dtype == "bfloat16"
    assert network.out_block.convolution.compute_dtype == "float32"
    for low, high in zip(model(image), exact(image)):
        assert low.dtype == tf.float32
        difference = np.abs(low - high).max()
        assert 0 < difference < 0.05 * np.abs(high).max()


def test_the_whole_model_survives_saving(tmp_path, model):
    image = random_images(1, 20, 20, 3)

    model.save(tmp_path / "model.keras")
    copy = tf.keras.models.load_model(tmp_path / "model.keras")

    assert isinstance(copy, ScaleRecurrentNetwork)
    assert copy.config == model.config
    np.testing.assert_allclose(copy(image)[0], model(image)[0], atol=1e-6)


def test_config_round_trip_keeps_the_precision():
    model = srn.build_model(SMALL, "bfloat16")

    copy = ScaleRecurrentNetwork.from_config(model.get_config())

    assert copy.config == model.config
    assert copy.dtype_policy.name == "mixed_bfloat16"


def test_weights_survive_saving(tmp_path, model):
    model.save_weights(tmp_path / "model.weights.h5")
    other = srn.build_model(SMALL)

    other.load_weights(tmp_path / "model.weights.h5")

    for mine, theirs in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(mine, theirs)


def test_it_can_be_part_of_a_keras_model(model):
    inputs = tf.keras.Input([None, None, 3])
    whole = tf.keras.Model(inputs, model(inputs)[0])

    assert whole(random_images(1, 18, 20, 3)).shape == (1, 18, 20, 3)


def test_the_small_start_of_the_cell():
    model = srn.build_model(SMALL.replace(cell_stddev=0.001))
    kernel = model.scale_networks[0].bottleneck.convolution.kernel.numpy()

    assert 0.0005 < kernel.std() < 0.0011
    assert np.abs(kernel).max() <= 0.002 + 1e-9  # truncated at two deviations
