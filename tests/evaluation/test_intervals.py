import itertools
import math

import numpy as np
import pytest

from srn.evaluation.intervals import difference_of, interval_of
from srn.evaluation.scores import Score


def scores_of(values, sequences=None):
    sequences = sequences or [None] * len(values)
    return [
        Score(str(index), {} if sequence is None else {"sequence": sequence}, {"psnr": value}, 0.0)
        for index, (value, sequence) in enumerate(zip(values, sequences))
    ]


def test_three_images_give_the_quantiles_of_all_27_draws():
    """All draws can be counted: of 27 means the middle 95% is what 10,000 draws must come near to."""
    values = [20.0, 23.0, 29.0]
    means = sorted(np.mean(drawn) for drawn in itertools.product(values, repeat=3))

    low, high = interval_of(scores_of(values), "psnr", "sequence")

    assert low in (means[0], *means[1:4]) and high in (means[-1], *means[-4:-1])
    assert (low, high) == (20.0, 29.0)  # 1/27 at each end is more than 2.5%


def test_the_interval_is_that_of_the_normal_law_for_many_images():
    values = np.random.default_rng(1).normal(30, 2, 400)

    low, high = interval_of(scores_of(values), "psnr", "sequence")

    half = 1.96 * values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_whole_sequences_are_drawn():
    values = [20.0] * 50 + [30.0] * 50
    by_sequence = scores_of(values, ["a"] * 50 + ["b"] * 50)

    assert interval_of(by_sequence, "psnr", "sequence") == (20.0, 30.0)
    low, high = interval_of(scores_of(values), "psnr", "sequence")
    assert 23.5 < low < 24.5 and 25.5 < high < 26.5
    assert interval_of(scores_of(values, ["a"] * 100), "psnr", "sequence") is None


def test_identical_images_are_left_out_as_in_the_mean():
    values = [20.0, 22.0, 24.0]

    assert interval_of(scores_of([*values, math.inf]), "psnr", "sequence") == interval_of(
        scores_of(values), "psnr", "sequence"
    )
    assert interval_of(scores_of([math.inf, 20.0]), "psnr", "sequence") is None


def test_a_paired_difference_is_surer_than_the_means():
    hard = np.random.default_rng(2).normal(30, 4, 60)  # images differ by much, methods by little
    ours = scores_of(hard + 0.2 + np.random.default_rng(3).normal(0, 0.05, 60))
    theirs = scores_of(hard)

    difference = difference_of(ours, theirs, "psnr", "sequence")

    assert difference.mean == pytest.approx(0.2, abs=0.02)
    assert 0.17 < difference.interval[0] < difference.mean < difference.interval[1] < 0.23
    assert (difference.higher, difference.images) == (60, 60)
    low, high = interval_of(ours, "psnr", "sequence")
    assert high - low > 1


def test_differences_of_identical_images():
    ours, theirs = scores_of([math.inf, math.inf, 31.0, 30.0]), scores_of([math.inf, 30.0, 30.0, 30.0])

    difference = difference_of(ours, theirs, "psnr", "sequence")

    assert difference.mean == pytest.approx(1 / 3)  # of 0, 1 and 0
    assert (difference.higher, difference.images) == (2, 4)
    with pytest.raises(ValueError, match="same images"):
        difference_of(ours, theirs[:-1], "psnr", "sequence")


def test_the_interval_is_the_same_each_time():
    scores = scores_of(np.random.default_rng(4).normal(30, 2, 50))

    assert interval_of(scores, "psnr", "sequence") == interval_of(scores, "psnr", "sequence")
