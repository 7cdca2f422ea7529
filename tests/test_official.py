"""Against numbers computed with the authors' own graph; outputs there are counted from the coarsest scale."""

import functools
import re

import numpy as np
import pytest
import tensorflow as tf
from golden import authors

from srn import official
from srn.errors import InputError
from srn.training.losses import multi_scale_loss
from srn.training.optimizers import adam
from srn.training.step import make_training_step
from srn.weights import named_variables

NAMES = {"lstm": "official_lstm", "color": "official_color", "lstm_color": "official_lstm_color"}
CLIP_NORMS = {"clip": 3.0, "noclip": None}  # the paper; what the authors' training command does


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory):
    """Writes the checkpoint of a model; the colour one is a training file with slots and counter."""

    @functools.cache
    def write(kind):
        return authors.write_checkpoint(kind, tmp_path_factory.mktemp(kind), training_state=kind == "color")

    return write


def assert_outputs_equal(outputs, numbers, key, tolerance=1e-5):
    for scale, output in enumerate(reversed(outputs)):
        kept = authors.sampled(output.numpy(), scale)
        np.testing.assert_allclose(kept, numbers[f"{key}_s{scale}"], atol=tolerance)


@pytest.mark.parametrize("kind", authors.KINDS)
@pytest.mark.parametrize("case", ["a", "b"])
def test_outputs_loss_and_gradients_are_the_authors(kind, case, checkpoint_of):
    numbers = authors.numbers_of(kind)
    model = official.load_checkpoint(checkpoint_of(kind))
    blurry, sharp = authors.images_of(kind, case, numbers[f"target_scale_{case}"])
    variables = named_variables(model, official.SCOPE)

    with tf.GradientTape() as tape:
        outputs = model(blurry)
        loss = multi_scale_loss(outputs, sharp, model.config)
    gradients = tape.gradient(loss, list(variables.values()))

    assert model.name == NAMES[kind]
    assert list(variables) == list(numbers["var_names"])
    assert_outputs_equal(outputs, numbers, f"out_{case}")
    np.testing.assert_allclose(loss, numbers[f"loss_{case}"], rtol=1e-5)
    norms = [np.linalg.norm(gradient) for gradient in gradients]
    np.testing.assert_allclose(norms, numbers[f"grad_norm_{case}"], rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "clip"),
    [
        ("lstm", "clip"),
        ("lstm", "noclip"),
        ("color", "noclip"),  # no cell, nothing to clip
        ("lstm_color", "clip"),
        ("lstm_color", "noclip"),
    ],
)
def test_three_steps_of_adam_are_the_authors(kind, clip, checkpoint_of):
    numbers = authors.numbers_of(kind)
    model = official.load_checkpoint(checkpoint_of(kind))
    blurry, sharp = authors.images_of(kind, "a", target_scale=1)
    step = make_training_step(model, adam(1e-4), clip_norm=CLIP_NORMS[clip])

    results = []
    for scale in numbers["seq3_target_scales"]:
        results.append(step(blurry, sharp * scale))
        if len(results) == 1 and f"step1_{clip}_a_out_s0" in numbers:
            assert_outputs_equal(model(blurry), numbers, f"step1_{clip}_a_out", tolerance=2e-5)

    losses = [float(result["loss"]) for result in results]
    np.testing.assert_allclose(losses, numbers[f"seq3_{clip}_a_loss"], rtol=1e-4)
    variables = [v.numpy() for v in named_variables(model).values()]
    norms = [np.linalg.norm(variable) for variable in variables]
    np.testing.assert_allclose(norms, numbers[f"seq3_{clip}_a_norm"], rtol=1e-5)
    firsts = np.full([len(variables), 5], np.nan)
    for row, variable in zip(firsts, variables):
        row[: variable.size] = variable.reshape(-1)[:5]
    # An element whose gradient is near zero may go the other way by a step: single ones are allowed.
    differences = np.abs(firsts - numbers[f"seq3_{clip}_a_first5"])
    assert np.nanmean(differences > 5e-6) < 0.01
    if clip == "clip":
        norms = [float(result["recurrent_gradient_norm"]) for result in results]
        np.testing.assert_allclose(norms, numbers["seq3_clip_a_lstm_grad_global_norm"], rtol=1e-3)


def test_gray_is_told_too(tmp_path):
    prefix = authors.write_checkpoint("gray", tmp_path, step=7)

    assert official.load_checkpoint(prefix + ".index").name == "official_gray"


def test_everything_that_does_not_fit_is_named(tmp_path):
    arrays = authors.weights_of("color")
    del arrays["g_net/dec1_0/biases"]
    arrays["g_net/enc2_1/weights"] = np.zeros([3, 3, 32, 64], np.float32)
    arrays["g_net/extra/weights"] = np.zeros([1], np.float32)

    with pytest.raises(InputError) as error:
        official.load_checkpoint(authors.save_variables(arrays, tmp_path))

    lines = str(error.value).splitlines()
    assert "official_color" in lines[0] and "3 of its arrays differ" in lines[0]
    assert "g_net/dec1_0/biases is missing" in lines[1]
    assert "g_net/extra/weights is not of this model" in lines[2]
    assert re.search(r"g_net/enc2_1/weights has the shape \(3, 3, 32, 64\), not \(5, 5, 32, 64\)", lines[3])


def test_other_checkpoints_are_refused_in_a_line(tmp_path):
    prefix = authors.save_variables({"something": np.zeros([1], np.float32)}, tmp_path)

    with pytest.raises(InputError, match="not a checkpoint of the authors"):
        official.load_checkpoint(prefix)
    with pytest.raises(InputError, match="not a checkpoint that can be read"):
        official.load_checkpoint(str(tmp_path / "nothing"))
