"""Against numbers computed with the authors' own graph; outputs there are counted from the coarsest scale."""

import importlib.util
import re

import numpy as np
import pytest
import tensorflow as tf

from srn import official
from srn.errors import InputError
from srn.training.losses import multi_scale_loss
from srn.training.optimizers import make_optimizer
from srn.training.step import make_training_step

KINDS = {"lstm": "official_lstm", "color": "official_color", "lstm_color": "official_lstm_color"}


@pytest.fixture(scope="module")
def reference_folder(shared):
    return shared / "official_reference"


@pytest.fixture(scope="module")
def maker(reference_folder):
    spec = importlib.util.spec_from_file_location("make_checkpoint", reference_folder / "make_checkpoint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=KINDS)
def case(request, maker, reference_folder, tmp_path_factory):
    """(kind, checkpoint prefix, reference); the colour one is a training file with slots and counter."""
    folder = tmp_path_factory.mktemp(request.param)
    prefix = maker.write_checkpoint(
        request.param, str(folder), 523000, training_state=request.param == "color"
    )
    return request.param, prefix, np.load(reference_folder / request.param / "reference.npz")


def images(kind, reference, name):
    blurry, sharp = (reference[f"{side}_{name}"].astype(np.float32) / 255 for side in ("input", "target"))
    if kind == "lstm":
        luma = np.array([0.2989, 0.5870, 0.1140], np.float32)
        blurry, sharp = (blurry @ luma)[..., None], (sharp @ luma)[..., None]
    return blurry, sharp * reference[f"target_scale_{name}"]


@pytest.mark.parametrize("name", ["a", "b"])
def test_outputs_loss_and_gradients_are_the_authors(case, name):
    kind, prefix, reference = case
    model = official.load_checkpoint(prefix)
    blurry, sharp = images(kind, reference, name)
    variables = official.named_variables(model, official.SCOPE)

    with tf.GradientTape() as tape:
        outputs = model(blurry)
        loss = multi_scale_loss(outputs, sharp, model.config)
    gradients = tape.gradient(loss, list(variables.values()))

    assert model.name == KINDS[kind]
    assert list(variables) == list(reference["var_names"])
    for scale, output in enumerate(reversed(outputs)):
        np.testing.assert_allclose(output, reference[f"out_{name}_s{scale}"], atol=1e-5)
    np.testing.assert_allclose(loss, reference[f"loss_{name}"], rtol=1e-5)
    norms = [np.linalg.norm(gradient) for gradient in gradients]
    np.testing.assert_allclose(norms, reference[f"grad_norm_{name}"], rtol=1e-3)


@pytest.mark.parametrize("clip", ["clip", "noclip"])
def test_three_steps_of_adam_are_the_authors(case, clip):
    kind, prefix, reference = case
    if f"seq3_{clip}_a_loss" not in reference:
        pytest.skip(f"no {clip} steps recorded for {kind}")
    model = official.load_checkpoint(prefix)
    blurry, sharp = images(kind, reference, "a")
    sharp = sharp / reference["target_scale_a"]
    step = make_training_step(model, make_optimizer(1e-4), clip_norm=3.0 if clip == "clip" else None)

    results = [step(blurry, sharp * scale) for scale in reference["seq3_target_scales"]]

    losses = [float(result["loss"]) for result in results]
    np.testing.assert_allclose(losses, reference[f"seq3_{clip}_a_loss"], rtol=1e-4)
    variables = [v.numpy() for v in official.named_variables(model).values()]
    norms = [np.linalg.norm(variable) for variable in variables]
    np.testing.assert_allclose(norms, reference[f"seq3_{clip}_a_norm"], rtol=1e-5)
    firsts = np.full([len(variables), 5], np.nan)
    for row, variable in zip(firsts, variables):
        row[: variable.size] = variable.reshape(-1)[:5]
    # An element whose gradient is near zero may go the other way by a step: single ones are allowed.
    differences = np.abs(firsts - reference[f"seq3_{clip}_a_first5"])
    assert np.nanmean(differences > 5e-6) < 0.01
    if clip == "clip":
        norms = [float(result["recurrent_gradient_norm"]) for result in results]
        np.testing.assert_allclose(norms, reference["seq3_clip_a_lstm_grad_global_norm"], rtol=1e-3)


def test_gray_is_told_too(maker, tmp_path):
    prefix = maker.write_checkpoint("gray", str(tmp_path), 7, training_state=False)

    assert official.load_checkpoint(prefix + ".index").name == "official_gray"


def write(folder, arrays):
    """A checkpoint of the authors' format with the given variables."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in arrays.items():
            tf.compat.v1.get_variable(name, initializer=value, use_resource=False)
        session.run(tf.compat.v1.global_variables_initializer())
        return tf.compat.v1.train.Saver().save(session, str(folder / "deblur.model"), write_meta_graph=False)


def test_everything_that_does_not_fit_is_named(maker, tmp_path):
    arrays = maker.weights("color")
    del arrays["g_net/dec1_0/biases"]
    arrays["g_net/enc2_1/weights"] = np.zeros([3, 3, 32, 64], np.float32)
    arrays["g_net/extra/weights"] = np.zeros([1], np.float32)

    with pytest.raises(InputError) as error:
        official.load_checkpoint(write(tmp_path, arrays))

    lines = str(error.value).splitlines()
    assert "official_color" in lines[0] and "3 of its arrays differ" in lines[0]
    assert "g_net/dec1_0/biases is missing" in lines[1]
    assert "g_net/extra/weights is not of this model" in lines[2]
    assert re.search(r"g_net/enc2_1/weights has the shape \(3, 3, 32, 64\), not \(5, 5, 32, 64\)", lines[3])


def test_other_checkpoints_are_refused_in_a_line(tmp_path):
    prefix = write(tmp_path, {"something": np.zeros([1], np.float32)})

    with pytest.raises(InputError, match="no checkpoint of the authors"):
        official.load_checkpoint(prefix)
    with pytest.raises(InputError, match="not a checkpoint that can be read"):
        official.load_checkpoint(str(tmp_path / "nothing"))
