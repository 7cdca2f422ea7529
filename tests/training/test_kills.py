"""`train.py` as real processes that are killed, damaged, hung up on, and left without disk or reader.

`pytest -m slow -s tests/training/test_kills.py` tells what was killed where. Another series of moments:
KILL_SEED=7; another number of kills: KILLS=100.
"""

import contextlib
import json
import os
import pty
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training.test_checkpoints import DAMAGES

from srn import run_files
from srn.training.log import COLUMNS, read_log

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
NETWORK = '--model={"width":2,"res_blocks":1,"kernel_size":3,"num_scales":2}'
# Everything that is written beside weights is written often, so that kills meet it.
RUN = (NETWORK, "--crop_size=16", "--batch_size=2", "--decay_steps=9000", "--ema_decay=0.9", "--augment")
SAVE_EVERY = 3
WRITES = (
    f"--save_every={SAVE_EVERY}",
    "--val_every=6",
    "--keep=3",
    "--keep_every=12",
    "--log_every=1",
    "--pictures_every=5",
)
ENDLESS = 100_000
NOT_REPEATED = [
    name for name in COLUMNS if name not in ("step", "learning_rate") and not name.startswith("validation_")
]


@pytest.fixture(scope="module")
def words(tmp_path_factory, make_pairs):
    """Function (model_dir, max_steps) -> the command of a run with validation."""
    folder = tmp_path_factory.mktemp("pairs")
    pairs = make_pairs(folder / "pairs", count=5, height=40, width=36)
    val_pairs = make_pairs(folder / "val", count=2, height=30, width=28)

    def make(model_dir, max_steps):
        places = (f"--data_dir={pairs}", f"--val_data_dir={val_pairs}", f"--model_dir={model_dir}")
        return [sys.executable, "train.py", *RUN, *WRITES, *places, f"--max_steps={max_steps}"]

    return make


def start(words, **options):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
    return subprocess.Popen(words, cwd=ROOT, env=environment, text=True, **options)


def finish(words, code=0, **options):
    process = start(words, **options)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == code, output
    assert "Traceback" not in output
    return output


def wait_for_checkpoint(process, model_dir, step):
    """Waits until there is a checkpoint of that step or a later one."""
    while process.poll() is None:
        if max(run_files.steps_in(model_dir), default=0) >= step:
            return
        time.sleep(0.02)
    raise AssertionError("the run has ended by itself")


def rows_of(model_dir):
    return [{**row, "seconds": ""} for row in read_log(model_dir / "log.csv")]


def require_same_rows(killed, straight):
    """A kill between a checkpoint and its row costs the row, or its loss if the validation is repeated."""
    rows = {row["step"]: row for row in rows_of(killed)}
    for expected in rows_of(straight):
        row = rows.pop(expected["step"], None)
        if row is None:
            assert int(expected["step"]) % SAVE_EVERY == 0 and not expected["validation_psnr"]
            continue
        if not row["loss"]:
            expected = {**expected, **{name: "" for name in NOT_REPEATED}}
        assert row == expected
    assert not rows


