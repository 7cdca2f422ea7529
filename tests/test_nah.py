import numpy as np
import pytest
import tensorflow as tf

import srn
from srn import weights
from srn.config import ModelConfig
from srn.cost import count_multiply_accumulates
from srn.errors import InputError
from srn.nah import MEAN, MultiScaleNetwork
from srn.serving.signatures import make_servable
from srn.training.initialisation import grow, start_at_identity
from srn.training.optimizers import adam
from srn.training.step import make_training_step

SMALL = ModelConfig(
    layout="multi_scale",
    width=4,
    res_blocks=1,
    kernel_size=3,
    bottleneck="none",
    share_weights=False,
    image_upsampling="subpixel",
)


def random_images(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).random(shape, np.float32))


@pytest.fixture(scope="module")
def model():
    return srn.build_model(SMALL)


def test_parameters_and_cost_by_the_layers_of_the_authors_code():
    # Weights and biases of 38 convolutions in ResBlocks, of the first and the last; 5x5, 64 features.
    inner = 38 * (25 * 64 * 64 + 64)
    coarse = 25 * 3 * 64 + 64 + inner + 25 * 64 * 3 + 3
    fine = 25 * 6 * 64 + 64 + inner + 25 * 64 * 3 + 3
    upconvolution = 25 * 3 * 12 + 12
    # Multiply-accumulates: taps at every pixel of the three scales.
    taps = (25 * 6 * 64 + 38 * 25 * 64 * 64 + 25 * 64 * 3) * (256**2 + 128**2)
    taps += (25 * 3 * 64 + 38 * 25 * 64 * 64 + 25 * 64 * 3) * 64**2 + 25 * 3 * 12 * (128**2 + 64**2)

    model = srn.build_model("nah")

    assert model.count_params() == coarse + 2 * fine + 2 * upconvolution == 11_721_321
    assert count_multiply_accumulates(model, 256, 256) == taps == 335_942_860_800


@pytest.mark.parametrize("height, width", [(1, 1), (16, 16), (37, 53)])
def test_outputs_are_finest_first_at_any_size(model, height, width):
    outputs = model(random_images(2, height, width, 3))

    sizes = [(height, width), (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))]
    assert [tuple(out.shape) for out in outputs] == [(2, *size, 3) for size in sizes]
    assert all(out.dtype == tf.float32 for out in outputs)


def test_each_scale_sees_its_image_and_an_upconvolution_of_the_coarser_result(model):
    image = random_images(1, 16, 24, 3)
    half, quarter = tf.image.resize(image, (8, 12)), tf.image.resize(image, (4, 6))

    coarse = model.scale_networks[2](quarter - MEAN)
    middle = model.scale_networks[1](tf.concat([half - MEAN, model.upsampling[1](coarse)], -1))
    fine = model.scale_networks[0](tf.concat([image - MEAN, model.upsampling[0](middle)], -1))

    for expected, found in zip((fine, middle, coarse), model(image)):
        np.testing.assert_allclose(expected + MEAN, found, atol=1e-5)


def test_the_finest_image_teaches_the_coarsest_scale(model):
    with tf.GradientTape() as tape:
        finest = tf.reduce_sum(model(random_images(1, 16, 16, 3))[0])

    gradients = tape.gradient(finest, model.scale_networks[2].trainable_variables)

    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_a_step_trains_every_weight_and_clips_none():
    model = srn.build_model(SMALL)
    before = [weight.numpy() for weight in model.trainable_variables]
    step = make_training_step(model, adam(1e-3))

    results = step(random_images(2, 16, 16, 3), random_images(2, 16, 16, 3, seed=1))

    assert model.recurrent_variables == []
    assert float(results["recurrent_gradient_norm"]) == 0.0
    assert all(np.any(old != new) for old, new in zip(before, model.trainable_variables))


def test_weights_survive_npz_and_checkpoints(tmp_path, model):
    weights.save_npz(model, tmp_path / "nah.npz")
    weights.write_model_file(tmp_path, model.config)
    prefix = tf.train.Checkpoint(model=model).save(str(tmp_path / "step"))

    for source in (tmp_path / "nah.npz", prefix):
        copy = weights.load_model(source)
        assert isinstance(copy, MultiScaleNetwork)
        assert weights.checksum(copy) == weights.checksum(model)


def test_every_weight_has_a_name_of_its_own(model):
    named = weights.named_variables(model)

    assert len(named) == len(model.trainable_variables)
    assert {"scale1/first/weights", "scale3/res1/conv2/biases", "upsampling2/conv/weights"} <= set(named)


def test_bfloat16_keeps_weights_and_images_in_float32():
    model = srn.build_model(SMALL, "bfloat16")

    outputs = model(random_images(1, 16, 16, 3))

    assert model.scale_networks[0].res_blocks[0].conv1.compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.trainable_variables} == {tf.float32}
    assert all(out.dtype == tf.float32 for out in outputs)


def test_it_is_served_like_every_model(model):
    _, signatures = make_servable(model)
    image = random_images(1, 9, 14, 3)

    served = signatures["serving_default"](image=image)["restored"]

    np.testing.assert_allclose(served, tf.clip_by_value(model(image)[0], 0, 1), atol=1e-6)


def test_the_whole_model_survives_saving(tmp_path, model):
    model.save(tmp_path / "nah.keras")

    copy = tf.keras.models.load_model(tmp_path / "nah.keras")

    assert isinstance(copy, MultiScaleNetwork)
    assert copy.config == model.config


def test_it_can_be_grown_but_not_started_at_the_identity(model):
    larger = srn.build_model(SMALL.replace(res_blocks=2, kernel_size=5))
    grow(larger, model)
    image = random_images(1, 16, 16, 3)

    np.testing.assert_allclose(larger(image)[0], model(image)[0], atol=1e-5)
    with pytest.raises(InputError, match="start it at Xavier"):
        start_at_identity(larger)
