import numpy as np
import pytest
import tensorflow as tf

import srn
from srn.config import ModelConfig
from srn.errors import InputError

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)
IMAGE = tf.TensorSpec([2, 3], tf.float32)


@pytest.fixture
def hlo(stablehlo):
    return stablehlo("hlo")


def test_what_is_read_and_assigned_is_described(hlo):
    weight, count = tf.Variable([[1.0], [2.0], [3.0]]), tf.Variable(0, dtype=tf.int64)

    @tf.function(jit_compile=True)
    def step(image):
        count.assign_add(1)
        return {"sum": tf.reduce_sum(tf.matmul(image, weight)), "again": tf.cast(count, tf.float32)}

    module, description = hlo.export_function(step, {"image": IMAGE}, {"w": weight, "steps": count})

    parameters = {entry.get("argument") or entry["state"]: entry for entry in description["parameters"]}
    assert parameters["image"]["shape"] == [2, 3]
    assert parameters["w"] == {"state": "w", "shape": [3, 1], "dtype": "float32"}
    assert parameters["steps"] == {"state": "steps", "shape": [], "dtype": "int64"}
    assert [entry.get("result") for entry in description["outputs"]] == ["again", "sum", None]
    assert description["outputs"][-1] == parameters["steps"]
    assert str(tf.__path__[0]).encode() not in module


def test_a_variable_without_a_name_is_refused(hlo):
    hidden = tf.Variable(2.0, name="hidden")
    step = tf.function(lambda image: {"sum": tf.reduce_sum(image) * hidden}, jit_compile=True)
    with pytest.raises(ValueError, match="hidden"):
        hlo.export_function(step, {"image": IMAGE}, {})


def test_random_numbers_are_refused(hlo):
    step = tf.function(
        lambda image: {"sum": tf.reduce_sum(tf.random.normal([2, 3]) + image)}, jit_compile=True
    )
    with pytest.raises(ValueError, match="not portable: rng"):
        hlo.export_function(step, {"image": IMAGE}, {})


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_training_step_is_portable_and_all_of_its_state_is_named(hlo, stablehlo, precision):
    bridge, state = stablehlo("bridge"), stablehlo("state")
    training = bridge.BridgedTraining(srn.build_model(SMALL, precision), clip_norm=3.0)
    crops = tf.TensorSpec([1, 16, 16, 3], tf.float32)

    _, description = hlo.export_function(
        training.step, {"blurry": crops, "sharp": crops}, training.variables, exact=precision == "float32"
    )

    read = {entry["state"] for entry in description["parameters"] if "state" in entry}
    written = {entry["state"] for entry in description["outputs"] if "state" in entry}
    weights = set(state.weight_names(training.read()))
    assert read == set(training.variables)
    settings = {key for key in training.variables if key.startswith("setting/")}
    assert written == set(training.variables) - settings
    assert weights == set(training.read()) - {
        key for key in training.variables if key.startswith(("average/", "adam_", "setting/"))
    } - {"steps", "current_learning_rate"}
    results = {entry["result"] for entry in description["outputs"] if "result" in entry}
    assert results == {"loss", "psnr", "recurrent_gradient_norm"}


def test_settings_steer_the_step(stablehlo):
    training = stablehlo("bridge").BridgedTraining(srn.build_model(SMALL), clip_norm=3.0, jit_compile=False)
    generator = np.random.default_rng(0)
    crops = [tf.constant(generator.random((1, 16, 16, 3), np.float32)) for _ in range(2)]
    settings = {"learning_rate": 0.08, "end_learning_rate": 0.0, "decay_power": 1.0, "decay_steps": 8.0}
    for name, value in {**settings, "warmup_steps": 4.0}.items():
        training.variables[f"setting/{name}"].assign(value)

    rates = []
    for _ in range(5):
        training.step(*crops)
        rates.append(float(training.variables["current_learning_rate"]))

    np.testing.assert_allclose(rates, [0.02, 0.035, 0.045, 0.05, 0.04], rtol=1e-5)


def test_a_state_that_lacks_a_weight_is_refused(stablehlo):
    training = stablehlo("bridge").BridgedTraining(srn.build_model(SMALL), clip_norm=3.0)
    arrays = training.read()
    del arrays["adam_v/enc1_1/weights"]
    with pytest.raises(InputError, match="adam_v/enc1_1/weights"):
        training.assign(arrays)
