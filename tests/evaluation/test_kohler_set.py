import csv
import dataclasses
import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from srn.data.kohler import find_kohler
from srn.errors import WorkError
from srn.evaluation import kohler, scoring
from srn.evaluation.kohler import KOHLER
from srn.evaluation.methods import Method


def picture(seed):
    blocks = np.random.default_rng(seed).integers(20, 120, (34, 34, 3))
    return np.uint8(np.kron(blocks, np.ones((5, 5, 1))))


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
    best = kohler.score_against(blurry, frames)
    assert (scores["1_2"]["psnr"], scores["1_2"]["mssim"]) == (best.psnr, best.mssim)
    assert scores["1_3"]["psnr"] == kohler.score_against(cv2.blur(picture(1), (5, 1)), [picture(1)]).psnr


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


def test_the_command_writes_the_table(folder, command, tmp_path):
    out = tmp_path / "out"
    words = ("--ckpt=identity", "--dataset=kohler", f"--data_dir={folder}", f"--out_dir={out}")
    result = command("evaluate.py", *words)

    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [row["name"] for row in rows] == ["1_2", "1_3", "2_2"]
    summary = json.loads((out / "summary.json").read_text())
    assert {"psnr", "mssim", "images", "identical", "dataset", "ckpt"} <= set(summary)
    assert f"{summary['psnr']:.2f}" in result.stdout
    theirs = tmp_path / "theirs"
    for name in ("1_2", "1_3", "2_2"):
        write(theirs / f"{name}.png", picture(0))
    scored = command(
        "evaluate.py", f"--results_dir={theirs}", *words[1:3], f"--out_dir={tmp_path / 'theirs_out'}"
    )
    assert scored.returncode == 0, scored.stderr
    assert json.loads((tmp_path / "theirs_out/summary.json").read_text())["images"] == 3
    (folder / "Blurry1_2.png").unlink()
    again = command("evaluate.py", *words)
    assert again.returncode == 1
    assert "1 of 3 images have no score" in again.stderr
