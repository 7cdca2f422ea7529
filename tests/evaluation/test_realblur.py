import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from srn import metrics
from srn.evaluation.realblur import REALBLUR, score_aligned

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "realblur"


def picture(height=176, width=208):
    coarse = np.random.default_rng(0).integers(30, 220, (11, 13, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def test_the_reference_is_reproduced():
    expected = json.loads((GOLDEN / "scores.json").read_text())
    restored, sharp = (cv2.imread(str(GOLDEN / f"{name}.png"))[..., ::-1] for name in ("restored", "sharp"))

    score = score_aligned(restored, sharp)

    assert score.gain == pytest.approx(expected["alpha"], abs=1e-6)
    assert score.psnr == pytest.approx(expected["psnr"], abs=0.01)
    assert score.ssim == pytest.approx(expected["ssim"], abs=1e-4)
    assert score.covered == pytest.approx(expected["n_valid"], rel=1e-3)


def test_gain_and_shift_of_another_camera_are_undone():
    sharp = picture()
    moved = cv2.warpAffine(
        sharp, np.float32([[1, 0, 3], [0, 1, -2]]), sharp.shape[1::-1], borderMode=cv2.BORDER_REFLECT
    )
    score = score_aligned(np.uint8(np.rint(moved * 0.8)), sharp)

    assert score.gain == pytest.approx(1.25, rel=0.02)
    np.testing.assert_allclose(score.homography[:2, 2], [3, -2], atol=0.1)
    assert score.psnr > 40
    assert score.covered == pytest.approx((176 - 2) * (208 - 3), rel=0.01)


def test_identical_images_are_infinitely_good_or_nearly():
    score = score_aligned(picture(), picture())
    assert score.psnr > 60
    assert score.ssim == pytest.approx(1, abs=1e-4)


def test_what_cannot_be_compared_is_said():
    with pytest.raises(ValueError, match="of one shape"):
        score_aligned(picture(), picture()[:-1])
    flat = np.full((64, 64, 3), 90, np.uint8)
    with pytest.raises(ValueError, match="cannot be aligned"):
        score_aligned(flat, flat)


def test_each_column_is_the_number_that_it_says():
    sharp = picture()
    restored = cv2.blur(np.roll(sharp, 1, axis=1), (3, 1))
    aligned = score_aligned(restored, sharp)

    assert REALBLUR.score(restored, sharp) == {
        "psnr": aligned.psnr,
        "ssim_channel": aligned.ssim,
        "psnr_unaligned": metrics.psnr(restored, sharp),
        "ssim_channel_unaligned": metrics.ssim_channel(restored, sharp),
        "ssim_matlab": metrics.ssim_matlab(restored, sharp),
    }
