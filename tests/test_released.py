import json

import numpy as np
import pytest

import srn
from srn import released, weights
from srn.config import ModelConfig
from srn.errors import InputError, WorkError

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(released, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def release(folder, load_script):
    """`release` of tools/release_weights.py, which writes into `folder`."""
    return load_script("tools/release_weights.py").release


def test_released_weights_are_found_by_name_and_are_the_same_to_half_precision(folder, release):
    model = srn.build_model(SMALL)
    release(model, "tiny", {"data": "none"})

    assert released.list_released() == ["tiny"]
    assert released.read_card("tiny")["parameters"] == model.count_params()
    loaded = srn.load_model("tiny")
    assert loaded.config == SMALL
    for one, other in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(one.astype(np.float16), other)


def test_a_damaged_file_is_refused(folder, release):
    path = release(srn.build_model(SMALL), "tiny", {})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"tiny\.npz: is missing or damaged"):
        srn.load_model("tiny")


def test_another_name_is_told_what_there_is(folder, release):
    release(srn.build_model(SMALL), "tiny", {})
    with pytest.raises(InputError, match="there are: tiny"):
        srn.load_model("huge")
    with pytest.raises(InputError, match="there are: tiny"):
        released.read_card("huge")


def test_weights_that_do_not_fit_half_precision_are_refused(folder, release):
    model = srn.build_model(SMALL)
    model.trainable_variables[0].assign_add(1e5 * np.ones(model.trainable_variables[0].shape))
    with pytest.raises(WorkError, match="too large"):
        release(model, "tiny", {})
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["a/b", "x.npz", ""])
def test_a_name_is_no_path(folder, release, name):
    with pytest.raises(InputError, match="not a name"):
        release(srn.build_model(SMALL), name, {})


def test_a_name_goes_before_a_folder_that_holds_nothing(folder, release, tmp_path, monkeypatch):
    release(srn.build_model(SMALL), "tiny", {"data": "none"})
    (tmp_path / "here" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert srn.load_model("tiny").config == SMALL
    assert weights.find_card("tiny")["data"] == "none"


def test_the_card_is_that_of_what_is_loaded(folder, release, tmp_path, monkeypatch):
    model = srn.build_model(SMALL)
    path = release(model, "tiny", {"data": "none"})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert weights.find_card(path)["data"] == "none"

    weights.save_npz(model, "tiny/other.npz")

    assert weights.find_card("tiny") == {}  # a folder that holds weights goes before the name
    assert weights.find_card("tiny/other.npz") == {}
    with pytest.raises(InputError, match="there is no such file"):
        weights.find_card("huge")


@pytest.mark.parametrize("name", released.list_released())
def test_what_is_released_loads_and_says_what_it_is(name):
    card = json.loads((released.FOLDER / f"{name}.json").read_text())
    assert {"data", "recipe", "scores", "limits", "licence", "sha256"} <= set(card)
    assert srn.load_model(name).count_params() == card["parameters"]
