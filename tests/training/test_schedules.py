import numpy as np
import pytest

from srn.training.schedules import Trapezoid


@pytest.mark.parametrize("step, rate", [(0, 0.01), (60, 0.01), (80, 0.0051), (100, 0.0002), (200, 0.0002)])
def test_the_rate_falls_in_a_line_at_the_end(step, rate):
    schedule = Trapezoid(0.01, last_step=100, fall_steps=40, end_rate=0.0002)

    np.testing.assert_allclose(schedule(step), rate, rtol=1e-6)


def test_without_a_fall_it_stays():
    assert float(Trapezoid(0.01)(10**9)) == np.float32(0.01)


def test_a_longer_run_begins_alike():
    short, long = Trapezoid(0.01, 100, 10), Trapezoid(0.01, 1000, 10)

    assert all(float(short(step)) == float(long(step)) for step in range(0, 91, 10))
