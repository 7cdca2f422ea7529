"""The commands as real processes: what they do, and what they say when they cannot."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from srn import released

ROOT = Path(__file__).resolve().parents[1]
TRAIN = ("train.py", "--model=sr_edrb1", "--crop_size=16", "--batch_size=2", "--epochs=10", "--log_every=1")


def lines_of_mistake(result, code=2):
    """The lines on stderr of a command that ended with `code`, all of them its own."""
    lines = [line for line in result.stderr.splitlines() if line.strip() and "libpng" not in line]
    assert result.returncode == code, result.stderr
    assert lines
    assert all(line.startswith(("train.py: ", "evaluate.py: ", "export_savedmodel.py: ")) for line in lines)
    return lines


@pytest.fixture(scope="module")
def trained(tmp_path_factory, command, make_pairs):
    """(model directory after 2 steps, folder of pairs)."""
    folder = tmp_path_factory.mktemp("trained")
    pairs = make_pairs(folder / "pairs", count=3, height=40, width=36)
    result = command(*TRAIN, f"--data_dir={pairs}", f"--model_dir={folder / 'run'}", "--max_steps=2")
    assert result.returncode == 0, result.stderr
    return folder / "run", pairs


def test_training_leaves_a_checkpoint_its_recipe_and_its_logs(trained):
    run, pairs = trained

    assert (run / "step-2.index").exists()
    assert json.loads((run / "model.json").read_text())["model"] == "sr_edrb1"
    recipe = (run / "flags.cfg").read_text().splitlines()
    assert {"--model=sr_edrb1", "--crop_size=16", "--epochs=10", f"--data_dir={pairs}"} <= set(recipe)
    assert list((run / "logs").iterdir())


def test_a_run_goes_on_from_its_recipe(trained, command, tmp_path):
    run, _ = trained

    result = command("train.py", f"--flagfile={run / 'flags.cfg'}", "--max_steps=3")
    again = command("train.py", f"--flagfile={run / 'flags.cfg'}", "--max_steps=3")

    assert result.returncode == again.returncode == 0
    assert "step 2 to 3" in result.stdout
    assert "nothing left to do" in again.stdout


def test_an_interrupted_run_saves_and_says_so(trained, tmp_path):
    _, pairs = trained
    words = [*TRAIN, f"--data_dir={pairs}", f"--model_dir={tmp_path / 'run'}", "--max_steps=100000"]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
    )
    output = ""
    while "loss=" not in output:  # the bar shows the loss of a first step
        character = process.stdout.read(1)
        assert character, output
        output += character

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "is saved in" in output and "Traceback" not in output
    assert list((tmp_path / "run").glob("step-*.index"))


def test_evaluation_writes_scores_pictures_and_a_sheet(trained, command, tmp_path):
    run, pairs = trained

    result = command("evaluate.py", f"--ckpt={run}", f"--data_dir={pairs}", f"--out_dir={tmp_path}")

    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [row["name"] for row in rows] == ["0000", "0001", "0002"]
    assert (summary["images"], summary["identical"], summary["dataset"]) == (3, 0, "pairs")
    assert summary["psnr"] == pytest.approx(np.mean([float(row["psnr"]) for row in rows]), abs=1e-5)
    assert {"ssim_channel", "ssim_matlab", "ckpt", "precision"} <= set(summary)
    restored = cv2.imread(str(tmp_path / "restored/0001.png"))
    sharp = cv2.imread(str(pairs / "sharp/0001.png"))
    error = np.mean((restored.astype(float) - sharp) ** 2)
    assert float(rows[1]["psnr"]) == pytest.approx(10 * np.log10(255**2 / error), abs=1e-5)
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_identity_scores_the_blurry_input(trained, command, tmp_path):
    _, pairs = trained

    result = command("evaluate.py", "--ckpt=identity", f"--data_dir={pairs}", f"--out_dir={tmp_path}")

    assert result.returncode == 0, result.stderr
    blurry, sharp = (cv2.imread(str(pairs / side / "0000.png")).astype(float) for side in ("blur", "sharp"))
    expected = 10 * np.log10(255**2 / np.mean((blurry - sharp) ** 2))
    first = next(csv.DictReader((tmp_path / "results.csv").open()))
    assert float(first["psnr"]) == pytest.approx(expected, abs=1e-5)


def test_images_of_another_program_are_scored(trained, command, tmp_path):
    _, pairs = trained
    theirs = tmp_path / "theirs"
    shutil.copytree(pairs / "sharp", theirs)
    words = ("evaluate.py", f"--results_dir={theirs}", f"--data_dir={pairs}", f"--out_dir={tmp_path / 'out'}")

    result = command(*words)

    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["identical"] == summary["images"] > 0
    assert summary["results_dir"] == str(theirs)
    assert "holds images to score; choose another" in command(*words[:3], f"--out_dir={theirs}").stderr
    next(theirs.iterdir()).unlink()
    assert "no image for 1 of" in command(*words).stderr


def test_several_methods_are_compared_in_one_table_and_one_picture(trained, command, tmp_path):
    run, pairs = trained
    out = tmp_path / "out"
    words = (f"--results_dir=truth={pairs / 'sharp'}", f"--results_dir={pairs / 'blur'}", f"--ckpt={run}")

    result = command("evaluate.py", *words, f"--data_dir={pairs}", f"--out_dir={out}")

    assert result.returncode == 0, result.stderr
    table = (out / "comparison.md").read_text()
    assert [line.split("**")[1] for line in table.splitlines() if "**" in line] == [run.name, "truth", "blur"]
    assert cv2.imread(str(out / "comparison.png")) is not None
    for label in (run.name, "truth", "blur"):
        assert (out / label / "report.html").exists()
    assert json.loads((out / "truth/summary.json").read_text())["identical"] == 3
    for wrong in (
        words[1:2] * 2,
        [f"--results_dir=../up={pairs / 'sharp'}"],
        [f"--results_dir=={pairs / 'blur'}"],
    ):
        clash = command("evaluate.py", *wrong, f"--data_dir={pairs}", f"--out_dir={out}")
        assert "NAME=FOLDER" in lines_of_mistake(clash)[0]
    inside = command(
        "evaluate.py", f"--results_dir={out / 'blur'}", *words[1:2], f"--data_dir={pairs}", f"--out_dir={out}"
    )
    assert inside.returncode == 2


def test_an_evaluation_that_was_stopped_goes_on_where_it_was(trained, command, tmp_path):
    run, pairs = trained
    words = ("evaluate.py", f"--ckpt={run}", f"--data_dir={pairs}", f"--out_dir={tmp_path}")
    first = command(*words)
    (journal,) = tmp_path.glob("scores-*.jsonl")
    journal.write_text(journal.read_text()[:-40])  # killed while writing
    kept = (tmp_path / "restored/0000.png").stat().st_mtime_ns

    second = command(*words)

    assert "3 images; written" in first.stdout
    assert "3 images, 2 of them scored before; written" in second.stdout
    assert (tmp_path / "restored/0000.png").stat().st_mtime_ns == kept
    other = command(*words, "--truncate")
    assert "3 images; written" in other.stdout
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["truncate"] is True and len(summary["weights_sha256"]) == 64
    assert "--truncate" in summary["command"]


def test_interrupting_an_evaluation_reports_what_is_there(trained, command, tmp_path):
    """Ctrl-C while the second image is restored, sent from inside, so that the moment is certain."""
    run, pairs = trained
    code = (
        "import os, signal, sys; sys.argv = sys.argv[1:]\n"
        "from srn.inference import deblurrer\n"
        "restore, calls = deblurrer.Deblurrer.__call__, []\n"
        "def restore_and_interrupt(self, image):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 2: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return restore(self, image)\n"
        "deblurrer.Deblurrer.__call__ = restore_and_interrupt\n"
        "import runpy; runpy.run_path('evaluate.py', run_name='__main__')"
    )
    result = command(
        "-c", code, "evaluate.py", f"--ckpt={run}", f"--data_dir={pairs}", f"--out_dir={tmp_path}"
    )

    assert result.returncode == 130
    assert "1 of 3 images are scored; the same command goes on" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads((tmp_path / "summary.json").read_text())["images"] == 1
    (journal,) = tmp_path.glob("scores-*.jsonl")
    assert journal.read_text().count('"score"') == 1


@pytest.mark.parametrize("kind", ["deep", "missing", "size"])
def test_truths_that_cannot_be_used_are_found_before_work_begins(command, pairs_dir, tmp_path, kind):
    sharp = pairs_dir / "sharp/0002.png"
    image = cv2.imread(str(sharp))
    if kind == "missing":
        sharp.unlink()
    else:
        cv2.imwrite(str(sharp), image.astype(np.uint16) * 257 if kind == "deep" else image[1:])

    words = ("evaluate.py", "--ckpt=identity", f"--data_dir={pairs_dir}", f"--out_dir={tmp_path / 'out'}")
    lines = lines_of_mistake(command(*words))

    assert "0002.png" in lines[0]
    assert {"deep": "more than 8 bits", "missing": "sharp", "size": "64x63"}[kind] in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_gray_truth_is_compared_as_three_equal_channels(command, pairs_dir, tmp_path):
    for side in ("blur", "sharp"):
        image = cv2.imread(str(pairs_dir / side / "0000.png"), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(pairs_dir / side / "0000.png"), image)

    result = command(
        "evaluate.py", "--ckpt=identity", f"--data_dir={pairs_dir}", f"--out_dir={tmp_path / 'out'}"
    )

    assert result.returncode == 0, result.stderr
    blurry, sharp = (
        cv2.imread(str(pairs_dir / side / "0000.png"), cv2.IMREAD_GRAYSCALE).astype(float)
        for side in ("blur", "sharp")
    )
    first = next(csv.DictReader((tmp_path / "out/results.csv").open()))
    expected = 10 * np.log10(255**2 / np.mean((blurry - sharp) ** 2))
    assert float(first["psnr"]) == pytest.approx(expected, abs=1e-5)


def test_a_folder_that_cannot_be_written_is_named(command, pairs_dir, tmp_path):
    (tmp_path / "file").write_text("")

    out = tmp_path / "file" / "out"
    lines = lines_of_mistake(
        command("evaluate.py", "--ckpt=identity", f"--data_dir={pairs_dir}", f"--out_dir={out}")
    )

    assert f"{out}: cannot be written" in lines[0]


def test_the_released_weights_score_as_their_card_says(shared, command, tmp_path):
    card = released.read_card(released.DEFAULT)["scores"]
    pairs = shared / "data" / "gopro_eval"

    result = command(
        "evaluate.py", f"--ckpt={released.DEFAULT}", f"--data_dir={pairs}", f"--out_dir={tmp_path}"
    )

    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    for metric, precision in (("psnr", 0.01), ("ssim_channel", 1e-3), ("ssim_matlab", 1e-3)):
        key = "psnr_db" if metric == "psnr" else metric
        assert summary[metric] == pytest.approx(card[key]["float32"], abs=precision)


def test_the_real_evaluation_pairs_score_as_they_should(shared, command, tmp_path):
    pairs = shared / "data" / "gopro_eval"

    result = command("evaluate.py", "--ckpt=identity", f"--data_dir={pairs}", f"--out_dir={tmp_path}")

    summary = json.loads((tmp_path / "summary.json").read_text())
    assert result.returncode == 0, result.stderr
    assert summary["images"] == 11
    assert summary["psnr"] == pytest.approx(24.48, abs=0.005)
    assert summary["ssim_channel"] == pytest.approx(0.7593, abs=5e-5)


def test_a_savedmodel_answers_saved_model_cli(trained, command, tmp_path):
    run, _ = trained
    np.save(tmp_path / "image.npy", np.random.default_rng(0).random((1, 21, 30, 3), np.float32))

    result = command("export_savedmodel.py", f"--ckpt={run}", f"--export_dir={tmp_path / 'served'}")
    answer = command(
        *("-m", "tensorflow.python.tools.saved_model_cli", "run", "--dir", tmp_path / "served/1"),
        *("--tag_set", "serve", "--signature_def", "serving_default"),
        *("--inputs", f"image={tmp_path / 'image.npy'}", "--outdir", tmp_path / "out"),
    )

    assert result.returncode == 0, result.stderr
    assert answer.returncode == 0, answer.stderr
    restored = np.load(tmp_path / "out/restored.npy")
    assert restored.shape == (1, 21, 30, 3)
    assert 0 <= restored.min() <= restored.max() <= 1


@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "export_savedmodel.py"])
def test_help_shows_the_commands_own_flags(command, script):
    result = command(script, "--help")

    assert result.returncode == 0
    assert "--precision" in result.stdout
    assert "--alsologtostderr" not in result.stdout


@pytest.mark.parametrize(
    "words, part",
    [
        (("train.py", "--learning_rat=1"), "learning_rat"),
        (("train.py", "--batch_size=many"), "batch_size"),
        (("train.py", "--batch_size=0"), "batch_size"),
        (("train.py", "--model=srn2"), "srn|"),
        (("train.py", "extra"), "what is 'extra'?"),
        (("train.py", "--flagfile=nothing.cfg"), "nothing.cfg"),
        (("train.py",), "--data_dir is needed"),
        (("train.py", "--crop_size=250", "--data_dir=."), "nearest: 240 and 256"),
        (("train.py", "--data_dir=nothing"), "nothing: there is no such folder"),
        (("train.py", "--data_dir=flags"), "flags: no pairs there"),
        (("evaluate.py", "--ckpt=identity"), "--data_dir is needed"),
        (("evaluate.py", "--data_dir=."), "--ckpt is needed"),
        (("evaluate.py", "--data_dir=.", "--ckpt=x", "--tile=20"), "--tile"),
        (("export_savedmodel.py", "--ckpt=x"), "--export_dir is needed"),
        (("export_savedmodel.py", "--ckpt=nothing", "--export_dir=/tmp/x"), "nothing: there is no such file"),
    ],
)
def test_a_wrong_call_is_one_line(command, words, part):
    (line,) = lines_of_mistake(command(*words))

    assert part in line


def test_a_stray_word_in_a_flagfile_is_one_line(command, tmp_path):
    (tmp_path / "run.cfg").write_text("--batch_size=2\nlearning_rate=3\n")

    (line,) = lines_of_mistake(command("train.py", f"--flagfile={tmp_path / 'run.cfg'}"))

    assert "'learning_rate=3'" in line


def test_bad_files_are_a_line_each_together(command, pairs_dir):
    (pairs_dir / "blur/0000.png").write_text("no image")
    (pairs_dir / "sharp/0002.png").unlink()

    for script in (("train.py", "--crop_size=16"), ("evaluate.py", "--ckpt=identity")):
        lines = lines_of_mistake(command(*script, f"--data_dir={pairs_dir}"))

        assert len(lines) == 2
        assert "0002.png: has no partner" in lines[0]
        assert "0000.png: not an image" in lines[1]


def test_a_checkpoint_of_another_model_is_one_line(trained, command, tmp_path):
    run, pairs = trained

    for words in (
        ("evaluate.py", f"--ckpt={run}", "--model=srn", f"--data_dir={pairs}", f"--out_dir={tmp_path}"),
        (
            "train.py",
            f"--init_from={run}",
            "--crop_size=16",
            f"--data_dir={pairs}",
            f"--model_dir={tmp_path / 'a'}",
        ),
        ("train.py", "--model=ss", "--crop_size=16", f"--data_dir={pairs}", f"--model_dir={run}"),
    ):
        (line,) = lines_of_mistake(command(*words))
        assert "model" in line


def test_damage_inside_an_image_is_named_and_the_steps_before_are_saved(command, pairs_dir, tmp_path):
    content = bytearray((pairs_dir / "blur/0003.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (pairs_dir / "blur/0003.png").write_bytes(content)

    result = command(*TRAIN, f"--data_dir={pairs_dir}", f"--model_dir={tmp_path / 'run'}", "--max_steps=9")

    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("train.py: ")]
    assert "blur/0003.png: cannot be decoded" in lines[0]
    assert "is saved in" in lines[1]
    assert "Traceback" not in result.stderr
    scores = command(
        "evaluate.py", "--ckpt=identity", f"--data_dir={pairs_dir}", f"--out_dir={tmp_path / 'out'}"
    )
    assert lines_of_mistake(scores, code=1)[-1].endswith("1 of 4 images have no score")
    assert json.loads((tmp_path / "out/summary.json").read_text())["images"] == 3


def test_a_file_that_goes_away_is_named_and_the_steps_before_are_saved(command, pairs_dir, tmp_path):
    """A link to nothing passes for a file that was there when the run began."""
    code = (
        "import os, sys; sys.argv = sys.argv[1:]\n"
        "from srn.data import pairs\n"
        "find = pairs.find_pairs\n"
        "def find_and_lose(*arguments, **options):\n"
        "    found = find(*arguments, **options)\n"
        "    os.remove(found[1].sharp)\n"
        "    return found\n"
        "pairs.find_pairs = find_and_lose\n"
        "import runpy; runpy.run_path('train.py', run_name='__main__')"
    )
    run = tmp_path / "run"

    result = command("-c", code, *TRAIN, f"--data_dir={pairs_dir}", f"--model_dir={run}", "--max_steps=9")

    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("train.py: ")]
    assert "sharp/0001.png" in lines[0]
    assert list(run.glob("step-*.index"))


def test_a_flagfile_that_is_no_text_is_one_line(command, pairs_dir):
    (line,) = lines_of_mistake(command("train.py", f"--flagfile={pairs_dir / 'blur/0000.png'}"))

    assert "not a text file" in line


def test_resuming_does_not_need_the_first_weights(trained, command, tmp_path):
    run, pairs = trained
    words = (*TRAIN, f"--data_dir={pairs}", f"--model_dir={tmp_path}", f"--init_from={tmp_path / 'w.npz'}")
    code = "import sys; from srn.weights import *; save_npz(load_model(sys.argv[1]), sys.argv[2])"
    assert command("-c", code, run, tmp_path / "w.npz").returncode == 0
    first = command(*words, "--max_steps=1")
    (tmp_path / "w.npz").unlink()

    second = command(*words, "--max_steps=2")

    assert first.returncode == second.returncode == 0, second.stderr
    assert "step 1 to 2" in second.stdout


def test_results_of_an_earlier_evaluation_do_not_stay_beside_new_ones(trained, command, tmp_path):
    run, pairs = trained
    for ckpt in (run, "identity"):
        result = command("evaluate.py", f"--ckpt={ckpt}", f"--data_dir={pairs}", f"--out_dir={tmp_path}")
        assert result.returncode == 0, result.stderr

    assert not (tmp_path / "sheet.png").exists()
    assert json.loads((tmp_path / "summary.json").read_text())["ckpt"] == "identity"


def test_images_too_small_for_ssim_are_found_before_work_begins(command, tmp_path, make_pairs):
    pairs = make_pairs(tmp_path / "pairs", count=1, height=10, width=30)

    lines = lines_of_mistake(command("evaluate.py", "--ckpt=identity", f"--data_dir={pairs}"))

    assert "30x10, smaller than the 11x11 needed" in lines[0]


def test_nothing_but_blur_synthesis_imports_tensorflow_addons(command):
    code = (
        "import sys, srn.official, srn.weights, srn.training.loop, srn.data.pipeline, srn.serving.export\n"
        "import srn.inference.command, srn.inference.deblurrer, srn.evaluation.reports\n"
        "print(any(name.startswith('tensorflow_addons') for name in sys.modules))"
    )

    assert command("-c", code).stdout == "False\n"


def test_an_export_takes_limits_warm_up_and_a_card_from_flags(trained, command, tmp_path):
    run, _ = trained
    (tmp_path / "card.json").write_text('{"scores": {"psnr_db": 30.0}}')
    words = ("export_savedmodel.py", f"--ckpt={run}", f"--export_dir={tmp_path / 'srn'}")

    result = command(
        *words, "--max_megapixels=0.5", "--warm_up=64x48", f"--card={tmp_path / 'card.json'}", "--name=street"
    )

    assert result.returncode == 0, result.stderr
    card = json.loads((tmp_path / "srn/1/model_card.json").read_text())
    assert (card["name"], card["most_pixels"], card["scores"]["psnr_db"]) == ("street", 500_000, 30.0)
    assert (tmp_path / "srn/1/assets.extra/tf_serving_warmup_requests").stat().st_size > 0
    for flag, message in (
        ("--warm_up=64", "give WIDTHxHEIGHT"),
        ("--warm_up=1000x1000", "than the 500000 pixels"),
        (f"--card={tmp_path / 'none.json'}", "cannot be read"),
        ("--name=a/b", "no name for a model"),
    ):
        assert message in lines_of_mistake(command(*words, "--max_megapixels=0.5", flag))[0]
