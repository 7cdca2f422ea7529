import json

import numpy as np
import pytest
import tensorflow as tf
from golden import authors

import srn
from srn import weights
from srn.config import ModelConfig
from srn.errors import InputError
from srn.training.checkpoints import Checkpoints
from srn.training.optimizers import adam

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)


def save_run(folder, config=SMALL):
    """A model directory with one checkpoint, and the model in it."""
    model = srn.build_model(config)
    Checkpoints(model, adam(1e-4), folder).save()
    return model


def assert_equal(model, other):
    assert model.config == other.config
    for mine, theirs in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(mine, theirs)


def test_a_model_directory_a_prefix_and_an_index_file_are_the_same_weights(tmp_path):
    model = save_run(tmp_path)

    for ckpt in (tmp_path, tmp_path / "step-0", tmp_path / "step-0.index"):
        assert_equal(weights.load_model(ckpt), model)


def test_npz_parts_with_the_authors_names(tmp_path):
    model = srn.build_model("sr_edrb1")
    arrays = {name: variable.numpy() for name, variable in weights.named_variables(model).items()}
    names = list(arrays)
    for number, part in enumerate((names[:10], names[10:])):
        entries = {name: arrays[name] for name in part}
        np.savez(tmp_path / f"weights_{number}.npz", model="sr_edrb1", resize="half_pixel", **entries)

    for ckpt in (tmp_path, tmp_path / "weights_0.npz", tmp_path / "weights_1.npz"):
        assert_equal(weights.load_model(ckpt), model)


def test_the_resize_entry_decides_the_grid(tmp_path):
    model = srn.build_model("sr_edrb1")
    arrays = {name: variable.numpy() for name, variable in weights.named_variables(model).items()}
    np.savez(tmp_path / "legacy.npz", model="sr_edrb1", resize="legacy", **arrays)

    assert weights.load_model(tmp_path / "legacy.npz").config == model.config.replace(resize_grid="legacy")


@pytest.mark.parametrize(
    "config",
    [SMALL, SMALL.replace(share_weights=False, image_upsampling="subpixel", kappa=(1, 2, 3))],
    ids=str,
)
def test_what_is_saved_as_npz_comes_back(tmp_path, config):
    model = srn.build_model(config)

    weights.save_npz(model, tmp_path / "mine.npz")

    assert_equal(weights.load_model(tmp_path / "mine.npz"), model)


def test_half_precision_loads_as_float32(tmp_path):
    model = srn.build_model("sr_edrb1")
    arrays = {n: v.numpy().astype(np.float16) for n, v in weights.named_variables(model).items()}
    np.savez(tmp_path / "half.npz", model="sr_edrb1", **arrays)

    loaded = weights.load_model(tmp_path / "half.npz")

    assert loaded.variables[0].dtype == tf.float32
    np.testing.assert_allclose(loaded.get_weights()[0], model.get_weights()[0], atol=1e-3)


def expect_line(match, *arguments, **options):
    with pytest.raises(InputError, match=match) as error:
        weights.load_model(*arguments, **options)
    return str(error.value)


def test_what_is_not_there_says_what_can_be_given(tmp_path):
    assert "checkpoint prefix" in expect_line("there is no such file", tmp_path / "nothing")
    expect_line("holds no checkpoint", tmp_path)
    expect_line("no released weights have this name", "srn_v9")
    expect_line("there is no such file", tmp_path / "weights_0.npz")
    expect_line("no weights are named", "")


@pytest.mark.parametrize(
    "name, match",
    [
        ("picture.png", "does not contain weights; give a model directory"),
        ("model.json", "does not contain weights"),
        ("step-5.data-00000-of-00001", "a part of a checkpoint; give its prefix, .*step-5$"),
    ],
)
def test_a_file_that_holds_no_weights_is_said_to_be_none(tmp_path, name, match):
    (tmp_path / name).write_bytes(b"\x89PNG")

    expect_line(match, tmp_path / name)


