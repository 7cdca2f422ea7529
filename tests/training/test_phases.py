import pytest

from srn.errors import InputError
from srn.training.config import TrainingConfig
from srn.training.phases import Phase, parse_phases, plan_phases


def test_phases_follow_each_other_in_steps_and_in_samples():
    plan = plan_phases(parse_phases("128x16:0.3,256x8:0.7"), 1000)

    assert plan == [Phase(128, 16, 0, 300, 0), Phase(256, 8, 300, 1000, 4800)]
    assert plan[0].sample_at(10) == 160
    assert plan[1].sample_at(301) == 4808


def test_every_step_is_in_one_phase_however_short():
    for steps in (1, 2, 3, 7, 10):
        plan = plan_phases(parse_phases("16x4:0.1,32x2:0.25,48x1:0.65"), steps)

        assert plan[0].begin == 0 and plan[-1].end == steps
        assert all(one.end == other.begin for one, other in zip(plan, plan[1:]))


def test_without_phases_there_is_one():
    config = TrainingConfig(data_dir="x", crop_size=64, batch_size=3)

    assert config.phases_until(50) == [Phase(64, 3, 0, 50, 0)]


@pytest.mark.parametrize(
    "phases, message",
    [
        ("128:1", "phases: '128:1' is not valid; give CROPxBATCH:FRACTION"),
        ("128x0:1", "is not valid"),
        ("128x4:0.5", "phases: the fractions sum to 0.5, not to 1"),
        ("128x4:0.5,250x4:0.5", "phases=250 is not a multiple of 16"),
    ],
)
def test_phases_that_cannot_be_are_one_line(phases, message):
    with pytest.raises(InputError) as error:
        TrainingConfig(data_dir="x", phases=phases, max_steps=100)

    assert message in str(error.value)


def test_phases_need_an_end_and_equal_parts():
    with pytest.raises(InputError, match=r"phases: .* give `max_steps`"):
        TrainingConfig(data_dir="x", phases="128x4:1")
    with pytest.raises(InputError, match="accumulate=3 does not divide batch_size=4"):
        TrainingConfig(data_dir="x", phases="128x6:0.5,256x4:0.5", max_steps=10, accumulate=3)
