"""Köhler's protocol: one frame by hand and by the official script, and a small set of images and frames."""

import csv
import dataclasses
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from srn.data.kohler import find_kohler
from srn.errors import WorkError
from srn.evaluation import kohler, scoring
from srn.evaluation.kohler import KOHLER, BestScores, score_against, score_frame
from srn.evaluation.methods import Method

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
    best = score_against(restored, frames)
    assert best.frames == len(frames)
    assert best.psnr == pytest.approx(expected["best_psnr"], abs=1e-9)
    assert best.mssim == pytest.approx(expected["best_mssim"], abs=1e-9)


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
    assert best == BestScores(
        max(score.psnr for score in scores), max(score.mssim for score in scores), frames=2
    )


def test_what_cannot_be_compared_is_said():
    frame = picture()
    with pytest.raises(ValueError, match="both must be uint8 and of one shape"):
        score_frame(frame, frame[:-1])
    with pytest.raises(ValueError, match="black everywhere"):
        score_frame(np.zeros_like(frame), frame)
    with pytest.raises(ValueError, match="no frame"):
        score_against(frame, [])


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


@pytest.fixture
def folder(tmp_path):
    """Image 1 with kernels 2 (PNG) and 3 (.mat, frame 30 of which must not count), image 2 with kernel 2."""
    for name, seed in (("1_2", 0), ("1_3", 1), ("2_2", 2)):
        write(tmp_path / f"Blurry{name}.png", cv2.blur(picture(seed), (5, 1)))
    for number in range(1, 4):
        for name, seed in (("1_2", 0), ("2_2", 2)):
            image, kernel = name.split("_")
            path = f"Image{image}/Kernel{kernel}/GroundTruth{name}_{number}.png"
            write(tmp_path / path, np.roll(picture(seed), number, axis=1))
    frames = np.stack([picture(9)] * 31, axis=-1)
    frames[..., 28] = picture(1)
    frames[..., 29] = cv2.blur(picture(1), (5, 1))  # would be perfect
    savemat(tmp_path / "GroundTruth1_3.mat", {"GroundTruth": frames})
    return tmp_path


def score_all(folder):
    """The scores of the blurry images."""
    return scoring.score_images(find_kohler(folder), Method(), KOHLER)


def test_each_image_is_scored_against_all_of_its_frames(folder):
    result = score_all(folder)

    assert not result.failures
    scores = {score.name: score.values for score in result.scores}
    assert {name: values["frames"] for name, values in scores.items()} == {"1_2": 3, "1_3": 30, "2_2": 3}
    blurry = cv2.blur(picture(0), (5, 1))
    frames = [np.roll(picture(0), number, axis=1) for number in range(1, 4)]
    best = score_against(blurry, frames)
    assert (scores["1_2"]["psnr"], scores["1_2"]["mssim"]) == (best.psnr, best.mssim)
    assert scores["1_3"]["psnr"] == score_against(cv2.blur(picture(1), (5, 1)), [picture(1)]).psnr


def test_means_are_over_images_over_kernels_and_over_all(folder):
    scores = score_all(folder).scores
    summary = KOHLER.summarise(scores)

    assert summary["images"] == 3
    assert summary["psnr"] == pytest.approx(np.mean([score.psnr for score in scores]))
    assert summary["by_image"]["1"]["mssim"] == pytest.approx(
        (scores[0].values["mssim"] + scores[1].values["mssim"]) / 2
    )
    assert summary["by_kernel"]["2"]["psnr"] == pytest.approx((scores[0].psnr + scores[2].psnr) / 2)
    assert set(summary["by_kernel"]) == {"2", "3"}
    table = KOHLER.format_table(scores, summary).splitlines()
    assert table[0].split() == ["kernel", "image", "1", "image", "2", "mean"]
    assert f"{scores[0].psnr:.2f}" in table[1]
    assert f"{summary['psnr']:.2f}" in table[3]


def test_trajectories_with_too_few_frames_are_counted(folder):
    scores = score_all(folder).scores

    assert kohler.count_incomplete(scores) == 3
    whole = [
        dataclasses.replace(score, values={**score.values, "frames": frames})
        for score, frames in zip(scores, (199, 198, 199))  # frame 30 of 1_3 is not used
    ]
    assert kohler.count_incomplete(whole) == 0


def test_what_fails_is_named_and_the_rest_is_scored(folder):
    (folder / "GroundTruth1_3.mat").write_bytes(b"nothing of MATLAB")
    (folder / "Image2" / "Kernel2" / "GroundTruth2_2_1.png").write_bytes(b"no image")
    result = score_all(folder)
    assert [score.name for score in result.scores] == ["1_2"]
    assert [line.partition(":")[0] for line in result.failures] == ["1_3", "2_2"]
    assert "GroundTruth1_3.mat" in result.failures[0]
    assert "GroundTruth2_2_1.png" in result.failures[1]


def test_an_array_of_another_kind_is_refused(tmp_path):
    savemat(tmp_path / "GroundTruth1_1.mat", {"GroundTruth": np.zeros((4, 4, 3))})
    (image,) = find_kohler(tmp_path)
    with pytest.raises(WorkError, match=r"not uint8 \[H, W, 3, N\]"):
        next(kohler.read_frames(image))


def test_the_command_scores_it(folder, call, tmp_path):
    out, data = tmp_path / "out", ("--dataset=kohler", f"--data_dir={folder}")
    code, printed, _ = call("--ckpt=identity", *data, f"--out_dir={out}")

    assert code == 0
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [(row["name"], row["frames"]) for row in rows] == [("1_2", "3"), ("1_3", "30"), ("2_2", "3")]
    summary = json.loads((out / "summary.json").read_text())
    assert {"psnr", "mssim", "images", "identical", "dataset", "ckpt"} <= set(summary)
    assert f"{summary['psnr']:.2f}" in printed and "fewer frames than the official ones for 3" in printed
    assert not (out / "sheet.png").exists()
    theirs = tmp_path / "theirs"
    for name in ("1_2", "1_3", "2_2"):
        write(theirs / f"{name}.png", picture(0))
    assert call(f"--results_dir={theirs}", *data, f"--out_dir={tmp_path / 'scored'}")[0] == 0
    assert json.loads((tmp_path / "scored/summary.json").read_text())["images"] == 3
    (folder / "Blurry1_2.png").unlink()
    code, _, lines = call("--ckpt=identity", *data, f"--out_dir={out}")
    assert (code, lines[-1]) == (1, "evaluate.py: 1 of 3 images have no score")