def test_an_exported_model_is_told_from_weights(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")

    expect_line("is an exported model; give the weights", tmp_path)


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_a_checkpoint_that_is_cut_off_is_one_line(tmp_path, suffix):
    save_run(tmp_path)
    path = tmp_path / f"step-0.{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    assert len(expect_line("step-0", tmp_path).splitlines()) == 1


def test_a_model_that_differs_in_training_alone_may_be_asked_for(tmp_path):
    model = srn.build_model("sr_edrb1")
    arrays = {name: variable.numpy() for name, variable in weights.named_variables(model).items()}
    config = json.dumps(model.config.replace(kappa=(1, 2, 4), cell_stddev=0.001).to_dict())
    np.savez(tmp_path / "weights.npz", config=config, **arrays)

    assert weights.load_model(tmp_path / "weights.npz").config.kappa == (1, 2, 4)
    assert weights.load_model(tmp_path / "weights.npz", model="sr_edrb1").config == model.config


def test_another_model_than_asked_for_is_refused(tmp_path):
    save_run(tmp_path)

    line = expect_line("no weights of the model 'srn' as asked for", tmp_path, model="srn")
    assert "width is 4, not 32" in line


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_run(tmp_path)
    weights.write_model_file(tmp_path, SMALL.replace(width=8))

    assert len(expect_line("does not hold the model", tmp_path).splitlines()) == 1


def test_a_checkpoint_without_its_description_needs_a_name(tmp_path):
    save_run(tmp_path)
    (tmp_path / "model.json").unlink()

    expect_line("name the model with --model", tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"config": {"depth": 1}})])
def test_a_damaged_description_is_named(tmp_path, content):
    save_run(tmp_path)
    (tmp_path / "model.json").write_text(content)

    expect_line("model.json: not a description of a model", tmp_path)


def test_npz_files_that_do_not_fit_are_named(tmp_path):
    (tmp_path / "text.npz").write_text("no zip")
    np.savez(tmp_path / "nameless.npz", a=np.zeros(1))
    np.savez(tmp_path / "unknown.npz", model="srn2", a=np.zeros(1))
    np.savez(tmp_path / "wrong.npz", model="sr_edrb1", a=np.zeros(1))

    expect_line("text.npz: not an .npz file", tmp_path / "text.npz")
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.zeros(3))
    expect_line("array.npz: not an .npz file", tmp_path / "array.npz")
    expect_line("nameless.npz: does not name its model", tmp_path / "nameless.npz")
    expect_line("unknown.npz: there is no model 'srn2'", tmp_path / "unknown.npz")
    lines = expect_line("wrong.npz: does not fit the model 'sr_edrb1'", tmp_path / "wrong.npz").splitlines()
    assert "  enc1_1/weights is missing" in lines
    assert lines[-1] == "  a is not of this model"


def test_weights_in_the_twins_form_are_the_twins_network(tmp_path):
    """Names without the authors' scope and a note of the resizing; outputs of the authors' code."""
    arrays = {name[len("g_net/") :]: value for name, value in authors.weights_of("lstm_color").items()}
    np.savez(tmp_path / "weights_0.npz", model="srn", resize="legacy", **arrays)
    blurry, _ = authors.images_of("lstm_color", "b", target_scale=1)

    outputs = weights.load_model(tmp_path)(blurry)

    for scale, output in enumerate(reversed(outputs)):
        expected = authors.numbers_of("lstm_color")[f"out_b_s{scale}"]
        np.testing.assert_allclose(authors.sampled(output.numpy(), scale), expected, atol=1e-5)


def test_the_checksum_tells_weights_apart_and_nothing_else():
    config = ModelConfig(width=4, res_blocks=1, kernel_size=3)
    model, other = (srn.build_model(config, precision) for precision in ("float32", "bfloat16"))
    other.set_weights(model.get_weights())

    assert weights.checksum(other) == weights.checksum(model)

    other.trainable_variables[0].assign_add(np.full(other.trainable_variables[0].shape, 1e-6, np.float32))
    assert weights.checksum(other) != weights.checksum(model)
