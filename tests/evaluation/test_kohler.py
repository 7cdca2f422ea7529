import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from srn.evaluation.kohler import score_frame
from srn.evaluation.kohler_set import score_against

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "kohler"


def picture(seed=0, height=170, width=180):
    """Blocks of random colours, none black and none above half; uint8."""
    blocks = np.random.default_rng(seed).integers(20, 120, (height // 5, width // 5, 3))
    return np.uint8(np.kron(blocks, np.ones((5, 5, 1))))


def golden(name):
    return cv2.imread(str(GOLDEN / f"{name}.png"))[..., ::-1]


def test_the_official_scores_are_reproduced():
    expected = json.loads((GOLDEN / "scores.json").read_text())
    restored, frames = golden("restored"), [golden(f"frame_{number}") for number in range(5)]

    for number, frame in enumerate(frames):
        score = score_frame(restored, frame)
        assert score.gain == pytest.approx(expected["alpha"][number], abs=1e-12)
        assert score.shift == tuple(expected["shift_int"][number])
        assert score.psnr == pytest.approx(expected["psnr"][number], abs=1e-9)
        assert score.mssim == pytest.approx(expected["mssim"][number], abs=1e-9)
    *best, count = score_against(restored, frames)
    assert count == len(frames)
    assert best == pytest.approx([expected["best_psnr"], expected["best_mssim"]], abs=1e-9)


def test_a_known_gain_is_undone():
    frame = picture()
    score = score_frame(2 * frame, frame)
    assert score.gain == 0.5
    assert score.shift == (0, 0)
    assert score.psnr == math.inf
    assert score.mssim == pytest.approx(1)


def test_a_known_shift_is_found_and_what_it_uncovers_counts_as_zero():
    large = picture(1, 180, 190)
    frame, restored = large[5:175, 4:184], large[2:172, 6:186]  # restored[r, c] is frame[r - 3, c + 2]
    score = score_frame(restored, frame)

    assert score.shift == (-3, 2)
    truth, seen = frame.astype(float) @ [0.299, 0.587, 0.114], restored.astype(float) @ [0.299, 0.587, 0.114]
    error = np.zeros_like(truth)
    error[:-3, 2:] = score.gain * seen[3:, :-2] - truth[:-3, 2:]
    assert score.psnr == pytest.approx(10 * math.log10(255**2 / np.mean(error**2)), abs=1e-9)


def test_each_metric_takes_its_own_best_frame():
    frames = [picture(seed) for seed in range(3)]
    scores = [score_frame(frames[0], frame) for frame in frames[1:]]
    best = score_against(frames[0], iter(frames[1:]))
    assert best == (max(score.psnr for score in scores), max(score.mssim for score in scores), 2)


def test_what_cannot_be_compared_is_said():
    frame = picture()
    with pytest.raises(ValueError, match="both must be uint8 and of one shape"):
        score_frame(frame, frame[:-1])
    with pytest.raises(ValueError, match="black everywhere"):
        score_frame(np.zeros_like(frame), frame)
    with pytest.raises(ValueError, match="no frame"):
        score_against(frame, [])
