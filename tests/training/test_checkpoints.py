"""Nothing is lost: checkpoints are found by their files, damaged ones named, ways back kept."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import srn
from srn import run_files, weights
from srn.config import ModelConfig
from srn.errors import InputError, WorkError
from srn.training import folder
from srn.training.checkpoints import Checkpoints
from srn.training.optimizers import adam

TINY = ModelConfig(width=2, res_blocks=1, kernel_size=3, num_scales=1)


def open_run(folder, **options):
    """(checkpoints of a fresh network in a folder, the lines that are said)."""
    lines = []
    options = {"say": lines.append, **options}
    return Checkpoints(srn.build_model(TINY), adam(1e-3), folder, **options), lines


def save_at(checkpoints, step):
    """Saves weights that are all `step`."""
    checkpoints.optimizer.build(checkpoints.model.trainable_variables)
    for variable in checkpoints.model.trainable_variables:
        variable.assign(tf.fill(variable.shape, float(step)))
    checkpoints.optimizer.iterations.assign(step)
    return checkpoints.save()


def steps_of(folder):
    return run_files.steps_in(folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with checkpoints of steps 5 and 10."""
    folder = tmp_path_factory.mktemp("saved")
    checkpoints, _ = open_run(folder)
    for step in (5, 10):
        save_at(checkpoints, step)
    return folder


@pytest.fixture
def run(saved, tmp_path):
    """A copy of it."""
    return shutil.copytree(saved, tmp_path / "run")


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def lengthen(path):
    os.truncate(path, 2**20)


