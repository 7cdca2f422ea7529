import math

import pytest

from srn.evaluation.protocols import PAIRS
from srn.evaluation.scores import Score


def make_score(name="a/1", psnr=30.0, ssim=0.9, seconds=1.0):
    groups = {"sequence": name.rpartition("/")[0]} if "/" in name else {}
    values = {"psnr": psnr, "ssim_matlab": ssim, "ssim_channel": ssim}
    return Score(name, groups, values, seconds, psnr_blurry=25.0)


def test_the_summary_is_the_mean_over_images_not_over_sequences():
    scores = [make_score("a/1", 20, 0.5), make_score("a/2", 22, 0.6), make_score("b/1", 30, 1.0)]

    summary = PAIRS.summarise(scores)

    assert summary["psnr"] == pytest.approx(24)
    assert summary["ssim_channel"] == summary["ssim_matlab"] == pytest.approx(0.7)
    assert summary["images"] == 3
    assert summary["identical"] == 0
    assert list(summary["sequences"]) == ["a", "b"]
    assert summary["sequences"]["a"]["psnr"] == pytest.approx(21)
    assert summary["sequences"]["a"]["images"] == 2


def test_identical_images_are_counted_and_left_out_of_the_mean_of_psnr_only():
    scores = [make_score("a/1", 20, 0.5), make_score("a/2", math.inf, 1.0), make_score("b/1", math.inf, 1.0)]

    summary = PAIRS.summarise(scores)

    assert summary["psnr"] == 20
    assert summary["ssim_channel"] == pytest.approx(2.5 / 3)
    assert (summary["images"], summary["identical"]) == (3, 2)
    assert summary["sequences"]["a"]["psnr"] == 20
    assert summary["sequences"]["b"]["psnr"] == math.inf


def test_the_time_of_an_image_is_the_median_which_a_slow_first_one_does_not_move():
    scores = [make_score(seconds=seconds) for seconds in (60.0, 1.0, 2.0)]

    assert PAIRS.summarise(scores)["seconds_per_image"] == 2


def test_a_plain_folder_has_no_sequences():
    assert PAIRS.summarise([make_score("1")])["sequences"] == {}


def test_nothing_cannot_be_summarised():
    with pytest.raises(ValueError, match="no scores"):
        PAIRS.summarise([])


def test_an_identical_image_gains_nothing_over_an_identical_input():
    assert Score("1", {}, {"psnr": math.inf}, 0, psnr_blurry=math.inf).gain == 0


def test_what_was_not_measured_has_no_gain():
    assert Score("1", {}, {"psnr": 30.0}, 0).gain is None
