import numpy as np
import pytest

import srn
from srn.config import ModelConfig
from srn.errors import InputError


@pytest.fixture
def state(stablehlo):
    return stablehlo("state")


def some_weights():
    generator = np.random.default_rng(0)
    return {
        f"enc{n}/{kind}": generator.normal(size=size).astype(np.float32)
        for n in range(3)
        for kind, size in (("weights", (3, 3, 4, 8)), ("biases", 8))
    }


def facts():
    return {"model": "srn", "config": ModelConfig().to_dict()}


def test_bfloat16_rounds_to_the_nearest_and_ties_to_even(state):
    # bfloat16 has 8 significant bits: between 256 and 512 it steps by 2.
    values = np.array([1.0, -2.5, 257.0, 259.0, 258.9, 0.0, 1e-40], np.float32)
    rounded = state.from_bfloat16(state.to_bfloat16(values))
    np.testing.assert_array_equal(rounded[:6], [1.0, -2.5, 256.0, 260.0, 258.0, 0.0])
    assert abs(rounded[6] - 1e-40) < 1e-40


def test_a_state_comes_back_from_its_parts(tmp_path, state):
    weights, generator = some_weights(), np.random.default_rng(1)
    slots = {
        prefix + name: generator.random(array.shape).astype(np.float32)
        for prefix in (state.FIRST_MOMENT, state.SECOND_MOMENT)
        for name, array in weights.items()
    }
    start = state.start_state(weights, slots, steps=7)
    start["average/enc0/biases"] = weights["enc0/biases"] + 1

    files = state.write_folder(start, facts(), tmp_path, with_slots=True, part_mib=0.002)
    back, described = state.read_folder(tmp_path)

    assert len(list(tmp_path.glob("weights_*.npz"))) > 1
    assert len(list((tmp_path / "slots").glob("slots_*.npz"))) > 1
    assert all(file.exists() for file in files)
    assert described["steps"] == back["steps"] == 7
    # The averaged weights travel, and training goes on from them.
    np.testing.assert_array_equal(back["enc0/biases"], weights["enc0/biases"] + 1)
    np.testing.assert_array_equal(back["average/enc0/biases"], weights["enc0/biases"] + 1)
    for name, array in slots.items():
        np.testing.assert_allclose(back[name], array, rtol=2**-8)


def test_without_slots_adam_begins_anew(tmp_path, state):
    state.write_folder(state.start_state(some_weights(), steps=9), facts(), tmp_path)
    back, described = state.read_folder(tmp_path)
    assert back["steps"] == 0
    assert not described["has_slots"]
    assert not any(back[key].any() for key in back if key.startswith("adam_"))


@pytest.mark.parametrize("part", ["weights_1.npz", "slots/slots_0.npz", "run.json"])
def test_a_missing_part_is_said(tmp_path, state, part):
    state.write_folder(state.start_state(some_weights()), facts(), tmp_path, with_slots=True, part_mib=0.002)
    (tmp_path / part).unlink()
    with pytest.raises(InputError, match=str(tmp_path)):
        state.read_folder(tmp_path)


def test_a_damaged_part_is_said(tmp_path, state):
    state.write_folder(state.start_state(some_weights()), facts(), tmp_path)
    (tmp_path / "weights_0.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match="weights_0"):
        state.read_folder(tmp_path)


def test_fewer_parts_leave_no_old_ones_behind(tmp_path, state):
    start = state.start_state(some_weights())
    state.write_folder(start, facts(), tmp_path, part_mib=0.002)
    state.write_folder(start, facts(), tmp_path)
    assert [path.name for path in tmp_path.glob("*.npz")] == ["weights_0.npz"]


def test_settings(state):
    assert state.parse_settings(["learning_rate=1e-3"], {"setting/learning_rate": 0}) == {
        "setting/learning_rate": np.float32(1e-3)
    }


@pytest.mark.parametrize(
    "assignment", ["learning_rate", "learning_rate=fast", "learning_rate=nan", "learning_rate=-1"]
)
def test_a_setting_that_is_no_number_is_refused(state, assignment):
    with pytest.raises(InputError, match="NAME=VALUE"):
        state.parse_settings([assignment], {"setting/learning_rate": 0})


def test_an_unknown_setting_is_refused(state):
    with pytest.raises(InputError, match="no setting 'learningrate'; there are: learning_rate"):
        state.parse_settings(["learningrate=1"], {"setting/learning_rate": 0})


def test_parts_of_two_states_do_not_mix(tmp_path, state):
    for name, factor in (("one", 1), ("two", 2)):
        weights = {key: factor * array for key, array in some_weights().items()}
        state.write_folder(state.start_state(weights), facts(), tmp_path / name, part_mib=0.002)
    (tmp_path / "one" / "weights_1.npz").write_bytes((tmp_path / "two" / "weights_1.npz").read_bytes())
    with pytest.raises(InputError, match="weights_1"):
        state.read_folder(tmp_path / "one")


def test_the_projects_commands_take_the_parts(tmp_path, state):
    model = srn.build_model("sr_edrb1")
    from srn.weights import named_variables

    weights = {name: variable.numpy() for name, variable in named_variables(model).items()}
    about = {"model": "sr_edrb1", "config": model.config.to_dict()}
    state.write_folder(state.start_state(weights), about, tmp_path, with_slots=True, part_mib=4)

    loaded = srn.load_model(str(tmp_path / "weights_0.npz"))

    for one, other in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(one, other)
