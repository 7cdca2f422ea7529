import numpy as np
import pytest
import tensorflow as tf

from srn.training.schedules import Trapezoid, Warmup, polynomial_decay


@pytest.mark.parametrize("step, rate", [(0, 0.01), (60, 0.01), (80, 0.0051), (100, 0.0002), (200, 0.0002)])
def test_the_rate_falls_in_a_line_at_the_end(step, rate):
    schedule = Trapezoid(0.01, last_step=100, fall_steps=40, end_rate=0.0002)

    np.testing.assert_allclose(schedule(step), rate, rtol=1e-6)


def test_without_a_fall_it_stays():
    assert float(Trapezoid(0.01)(10**9)) == np.float32(0.01)


@pytest.mark.parametrize(
    "schedule",
    [Trapezoid(0.01, 100, 40, 0.0002), Warmup(polynomial_decay(0.8, 8), 4), Warmup(Trapezoid(0.01, 9, 3), 2)],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_schedule_survives_serialization(schedule):
    optimizer = tf.keras.optimizers.Adam(schedule, jit_compile=False)

    config = tf.keras.optimizers.Adam.from_config(optimizer.get_config()).get_config()
    copy = tf.keras.saving.deserialize_keras_object(tf.keras.saving.serialize_keras_object(schedule))

    assert config == optimizer.get_config()
    assert [float(copy(step)) for step in range(9)] == [float(schedule(step)) for step in range(9)]


def test_a_longer_run_begins_alike():
    short, long = Trapezoid(0.01, 100, 10), Trapezoid(0.01, 1000, 10)

    assert all(float(short(step)) == float(long(step)) for step in range(0, 91, 10))
