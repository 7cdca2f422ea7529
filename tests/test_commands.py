"""The commands: what they do, and what they say when they cannot."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import srn
from srn import released
from srn.inference.deblurrer import Deblurrer

ROOT = Path(__file__).resolve().parents[1]
TRAIN = ("train.py", "--model=sr_edrb1", "--crop_size=16", "--batch_size=2", "--log_every=1")


def lines_of_mistake(result, code=2):
    """The lines on stderr of a command that ended with `code`, all of them its own."""
    lines = [line for line in result.stderr.splitlines() if line.strip() and "libpng" not in line]
    assert result.returncode == code, result.stderr
    assert lines
    assert all(line.startswith(("train.py: ", "evaluate.py: ", "export_savedmodel.py: ")) for line in lines)
    return lines


@pytest.fixture(scope="module")
def trained(tmp_path_factory, make_pairs):
    """(model directory after 2 steps, folder of pairs)."""
    folder = tmp_path_factory.mktemp("trained")
    pairs = make_pairs(folder / "pairs", count=3, height=40, width=36)
    config = srn.TrainingConfig(
        model="sr_edrb1", data_dir=pairs, crop_size=16, batch_size=2, epochs=10, log_every=1, max_steps=2
    )
    srn.train(config, folder / "run")
    return folder / "run", pairs


def test_training_leaves_a_checkpoint_its_recipe_and_its_logs(trained):
    run, pairs = trained

    assert (run / "step-2.index").exists()
    assert json.loads((run / "model.json").read_text())["model"] == "sr_edrb1"
    recipe = (run / "flags.cfg").read_text().splitlines()
    assert {"--model=sr_edrb1", "--crop_size=16", "--epochs=10", f"--data_dir={pairs}"} <= set(recipe)
    assert list((run / "logs").iterdir())


def test_the_command_resumes_a_run_from_its_recipe(trained, call, tmp_path):
    run = shutil.copytree(trained[0], tmp_path / "run")

    words = ("train.py", f"--flagfile={run / 'flags.cfg'}", f"--model_dir={run}")
    result = call(*words, "--max_steps=3")

    assert result.returncode == 0, result.stderr
    assert "step 2 to 3" in result.stdout
    assert f"done: 3 steps; checkpoints in {run}" in result.stdout
    recipe = srn.TrainingConfig.from_flagfile(run / "flags.cfg")
    assert recipe == srn.TrainingConfig.from_flagfile(trained[0] / "flags.cfg", max_steps=3)


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


def test_interrupting_an_evaluation_reports_what_is_there(trained, call, tmp_path, monkeypatch):
    """Ctrl-C while the second image is restored, sent from inside, so that the moment is certain."""
    run, pairs = trained
    restore, calls = Deblurrer.__call__, []

    def restore_and_interrupt(self, image):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return restore(self, image)

    monkeypatch.setattr(Deblurrer, "__call__", restore_and_interrupt)
    result = call("evaluate.py", f"--ckpt={run}", f"--data_dir={pairs}", f"--out_dir={tmp_path}")

    assert result.returncode == 130
    assert "1 of 3 images are scored; the same command resumes" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads((tmp_path / "summary.json").read_text())["images"] == 1
    (journal,) = tmp_path.glob("scores-*.jsonl")
    assert journal.read_text().count('"score"') == 1


@pytest.mark.slow
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


def test_a_savedmodel_answers_saved_model_cli(trained, call, command, tmp_path):
    run, _ = trained
    np.save(tmp_path / "image.npy", np.random.default_rng(0).random((1, 21, 30, 3), np.float32))

    result = call("export_savedmodel.py", f"--ckpt={run}", f"--export_dir={tmp_path / 'served'}")
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
def test_help_shows_the_commands_own_flags(call, script):
    result = call(script, "--help")

    assert result.returncode == 0
    assert "--precision" in result.stdout
    assert "--alsologtostderr" not in result.stdout


@pytest.mark.parametrize(
    "words, part",
    [
        (("train.py", "--learning_rat=1"), "learning_rat"),
        (("train.py", "--batch_size=many"), "batch_size"),
        (("train.py", "--batch_size=0"), "batch_size"),
        (("train.py", "--model=srn2", "--data_dir=."), "there is no model 'srn2'; the models are srn, "),
        (("train.py", "--data_dir=.", "--mix=gopro:.:1"), "--data_dir and --mix: give one of them"),
        (("train.py", "extra"), "what is 'extra'?"),
        (("train.py", "--flagfile=nothing.cfg"), "nothing.cfg"),
        (("train.py",), "--data_dir is needed"),
        (("train.py", "--crop_size=250", "--data_dir=."), "nearest: 240 and 256"),
        (("train.py", "--data_dir=nothing"), "nothing: there is no such folder"),
        (("train.py", "--data_dir=flags"), "flags: no pairs there"),
        (("export_savedmodel.py", "--ckpt=x"), "--export_dir is needed"),
        (("export_savedmodel.py", "--ckpt=nothing", "--export_dir=/tmp/x"), "nothing: there is no such file"),
    ],
)
def test_a_wrong_call_is_one_line(call, words, part):
    (line,) = lines_of_mistake(call(*words))

    assert part in line


def test_nothing_else_stands_on_the_stderr_of_a_process(command, pairs_dir, tmp_path):
    """TensorFlow, which `evaluate.py` has loaded by then, is quiet."""
    words = ("evaluate.py", f"--ckpt={tmp_path / 'none'}", f"--data_dir={pairs_dir}", f"--out_dir={tmp_path}")

    (line,) = lines_of_mistake(command(*words))

    assert "none: there is no such file" in line


def test_a_stray_word_in_a_flagfile_is_one_line(call, tmp_path):
    (tmp_path / "run.cfg").write_text("--batch_size=2\nlearning_rate=3\n")

    (line,) = lines_of_mistake(call("train.py", f"--flagfile={tmp_path / 'run.cfg'}"))

    assert "'learning_rate=3'" in line


def test_bad_files_are_a_line_each_together(call, pairs_dir):
    (pairs_dir / "blur/0000.png").write_text("no image")
    (pairs_dir / "sharp/0002.png").unlink()

    lines = lines_of_mistake(call("train.py", "--crop_size=16", f"--data_dir={pairs_dir}"))

    assert len(lines) == 2
    assert "0002.png: has no partner" in lines[0]
    assert "0000.png: not an image" in lines[1]


def test_a_checkpoint_of_another_model_is_one_line(trained, call, tmp_path):
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
        (line,) = lines_of_mistake(call(*words))
        assert "model" in line


def test_a_flagfile_that_is_no_text_is_one_line(call, pairs_dir):
    (line,) = lines_of_mistake(call("train.py", f"--flagfile={pairs_dir / 'blur/0000.png'}"))

    assert "not a text file" in line


@pytest.mark.parametrize(
    "module", ["train", "evaluate", "export_savedmodel", "srn.inference.command", "srn.inference.web"]
)
def test_a_command_checks_its_flags_without_tensorflow(command, module):
    """It takes seconds to load, and prints lines of its own unless the command has silenced it before."""
    result = command("-c", f"import sys, {module}; print('tensorflow' in sys.modules)")

    assert result.stdout == "False\n", result.stderr


def test_nothing_but_blur_synthesis_imports_tensorflow_addons(command):
    code = (
        "import sys, srn.official, srn.weights\n"
        "import srn.training.run, srn.training.loop, srn.data.pipeline, srn.serving.export\n"
        "import srn.inference.command, srn.inference.deblurrer, srn.evaluation.reports\n"
        "print(any(name.startswith('tensorflow_addons') for name in sys.modules))"
    )

    assert command("-c", code).stdout == "False\n"


def test_an_export_takes_limits_warm_up_and_a_card_from_flags(trained, call, tmp_path):
    run, _ = trained
    (tmp_path / "card.json").write_text('{"scores": {"psnr_db": 30.0}}')
    words = ("export_savedmodel.py", f"--ckpt={run}", f"--export_dir={tmp_path / 'srn'}")

    result = call(
        *words, "--max_megapixels=0.5", "--warm_up=64x48", f"--card={tmp_path / 'card.json'}", "--name=street"
    )

    assert result.returncode == 0, result.stderr
    card = json.loads((tmp_path / "srn/1/model_card.json").read_text())
    assert (card["name"], card["max_pixels"], card["scores"]["psnr_db"]) == ("street", 500_000, 30.0)
    assert (tmp_path / "srn/1/assets.extra/tf_serving_warmup_requests").stat().st_size > 0
    for flag, message in (
        ("--warm_up=64", "give WIDTHxHEIGHT"),
        ("--warm_up=1000x1000", "of more than the 500000 pixels"),
        (f"--card={tmp_path / 'none.json'}", "cannot be read"),
        ("--name=a/b", "no name for a model"),
    ):
        assert message in lines_of_mistake(call(*words, "--max_megapixels=0.5", flag))[0]