def shorten(path):
    os.truncate(path, path.stat().st_size // 2)


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def fill_with_noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


DATA, INDEX = "step-10.data-00000-of-00001", "step-10.index"
DAMAGES = [
    (remove, INDEX),
    (empty, INDEX),
    (shorten, INDEX),
    (flip_a_byte, INDEX),
    (fill_with_noise, INDEX),
    (remove, DATA),
    (empty, DATA),
    (shorten, DATA),
    (flip_a_byte, DATA),
    (fill_with_noise, DATA),
]


@pytest.mark.parametrize("damage, name", DAMAGES, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_checkpoint_is_named_and_the_newest_whole_one_taken(run, damage, name):
    damage(run / name)
    with pytest.raises(InputError) as error:
        weights.load_model(run)
    assert f"{run}/step-10: damaged (" in str(error.value)
    assert f"the newest whole one is {run}/step-5" in str(error.value)
    assert len(str(error.value).splitlines()) == 1

    checkpoints, lines = open_run(run)

    assert checkpoints.resume() == 5
    assert all((value == 5).all() for value in checkpoints.model.get_weights())
    (line,) = lines
    assert line.startswith(f"{run}/step-10: damaged (") and line.endswith("resuming from step-5")
    assert {path.name for path in (run / "damaged").iterdir()} <= {DATA, INDEX}
    assert steps_of(run) == [5]
    assert (weights.load_model(run).get_weights()[0] == 5).all()


@pytest.mark.parametrize(
    "damage", [remove, empty, shorten, flip_a_byte, fill_with_noise], ids=lambda d: d.__name__
)
def test_tensorflows_list_is_not_needed(run, damage):
    damage(run / "checkpoint")

    checkpoints, lines = open_run(run)

    assert (checkpoints.resume(), lines) == (10, [])
    assert (weights.load_model(run).get_weights()[0] == 10).all()


def test_a_run_is_never_begun_anew_over_damaged_checkpoints(run):
    for path in run.glob("step-*.index"):
        flip_a_byte(path)

    with pytest.raises(InputError) as error:
        open_run(run)[0].resume()

    first, second, third = str(error.value).splitlines()
    assert "step-10: damaged" in first and "step-5: damaged" in second
    assert "choose another `model_dir`" in third


def test_a_prefix_that_is_damaged_is_named(run):
    fill_with_noise(run / DATA)

    with pytest.raises(InputError, match="step-10: damaged"):
        weights.load_model(run / "step-10")


def test_going_back_moves_later_checkpoints_away_and_can_be_asked_for_twice(run):
    run_files.write_best(run, {"step": 10, "psnr": 30.0, "validated": 10})
    checkpoints, _ = open_run(run)

    assert checkpoints.resume(5) == 5
    assert steps_of(run) == [5]
    assert steps_of(run / "after-step-5") == [10]
    assert run_files.read_best(run) == {}

    save_at(checkpoints, 7)
    assert open_run(run)[0].resume(5) == 7


def test_going_back_to_the_beginning(run):
    assert open_run(run)[0].resume(0) == 0
    assert steps_of(run) == []
    assert steps_of(run / "after-step-0") == [5, 10]


def test_there_is_no_way_back_to_what_is_not_there_or_damaged(run):
    with pytest.raises(InputError, match=r"resume_from=7: .* no such checkpoint \(there are: 5, 10\)"):
        open_run(run)[0].resume(7)
    flip_a_byte(run / "step-5.index")
    with pytest.raises(InputError, match=r"resume_from=5: .* is damaged"):
        open_run(run)[0].resume(5)
    assert steps_of(run) == [5, 10]


def test_the_newest_the_milestones_and_the_best_stay(tmp_path):
    checkpoints, _ = open_run(tmp_path, keep=2, keep_every=4)

    for step in range(1, 10):
        save_at(checkpoints, step)
        if step == 3:
            run_files.write_best(tmp_path, {"step": 3, "psnr": 1.0, "validated": 3})

    assert steps_of(tmp_path) == [3, 4, 8, 9]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "step-9")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_not_saved(run, number):
    checkpoints, _ = open_run(run)
    checkpoints.resume()
    checkpoints.model.trainable_variables[3][..., 0].assign(
        tf.fill(checkpoints.model.trainable_variables[3].shape[:-1], number)
    )
    checkpoints.optimizer.iterations.assign(11)

    with pytest.raises(WorkError) as error:
        checkpoints.save()

    assert "is not finite after step 11, which is not saved" in str(error.value)
    assert "checkpoints of steps 10, 5 stay: go back by resume_from=10 or earlier" in str(error.value)
    assert steps_of(run) == [5, 10]


def test_a_full_disk_is_said_with_the_folder(run, monkeypatch):
    def fail(*_):
        message = "{{function_node __wrapped__SaveV2_dtypes_3_device_/CPU:0}} /mnt/x/step-11_temp/part-00000"
        raise tf.errors.ResourceExhaustedError(
            None, None, message + "-of-00001; No space left on device [Op:SaveV2]"
        )

    checkpoints, _ = open_run(run)
    checkpoints.resume()
    monkeypatch.setattr(checkpoints._checkpoint, "write", fail)

    with pytest.raises(WorkError) as error:
        checkpoints.save()

    assert str(error.value).startswith(f"{run}: step 10 cannot be saved (")
    assert str(error.value).endswith("No space left on device)")
    assert "{{" not in str(error.value) and "Op:" not in str(error.value)
    assert steps_of(run) == [5, 10]


def test_a_failed_save_leaves_no_damaged_checkpoint(run, monkeypatch):
    def truncate_and_fail(prefix):
        Path(f"{prefix}.index").write_bytes(b"")
        raise OSError(errno.ENOSPC, "No space left on device")

    checkpoints, _ = open_run(run)
    checkpoints.resume()
    checkpoints.optimizer.iterations.assign(11)
    monkeypatch.setattr(checkpoints._checkpoint, "write", truncate_and_fail)

    with pytest.raises(WorkError, match="step 11 cannot be saved"):
        checkpoints.save()

    assert steps_of(run) == [5, 10]


def test_which_weights_of_a_run(run):
    run_files.write_best(run, {"step": 5, "psnr": 30.0, "validated": 10})

    for ckpt, which, step in (
        (run, "best", 5),
        (run / "best", None, 5),
        (run, "latest", 10),
        (run, None, 10),
    ):
        assert (weights.load_model(ckpt, which=which).get_weights()[0] == step).all()
    with pytest.raises(InputError, match=r"which=average: .* keeps no average"):
        weights.load_model(run, which="average")
    (run / "best.json").unlink()
    with pytest.raises(InputError, match=r"which=best: .* never validated"):
        weights.load_model(run, which="best")
    with pytest.raises(InputError, match="not the folder of a training run"):
        (run / "empty").mkdir()
        weights.load_model(run / "empty", which="best")


def test_going_back_once_more_says_that_it_resumes(run):
    open_run(run)[0].resume(5)
    checkpoints, lines = open_run(run)

    assert checkpoints.resume(5) == 5
    (line,) = lines
    assert line.startswith("resume_from=5: this run has gone back there before")
    assert line.endswith(f"rename {run}/after-step-5")


def test_going_back_that_was_killed_is_finished_by_the_next_call(run, monkeypatch):
    save_at(open_run(run)[0], 15)
    move = folder.move_files

    def move_and_die(files, into):
        move(files, into)
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "move_files", move_and_die)
    with pytest.raises(KeyboardInterrupt):
        open_run(run)[0].resume(5)
    assert steps_of(run) == [5, 15]
    monkeypatch.setattr(folder, "move_files", move)

    assert open_run(run)[0].resume(5) == 5
    assert steps_of(run / "after-step-5") == [10, 15]


def test_a_checkpoint_under_the_name_of_another_step_is_named(run):
    for path in run_files.files_of(run, 10):
        path.rename(run / path.name.replace("10.", "20."))

    with pytest.raises(InputError, match="step-20: is the checkpoint of step 10; name it so"):
        open_run(run)[0].resume()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[1]",
        b'{"step": 5}',
        b'{"step": "x", "psnr": 1, "validated": 5}',
        b'{"step": null, "psnr": null, "validated": null}',
        b'{"step": 5, "psnr": NaN, "validated": 5}',
    ],
)
def test_a_note_of_the_best_that_is_damaged_is_none(tmp_path, content):
    (tmp_path / "best.json").write_bytes(content)

    assert run_files.read_best(tmp_path) == {}