def test_a_run_that_was_killed_again_and_again_is_the_undisturbed_one(words, tmp_path):
    """Kills from the start of the process on to some steps later: in reading, tracing, saving, validation."""
    seed, kills = int(os.environ.get("KILL_SEED", "0")), int(os.environ.get("KILLS", "20"))
    moments, killed, straight = random.Random(seed), tmp_path / "killed", tmp_path / "straight"
    finish(words(killed, 6))
    done = 6
    for number in range(kills):
        process = start(words(killed, ENDLESS), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if number % 5:  # some die before they have begun
            wait_for_checkpoint(process, killed, done + 1)
        time.sleep(moments.uniform(0.0, 2.0))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        newest, damaged = run_files.newest_whole(killed)
        assert newest is not None and newest >= done, f"kill {number + 1} lost step {done}: {damaged}"
        leftovers = [path.name for path in killed.iterdir() if "_temp" in path.name or "partial" in path.name]
        print(
            f"kill {number + 1}: newest whole step {newest}, damaged {damaged}, leftovers {leftovers}",
            flush=True,
        )
        done = newest

    last = done + 9
    finish(words(killed, last))
    finish(words(straight, last))

    assert run_files.steps_in(killed) == run_files.steps_in(straight)
    for step in run_files.steps_in(straight):
        for one, other in zip(*(run_files.files_of(folder, step) for folder in (straight, killed))):
            assert one.read_bytes() == other.read_bytes(), one.name
    require_same_rows(killed, straight)
    assert run_files.read_best(killed) == run_files.read_best(straight)
    print(
        f"{last} steps: {len(run_files.steps_in(straight))} checkpoints and {len(rows_of(killed))} rows equal"
    )


@pytest.fixture(scope="module")
def ended(words, tmp_path_factory):
    """The folder of a run of 10 steps."""
    folder = tmp_path_factory.mktemp("ended") / "run"
    finish(words(folder, 10))
    return folder


@pytest.fixture(scope="module")
def prolonged(words, ended, tmp_path_factory):
    """The same run, 12 steps without a stop at the 10th, so that each checkpoint is at a step of its own."""
    folder = tmp_path_factory.mktemp("prolonged") / "run"
    finish(words(folder, 12))
    return folder


@pytest.mark.parametrize("damage, name", DAMAGES, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_newest_checkpoint_is_named_and_the_run_resumes_from_the_one_before(
    words, ended, prolonged, tmp_path, damage, name
):
    run = shutil.copytree(ended, tmp_path / "run")
    damage(run / name)

    output = finish(words(run, 12))

    assert f"{run}/step-10: damaged (" in output and "step 9 to 12" in output
    for one, other in zip(*(run_files.files_of(folder, 12) for folder in (prolonged, run))):
        assert one.read_bytes() == other.read_bytes(), one.name


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGTERM", "SIGINT"])
def test_a_signal_saves(words, ended, tmp_path, name):
    run = shutil.copytree(ended, tmp_path / "run")
    process = start(words(run, ENDLESS))
    wait_for_checkpoint(process, run, 12)

    process.send_signal(getattr(signal, name))
    output, _ = process.communicate(timeout=120)

    newest, _ = run_files.newest_whole(run)
    assert process.returncode == 128 + getattr(signal, name)
    assert f"{name}: step {newest} is saved in {run}; the same command resumes the run" in output
    assert int(read_log(run / "log.csv")[-1]["step"]) == newest


def test_a_terminal_that_is_closed_saves(words, ended, tmp_path):
    run = shutil.copytree(ended, tmp_path / "run")
    terminal, inside = pty.openpty()
    process = start(words(run, ENDLESS), stdin=inside, stdout=inside, stderr=inside, preexec_fn=os.setsid)
    os.close(inside)
    wait_for_checkpoint(process, run, 12)

    os.close(terminal)
    process.send_signal(signal.SIGHUP)  # the kernel sends it where the terminal is the controlling one

    assert process.wait(timeout=120) in (128 + signal.SIGHUP, 1, 141)
    assert run_files.newest_whole(run)[0] == int(read_log(run / "log.csv")[-1]["step"])


def test_a_reader_of_the_output_that_dies_does_not_end_the_run(words, ended, tmp_path):
    run = shutil.copytree(ended, tmp_path / "run")
    process = start(words(run, ENDLESS))
    wait_for_checkpoint(process, run, 12)
    process.stdout.close()  # as of `| tee`, when that is killed
    wait_for_checkpoint(process, run, 30)

    process.send_signal(signal.SIGTERM)
    process.wait(timeout=120)

    assert run_files.newest_whole(run)[0] == int(read_log(run / "log.csv")[-1]["step"])


@pytest.mark.parametrize("redirection", [">&-", "2>&-"])
def test_output_that_is_closed_from_the_start(words, tmp_path, redirection):
    script = f'exec "$@" {redirection}'

    finish(["bash", "-c", script, "-", *words(tmp_path / "run", 3)])

    assert run_files.newest_whole(tmp_path / "run")[0] == 3


def test_a_second_run_in_a_folder_is_refused(words, ended, tmp_path):
    run = shutil.copytree(ended, tmp_path / "run")
    first = start(words(run, ENDLESS), stdout=subprocess.DEVNULL)
    wait_for_checkpoint(first, run, 12)

    output = finish([*words(run, ENDLESS), "--seed=8"], code=2)

    (line,) = output.splitlines()
    assert f"process {first.pid} on" in line and "choose another --model_dir" in line
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    finish(words(run, run_files.newest_whole(run)[0] + 1))  # the lock has died with it


@contextlib.contextmanager
def small_disk(folder, size):
    """A file system of `size` bytes; skips where this user may mount none."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("kilobytes", [4, 64, 200, 600])
def test_a_full_disk_is_said_and_the_run_resumes_when_there_is_room(words, tmp_path, kilobytes):
    with small_disk(tmp_path / "disk", f"{kilobytes}k") as disk:
        process = start(words(disk / "run", ENDLESS))
        output, _ = process.communicate(timeout=300)
        last = output.splitlines()[-1]
        assert process.returncode in (1, 2) and "Traceback" not in output
        assert f"{disk}/run" in last and "No space left on device" in last

        subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        newest = run_files.newest_whole(disk / "run")[0] or 0
        assert f"step {newest} to {newest + 2}" in finish(words(disk / "run", newest + 2))


def test_a_file_that_may_not_grow_is_said(words, ended, tmp_path):
    run = shutil.copytree(ended, tmp_path / "run")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    output = finish(words(run, 20), code=1, preexec_fn=limit)

    assert "step 12 cannot be saved" in output and "File too large" in output
    assert run_files.newest_whole(run)[0] == 10


def test_a_log_that_a_spreadsheet_has_saved_is_kept(words, ended, tmp_path):
    run = shutil.copytree(ended, tmp_path / "run")
    changed = "\ufeff" + (run / "log.csv").read_text().replace(",", ";").replace("\n", "\r\n")
    (run / "log.csv").write_bytes(changed.encode())

    output = finish(words(run, 12))

    assert "was changed by others, kept as log-until-step-10.csv" in output
    assert (run / "log-until-step-10.csv").read_bytes() == changed.encode()


def test_a_flagfile_of_a_run_that_was_moved_does_not_begin_anew(ended, tmp_path):
    run = shutil.copytree(ended, tmp_path / "moved")
    flagfile = [sys.executable, "train.py", f"--flagfile={run}/flags.cfg", "--max_steps=12"]

    output = finish(flagfile, code=2)

    assert f"give --model_dir={run} to resume it there" in output
    assert "step 10 to 12" in finish([*flagfile, f"--model_dir={run}"])
    assert json.loads((run / "best.json").read_text())["validated"] == 12
