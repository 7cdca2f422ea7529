"""`srn.evaluate` on small pairs: what it returns, what it leaves behind, what it refuses."""

import csv
import json
import os
import shutil

import cv2
import numpy as np
import pytest

import srn
from srn.data.pairs import find_pairs
from srn.evaluation import items, run
from srn.evaluation.methods import Network
from srn.evaluation.protocols import PAIRS, Column, Protocol
from srn.evaluation.scoring import default_workers


def soften(image):
    """A method that does something."""
    return cv2.GaussianBlur(image, (3, 3), 0)


def mse(first, second):
    first, second = (cv2.imread(str(path)).astype(float) for path in (first, second))
    return np.mean((first - second) ** 2)


def rows_of(folder):
    with open(folder / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Small weights as an .npz."""
    from srn.weights import save_npz

    path = tmp_path_factory.mktemp("weights") / "small.npz"
    save_npz(srn.build_model("sr_edrb1"), path)
    return path


def test_the_blurry_input_is_scored_and_nothing_is_written(pairs_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    results = srn.evaluate(pairs_dir, ckpt="identity")

    expected = 10 * np.log10(255**2 / mse(pairs_dir / "blur/0000.png", pairs_dir / "sharp/0000.png"))
    assert results.scores[0].psnr == pytest.approx(expected, abs=1e-9)
    assert results.summary["psnr"] == pytest.approx(np.mean([score.psnr for score in results.scores]))
    assert (results.dataset, results.images, list(results.by_method)) == ("pairs", 4, ["identity"])
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_leave_scores_images_and_pictures(pairs_dir, tmp_path, weights, capsys):
    results = srn.evaluate(pairs_dir, ckpt=str(weights), out_dir=tmp_path / "out", verbose=True)

    out, rows = tmp_path / "out", rows_of(tmp_path / "out")
    assert [row["name"] for row in rows] == ["0000", "0001", "0002", "0003"]
    expected = 10 * np.log10(255**2 / mse(out / "restored/0001.png", pairs_dir / "sharp/0001.png"))
    assert float(rows[1]["psnr"]) == pytest.approx(expected, abs=1e-5)
    assert cv2.imread(str(out / "sheet.png")) is not None
    assert (out / "report.html").exists() and (out / "results.md").exists()
    summary = summary_of(out)
    assert summary["psnr"] == pytest.approx(results.summary["psnr"])
    assert (summary["images"], summary["identical"], summary["dataset"]) == (4, 0, "pairs")
    assert (summary["ckpt"], summary["precision"], summary["results_dir"]) == (str(weights), "float32", None)
    assert len(summary["weights_sha256"]) == 64
    threads = default_workers(Network(None, ""))
    assert summary["workers"] == threads
    assert f"restoring alone, {threads} threads scoring beside it" in (out / "results.md").read_text()
    assert f"{results.summary['psnr']:.2f}" in capsys.readouterr().out


def test_the_options_of_a_network_reach_it(pairs_dir, monkeypatch):
    def deblurrer(*arguments, **options):
        raise srn.InputError(f"{arguments} {options}")

    monkeypatch.setattr("srn.inference.deblurrer.Deblurrer", deblurrer)
    options = {"precision": "bfloat16", "tile": 64, "self_ensemble": True, "truncate": False}

    with pytest.raises(srn.InputError) as error:
        srn.evaluate(pairs_dir, "w.npz", model="ss", **options)

    precision = options.pop("precision")
    assert str(error.value) == f"('w.npz', 'ss', {precision!r}) {options}"


def test_a_function_and_a_list_of_pairs_are_scored(pairs_dir):
    pairs = find_pairs(pairs_dir)

    of_pairs = srn.evaluate(pairs[:2], methods={"soft": soften})
    of_files = srn.evaluate([(pair.blurry, str(pair.sharp)) for pair in pairs[:2]], methods={"soft": soften})

    assert [score.name for score in of_pairs.scores] == ["0000", "0001"]
    assert [score.values for score in of_files.scores] == [score.values for score in of_pairs.scores]
    twice = [(pairs[0].blurry, pairs[0].sharp)] * 2
    with pytest.raises(srn.InputError, match="0000: 2 pairs have this name"):
        srn.evaluate(twice, "identity")


def test_images_of_another_program_are_scored(pairs_dir, tmp_path):
    theirs, out = tmp_path / "theirs", tmp_path / "out"
    shutil.copytree(pairs_dir / "sharp", theirs)

    results = srn.evaluate(pairs_dir, results_dir=str(theirs), out_dir=out)

    assert results.summary["identical"] == results.summary["images"] == 4
    assert summary_of(out)["results_dir"] == str(theirs)
    with pytest.raises(srn.InputError, match=r"out_dir=.*holds images to score"):
        srn.evaluate(pairs_dir, results_dir=str(theirs), out_dir=theirs)
    next(theirs.iterdir()).unlink()
    with pytest.raises(srn.InputError, match=r"results_dir=.*no image for 1 of 4"):
        srn.evaluate(pairs_dir, results_dir=str(theirs))


def test_several_methods_are_compared_in_one_table_and_one_picture(pairs_dir, tmp_path, capsys):
    folders = [f"truth={pairs_dir / 'sharp'}", str(pairs_dir / "blur")]

    results = srn.evaluate(
        pairs_dir,
        ["identity", "again=identity"],
        results_dir=folders,
        methods={"soft": soften},
        out_dir=tmp_path / "out",
        verbose=True,
    )

    labels = ["identity", "again", "truth", "blur", "soft"]
    table = (tmp_path / "out/comparison.md").read_text()
    rows = [line.split("**")[1] for line in table.splitlines() if "**" in line]
    assert rows == [*labels, *labels[1:]]  # the means, and the differences from the first
    assert "| minus identity |" in table and "nan" not in table
    assert table in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "out/comparison.png")) is not None
    assert all((tmp_path / "out" / label / "report.html").exists() for label in labels)
    assert summary_of(tmp_path / "out/truth")["identical"] == 4
    assert results.by_method["again"].summary["psnr"] == results.summary["psnr"]


@pytest.mark.parametrize("folders", [["{0}/blur", "{0}/blur"], ["../up={0}/sharp"], ["=={0}/blur"]])
def test_names_that_cannot_be_folders_or_clash_are_refused(pairs_dir, folders):
    with pytest.raises(srn.InputError, match=r"results_dir: .*NAME=PATH"):
        srn.evaluate(pairs_dir, results_dir=[folder.format(pairs_dir) for folder in folders])


def test_an_interrupted_evaluation_resumes(pairs_dir, tmp_path, weights, monkeypatch):
    words = {"ckpt": str(weights), "out_dir": tmp_path / "out"}
    restore, calls = srn.Deblurrer.__call__, []

    def restore_and_interrupt(self, image):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return restore(self, image)

    monkeypatch.setattr(srn.Deblurrer, "__call__", restore_and_interrupt)
    first = srn.evaluate(pairs_dir, **words).by_method["small.npz"]
    (journal,) = (tmp_path / "out").glob("scores-*.jsonl")
    journal.write_text(journal.read_text()[:-40])  # killed while writing
    kept = (tmp_path / "out/restored/0000.png").stat().st_mtime_ns

    second = srn.evaluate(pairs_dir, **words).by_method["small.npz"]

    assert (first.interrupted, len(first.scores)) == (True, 2)
    assert (second.interrupted, len(second.scores), second.resumed) == (False, 4, 1)
    assert (tmp_path / "out/restored/0000.png").stat().st_mtime_ns == kept
    other = srn.evaluate(pairs_dir, **words, truncate=True).by_method["small.npz"]
    assert other.resumed == 0
    assert summary_of(tmp_path / "out")["truncate"] is True


def test_a_new_column_begins_a_journal_of_its_own(pairs_dir, tmp_path):
    class WithError(Protocol):
        columns = {
            **PAIRS.columns,
            "mae": Column(
                "MAE", "mean absolute error", 1, lambda pair: float(np.mean(abs(pair.sharp - 0.0)))
            ),
        }

    srn.evaluate(pairs_dir, "identity", out_dir=tmp_path / "out")
    results = srn.evaluate(pairs_dir, "identity", out_dir=tmp_path / "out", protocol=WithError())
    again = srn.evaluate(pairs_dir, "identity", out_dir=tmp_path / "out")

    assert results.by_method["identity"].resumed == 0
    assert set(results.summary) > {"mae", "psnr"}
    assert again.by_method["identity"].resumed == 4
    assert len(list((tmp_path / "out").glob("scores-*.jsonl"))) == 2


def test_a_function_is_never_taken_for_what_it_was(pairs_dir, tmp_path):
    for method in (soften, lambda image: image):
        results = srn.evaluate(pairs_dir, methods={"mine": method}, out_dir=tmp_path / "out")

    assert results.by_method["mine"].resumed == 0
    assert all(score.gain == 0 for score in results.scores)


def test_reports_of_an_earlier_evaluation_do_not_stay_beside_new_ones(pairs_dir, tmp_path):
    srn.evaluate(pairs_dir, methods={"mine": soften}, out_dir=tmp_path / "out")
    assert (tmp_path / "out/sheet.png").exists()

    srn.evaluate(pairs_dir, "identity", out_dir=tmp_path / "out")

    assert not (tmp_path / "out/sheet.png").exists()
    assert summary_of(tmp_path / "out")["ckpt"] == "identity"


@pytest.mark.parametrize("kind", ["deep", "missing", "size"])
def test_a_ground_truth_that_cannot_be_used_is_found_before_work_begins(pairs_dir, tmp_path, kind):
    sharp = pairs_dir / "sharp/0002.png"
    image = cv2.imread(str(sharp))
    if kind == "missing":
        sharp.unlink()
    else:
        cv2.imwrite(str(sharp), image.astype(np.uint16) * 257 if kind == "deep" else image[1:])

    with pytest.raises(srn.InputError, match=r"0002.png") as error:
        srn.evaluate(pairs_dir, "identity", out_dir=tmp_path / "out")

    assert {"deep": "in colour, 8 bits", "missing": "sharp", "size": "64x63"}[kind] in str(error.value)
    assert not (tmp_path / "out").exists()


def test_images_too_small_for_ssim_are_found_before_work_begins(tmp_path, make_pairs):
    pairs = make_pairs(tmp_path / "pairs", count=1, height=10, width=30)

    with pytest.raises(srn.InputError, match="30x10, smaller than the 11x11 needed"):
        srn.evaluate(pairs, "identity")


def test_gray_images_are_compared_as_three_equal_channels(pairs_dir):
    for side in ("blur", "sharp"):
        image = cv2.imread(str(pairs_dir / side / "0000.png"), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(pairs_dir / side / "0000.png"), image)

    score = srn.evaluate(pairs_dir, "identity").scores[0]

    expected = 10 * np.log10(255**2 / mse(pairs_dir / "blur/0000.png", pairs_dir / "sharp/0000.png"))
    assert score.psnr == pytest.approx(expected, abs=1e-9)


def test_a_folder_that_cannot_be_written_is_named(pairs_dir, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(srn.InputError, match="file/out: cannot be written"):
        srn.evaluate(pairs_dir, "identity", out_dir=tmp_path / "file" / "out")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "give `ckpt` or `results_dir`"),
        ({"ckpt": "identity", "dataset": "gopr"}, "dataset=gopr is not one of auto, pairs, .*kohler"),
        ({"ckpt": "identity", "split": "val"}, "split=val is not one of test, train"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(pairs_dir, arguments, message):
    with pytest.raises(srn.InputError, match=message):
        srn.evaluate(pairs_dir, **arguments)


def test_what_of_gopro_departs_from_the_paper_is_said(gopro_dir, capsys):
    os.rename(gopro_dir / "train/GOPR0001/blur", gopro_dir / "train/GOPR0001/blur_gamma")
    shutil.rmtree(gopro_dir / "train/GOPR0002")

    results = srn.evaluate(gopro_dir, "identity", split="train", blur_folder="blur_gamma", verbose=True)

    assert results.dataset == "gopro"
    assert "identity on gopro, the folder blur_gamma, the split train: 2 images" in capsys.readouterr().out


def test_each_data_set_has_its_protocol():
    assert {items.protocol_of(name).name for name in items.LAYOUTS} == {"pairs", "realblur", "kohler"}
    assert items.protocol_of("realblur").name == "realblur" and items.protocol_of("reds") is PAIRS


def test_the_real_evaluation_pairs_score_as_they_should(shared):
    summary = srn.evaluate(shared / "data" / "gopro_eval", "identity").summary

    assert summary["images"] == 11
    assert summary["psnr"] == pytest.approx(24.48, abs=0.005)
    assert summary["ssim_channel"] == pytest.approx(0.7593, abs=5e-5)


def test_damage_inside_an_image_costs_that_image_alone(pairs_dir):
    content = bytearray((pairs_dir / "blur/0003.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (pairs_dir / "blur/0003.png").write_bytes(content)

    results = srn.evaluate(pairs_dir, "identity")

    (line,) = results.by_method["identity"].failures
    assert line.startswith("0003: ") and "blur/0003.png" in line
    assert results.summary["images"] == 3


def make_deep(folder, side, depth=np.uint16):
    for path in (folder / side).iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path)).astype(depth) * 257 + 3)


def test_pairs_of_sixteen_bits_are_scored_in_sixteen_bits(pairs_dir, tmp_path, weights):
    for side in ("blur", "sharp"):
        make_deep(pairs_dir, side)

    results = srn.evaluate(pairs_dir, ["identity", str(weights)], out_dir=tmp_path / "out")

    blurry, sharp = (
        cv2.imread(str(pairs_dir / side / "0000.png"), -1).astype(float) for side in ("blur", "sharp")
    )
    assert blurry.max() > 60000
    expected = 10 * np.log10(65535**2 / np.mean((blurry - sharp) ** 2))
    assert results.scores[0].psnr == pytest.approx(expected, abs=1e-9)
    assert "peak 65535" in summary_of(tmp_path / "out/identity")["metrics"]["psnr"]
    restored = cv2.imread(str(tmp_path / "out/small.npz/restored/0000.png"), -1)
    assert restored.dtype == np.uint16 and len(np.unique(restored % 257)) > 100
    (pairs_dir / "theirs").mkdir()
    for path in (pairs_dir / "sharp").iterdir():
        cv2.imwrite(str(pairs_dir / "theirs" / path.name), cv2.imread(str(path)))
    with pytest.raises(
        srn.InputError, match=r"theirs/0000.png: in colour, 8 bits, but .* is in colour, 16 bits"
    ):
        srn.evaluate(pairs_dir, results_dir=str(pairs_dir / "theirs"))


def test_gray_results_of_colour_images_are_refused_by_name(pairs_dir, tmp_path):
    for path in (pairs_dir / "sharp").iterdir():
        (tmp_path / "gray").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "gray" / path.name), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))

    with pytest.raises(srn.InputError, match=r"gray/0000.png: gray, 8 bits, but .* is in colour, 8 bits"):
        srn.evaluate(pairs_dir, results_dir=str(tmp_path / "gray"))
    shutil.rmtree(pairs_dir / "sharp")
    os.rename(tmp_path / "gray", pairs_dir / "sharp")
    with pytest.raises(srn.InputError, match=r"sharp/0003.png is gray, 8 bits; convert one"):
        srn.evaluate(pairs_dir, "identity")


def test_images_of_two_depths_are_not_mixed(pairs_dir):
    for side in ("blur", "sharp"):
        path = pairs_dir / side / "0002.png"
        cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) * 257)

    with pytest.raises(srn.InputError, match=r"0002.png: does not have 8 bits like .*0000.png"):
        srn.evaluate(pairs_dir, "identity")


def test_sequences_and_a_number_of_images_are_chosen(gopro_dir, capsys):
    words = {"ckpt": "identity", "split": "train"}

    one = srn.evaluate(gopro_dir, **words, sequence="GOPR0002", verbose=True)
    few = srn.evaluate(gopro_dir, **words, limit=3, verbose=True)

    assert [score.name for score in one.scores] == ["GOPR0002/0000", "GOPR0002/0001"]
    assert [score.name for score in few.scores] == ["GOPR0001/0000", "GOPR0001/0001", "GOPR0002/0000"]
    printed = capsys.readouterr().out
    assert "the sequence GOPR0002: 2 images" in printed and "the first 3 of 4 images: 3 images" in printed
    with pytest.raises(srn.InputError, match="sequence=GOPR9 is not one of GOPR0001, GOPR0002"):
        srn.evaluate(gopro_dir, **words, sequence="GOPR9")


def test_official_scripts_take_no_options(tmp_path, make_pairs):
    folder = make_pairs(tmp_path / "scene001", count=1, blur_folder="blur")
    os.rename(folder / "sharp", folder / "gt")
    os.rename(folder / "blur/0000.png", folder / "blur/blur_1.png")
    os.rename(folder / "gt/0000.png", folder / "gt/gt_1.png")

    with pytest.raises(srn.InputError, match="luma: realblur is scored by its official script"):
        srn.evaluate(tmp_path, "identity", luma=True)


def test_a_disk_that_fills_up_while_reports_are_written_is_named(pairs_dir, tmp_path, monkeypatch):
    def fill(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run.outcome, "write_reports", fill)
    (pairs_dir / "sharp/0003.png").write_bytes((pairs_dir / "sharp/0003.png").read_bytes()[:300] + b"IEND")

    with pytest.raises(srn.WorkError) as error:
        srn.evaluate(pairs_dir, "identity", out_dir=tmp_path / "out")

    lines = str(error.value).splitlines()
    assert lines[0].startswith("0003: ") and lines[1] == "1 of 4 images have no score"
    assert (
        lines[2]
        == f"{tmp_path}/out: reports cannot be written (No space left on device); finished scores are kept"
    )
