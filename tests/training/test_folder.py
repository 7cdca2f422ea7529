"""One run in a folder, no leftovers, settings that are compared."""

import os

import pytest

from srn.errors import InputError
from srn.training import folder
from srn.training.config import TrainingConfig

CONFIG = TrainingConfig(data_dir="pairs", max_steps=10)


def test_a_second_run_is_refused_while_the_first_lives(tmp_path):
    with folder.locked(tmp_path / "run"):
        message = r"process \d+ on .* trains there; choose another `model_dir`"
        with pytest.raises(InputError, match=message), folder.locked(tmp_path / "run"):
            raise AssertionError("two runs in one folder")

    with folder.locked(tmp_path / "run"):
        pass  # the first has ended


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="file/run: cannot be written"), folder.locked(tmp_path / "file/run"):
        pass


def test_what_killed_saves_have_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / "step-5_temp").mkdir()
    leftovers = ("step-5_temp/part-0", "step-5.index.tempstate17", ".partial-0123.json")
    others = ("step-5.index", "step-5.data-00000-of-00001", "flags.cfg", "step-5_notes.txt")
    for name in (*leftovers, *others):
        (tmp_path / name).write_text("x")

    folder.remove_leftovers(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == set(others)


def say_at(tmp_path, config, step):
    lines = []
    folder.write_settings(config, tmp_path, step, lines.append)
    return lines


def test_what_differs_from_the_first_settings_is_said_and_earlier_flags_are_kept(tmp_path):
    assert say_at(tmp_path, CONFIG, 0) == []
    assert say_at(tmp_path, CONFIG, 4) == []
    assert say_at(tmp_path, CONFIG.replace(batch_size=2, learning_rate=0.5), 6) == [
        "batch_size is 2; the run began with 16",
        "learning_rate is 0.5; the run began with 0.0001",
    ]
    assert say_at(tmp_path, CONFIG.replace(batch_size=2), 8) == ["batch_size is 2; the run began with 16"]

    names = ["flags-until-step-6.cfg", "flags-until-step-8.cfg", "flags.cfg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    kept = [TrainingConfig.from_flagfile(tmp_path / name).learning_rate for name in names]
    assert kept == [1e-4, 0.5, 1e-4]


def test_what_is_of_one_call_is_not_kept(tmp_path):
    say_at(tmp_path, CONFIG.replace(resume_from=3, time_budget=1.5), 0)

    assert TrainingConfig.from_flagfile(tmp_path / "flags.cfg") == CONFIG


def test_settings_of_another_version_are_no_obstacle(tmp_path):
    (tmp_path / "flags.cfg").write_text("--data_dir=pairs\n--no_such_flag=1\n")

    (line,) = say_at(tmp_path, CONFIG, 3)

    assert "cannot be compared" in line


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"--batch_size=many\n", b"--save_every=-1\n"])
def test_a_flagfile_that_is_damaged_is_kept_and_named(tmp_path, content):
    (tmp_path / "flags.cfg").write_bytes(content)

    (line,) = say_at(tmp_path, CONFIG, 3)

    assert line.startswith("flags-until-step-3.cfg: cannot be compared with the present settings (")
    assert (tmp_path / "flags-until-step-3.cfg").read_bytes() == content
    assert TrainingConfig.from_flagfile(tmp_path / "flags.cfg") == CONFIG


def test_a_run_that_is_only_prolonged_says_nothing(tmp_path):
    say_at(tmp_path, CONFIG, 0)
    assert say_at(tmp_path, CONFIG.replace(max_steps=20), 10) == []
    assert say_at(tmp_path, CONFIG.replace(max_steps=None), 10) == []
    assert say_at(tmp_path, CONFIG.replace(max_steps=7), 10) == ["max_steps is 7; the run began with 10"]


@pytest.mark.parametrize(
    "changes", [{"phases": "16x2:1.0"}, {"schedule": "trapezoid", "fall_steps": 3}], ids=str
)
def test_a_later_end_that_moves_the_steps_before_it_is_said(tmp_path, changes):
    config = TrainingConfig(data_dir="pairs", max_steps=10, **changes)
    say_at(tmp_path, config, 0)

    assert say_at(tmp_path, config.replace(max_steps=20), 10) == ["max_steps is 20; the run began with 10"]


def test_a_lock_with_noise_in_it_is_a_lock(tmp_path):
    with folder.locked(tmp_path):
        (tmp_path / "lock").write_bytes(b"\xff\xfe")
        with pytest.raises(InputError, match="trains there"), folder.locked(tmp_path):
            raise AssertionError("two runs in one folder")


def test_the_lock_of_another_process_that_has_died_is_none(tmp_path):
    (tmp_path / "lock").write_text("process 1 on another host\n")

    with folder.locked(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / "lock").read_text()


def test_the_flagfile_of_a_run_that_was_moved_names_another_folder(tmp_path):
    run = tmp_path / "moved"
    run.mkdir()
    for name in ("flags.cfg", "other.cfg", "step-3.index"):
        (run / name).write_text("")

    folder.require_own(str(run / "flags.cfg"), str(run))
    folder.require_own(str(run / "other.cfg"), str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"names model_dir=.*/run, .*; give `model_dir`=.*/moved to resume"):
        folder.require_own(str(run / "flags.cfg"), str(tmp_path / "run"))
    (run / "step-3.index").unlink()
    folder.require_own(str(run / "flags.cfg"), str(tmp_path / "run"))
