import concurrent.futures
import io
import itertools
import os
import signal
import sys
import time
import unittest.mock

import numpy as np
import pytest
import tensorflow as tf

import srn
from srn import run_files
from srn.config import ModelConfig
from srn.errors import InputError, WorkError
from srn.training.average import WeightAverage
from srn.training.board import Board
from srn.training.checkpoints import Checkpoints
from srn.training.log import Log, read_log
from srn.training.loop import SIGNALS, Intervals, catch_signals, run_steps
from srn.training.optimizers import adam
from srn.training.schedules import polynomial_decay
from srn.training.step import make_training_step
from srn.training.watch import Watch
from srn.weights import load_model

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3, num_scales=1)


def batches(first_step=0):
    """A batch that depends on the step alone."""
    step = first_step
    while True:
        generator = np.random.default_rng(step)
        yield tuple(tf.constant(generator.random((1, 16, 16, 3), np.float32)) for _ in range(2))
        step += 1


def run(folder, max_steps, start=None, keep=5, ema_decay=None, **options):
    model = srn.build_model(SMALL)
    if start is not None:
        model.set_weights(start)
    average = None if ema_decay is None else WeightAverage(model.trainable_variables, ema_decay)
    checkpoints = Checkpoints(model, adam(polynomial_decay(1e-3, 6)), folder, keep, average)
    first_step = checkpoints.resume()
    train(checkpoints, batches(first_step), max_steps, **options)
    return model, checkpoints


def train(checkpoints, batches, max_steps, log_dir=None, validate=None, log=None, more=None, **intervals):
    model, optimizer = checkpoints.model, checkpoints.optimizer
    step = make_training_step(model, optimizer, average=checkpoints.average)
    watch = Watch(checkpoints, Board(log_dir, model, optimizer), log, validate)
    intervals = Intervals(**{"log_every": 1, **intervals})
    return run_steps(step, batches, checkpoints, max_steps, watch, intervals, **(more or {}))


def test_three_steps_and_three_more_are_six_and_others_load_the_average(tmp_path):
    start = srn.build_model(SMALL).get_weights()

    expected, straight = run(tmp_path / "straight", 6, start, ema_decay=0.5)
    run(tmp_path / "halves", 3, start, ema_decay=0.5)
    latest, resumed = run(tmp_path / "halves", 6, ema_decay=0.5)

    assert resumed.step == 6
    for one, other in zip(expected.get_weights(), latest.get_weights()):
        np.testing.assert_array_equal(one, other)
    loaded = load_model(tmp_path / "halves").get_weights()
    for one, other, used in zip(straight.average.values, resumed.average.values, loaded):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(other, used)
    assert any((one != other).any() for one, other in zip(loaded, latest.get_weights()))
    unaveraged = load_model(tmp_path / "halves", prefer_average=False).get_weights()
    for one, other in zip(unaveraged, latest.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_a_run_may_begin_an_average_later_but_not_drop_it(tmp_path):
    model, _ = run(tmp_path, 2)
    _, checkpoints = run(tmp_path, 2, ema_decay=0.9)
    for value, weight in zip(checkpoints.average.values, model.get_weights()):
        np.testing.assert_array_equal(value, weight)

    run(tmp_path, 4, ema_decay=0.9)
    with pytest.raises(InputError, match="ema_decay"):
        run(tmp_path, 5)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_run_after_its_step_and_saves(tmp_path, number):
    def interrupted():
        for step, batch in enumerate(batches()):
            if step == 2:
                os.kill(os.getpid(), number)
            yield batch

    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path)

    ended_by, _ = train(checkpoints, interrupted(), 100)

    assert ended_by == number.name
    assert checkpoints.step == 3
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("step-3")


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)

    with catch_signals():
        assert signal.getsignal(signal.SIGINT) is not before

    assert signal.getsignal(signal.SIGINT) is before


def test_signals_that_are_ignored_stay_ignored():
    """As `nohup` has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catch_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_run_in_another_thread_catches_no_signals(tmp_path):
    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        ended_by, _ = pool.submit(train, checkpoints, batches(), 2).result()

    assert (ended_by, checkpoints.step) == ("max_steps", 2)


def test_hours_that_are_over_end_the_run_and_save(tmp_path):
    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path)

    ended_by, results = train(checkpoints, batches(), 100, more={"deadline": time.monotonic()})

    assert (ended_by, run_files.steps_in(tmp_path)) == ("time_budget", [1])
    assert results["loss"] > 0


def test_validation_keeps_the_best_and_is_logged(tmp_path):
    scores = iter([20.0, 22.0, 21.0])
    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path, keep=1)

    _, results = train(
        checkpoints,
        batches(),
        6,
        validate=lambda: {"psnr": next(scores), "ssim_channel": 0.5, "ssim_matlab": 0.75},
        log=Log(tmp_path, 0),
        validate_every=2,
        log_every=3,
    )

    assert run_files.read_best(tmp_path) == {
        "step": 4,
        "psnr": 22.0,
        "ssim_channel": 0.5,
        "ssim_matlab": 0.75,
        "validated": 6,
    }
    assert run_files.steps_in(tmp_path) == [4, 6]
    rows = read_log(tmp_path / "log.csv")
    assert [(row["step"], row["validation_psnr"]) for row in rows] == [
        ("2", "20"),
        ("3", ""),
        ("4", "22"),
        ("6", "21"),
    ]
    assert results["validation_ssim_matlab"] == 0.75


def test_a_validation_that_was_lost_is_made_up_for(tmp_path):
    run(tmp_path, 2)
    checkpoints = Checkpoints(srn.build_model(SMALL), adam(polynomial_decay(1e-3, 6)), tmp_path)
    checkpoints.resume()

    train(checkpoints, batches(2), 3, validate=lambda: {"psnr": 20.0}, log=Log(tmp_path, 2), validate_every=2)

    assert run_files.read_best(tmp_path)["step"] == 2


def test_weights_whose_output_is_not_finite_are_not_saved(tmp_path):
    """After too large a step, weights are finite but outputs are not."""
    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e30), tmp_path)

    with pytest.raises(WorkError, match="the output is not finite after step 1, which is not saved"):
        train(checkpoints, batches(), 5, save_every=1)

    assert run_files.steps_in(tmp_path) == []


def test_a_crop_that_cannot_be_read_keeps_the_steps_before_it(tmp_path):
    def broken():
        yield from itertools.islice(batches(), 2)
        raise tf.errors.InvalidArgumentError(None, None, "Invalid PNG data")

    model = srn.build_model(SMALL)
    checkpoints = Checkpoints(model, adam(1e-3), tmp_path)

    with pytest.raises(tf.errors.InvalidArgumentError):
        train(checkpoints, broken(), 10)

    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("step-2")


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path):
    def poisoned():
        for step, (blurry, sharp) in enumerate(batches()):
            yield (blurry, sharp * np.nan) if step == 3 else (blurry, sharp)

    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path)
    more = {"describe": lambda step: [f"crop {number} of {step}" for number in range(2)]}

    with pytest.raises(WorkError) as error:
        train(checkpoints, poisoned(), 10, save_every=3, more=more)

    heading, *crops = str(error.value).splitlines()
    assert heading.startswith(
        "the loss is nan at step 4, which is not saved; checkpoints of steps 3 stay: go back"
    )
    assert crops == ["step 4: crop 0 of 4", "step 4: crop 1 of 4"]

    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("step-3")


def test_old_checkpoints_go_and_the_newest_stay(tmp_path):
    run(tmp_path, 5, keep=2, save_every=1)

    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["step-4.index", "step-5.index"]


def test_the_folder_of_another_model_is_refused(tmp_path):
    run(tmp_path, 1)

    with pytest.raises(InputError, match="holds the run of another model"):
        Checkpoints(srn.build_model(SMALL.replace(width=8)), adam(1e-3), tmp_path)


def test_scalars_and_pictures_are_written(tmp_path):
    run(tmp_path / "run", 2, log_dir=tmp_path / "logs", pictures_every=2)

    (events,) = (tmp_path / "logs").iterdir()
    tags = {
        value.tag
        for record in tf.data.TFRecordDataset(str(events))
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    }
    assert {"train/loss", "train/psnr", "train/learning_rate", "blurry_restored_sharp"} <= tags


def test_a_signal_in_the_last_step_does_not_make_it_unfinished(tmp_path):
    def interrupted():
        for step, batch in enumerate(batches()):
            if step == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path)

    assert train(checkpoints, interrupted(), 2)[0] == "max_steps"


@pytest.mark.parametrize("error", [BrokenPipeError, OSError(5, "Input/output error"), ValueError("closed")])
def test_a_bar_that_nobody_takes_does_not_end_the_run(tmp_path, monkeypatch, error):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "write", unittest.mock.Mock(side_effect=error))
    monkeypatch.setattr(sys, "stderr", stream)
    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path)

    assert train(checkpoints, batches(), 2)[0] == "max_steps"
    assert stream.write.called


def test_no_stream_for_the_bar(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path)

    assert train(checkpoints, batches(), 2)[0] == "max_steps"


def test_a_log_that_cannot_be_written_any_more_saves_first(tmp_path):
    def break_log():
        for step, batch in enumerate(batches()):
            if step == 2:
                (tmp_path / "log.csv").unlink()
                (tmp_path / "log.csv").symlink_to("/dev/full")
            yield batch

    checkpoints = Checkpoints(srn.build_model(SMALL), adam(1e-3), tmp_path)

    with pytest.raises(OSError, match="No space left on device"):
        train(checkpoints, break_log(), 9, log=Log(tmp_path, 0))

    assert run_files.steps_in(tmp_path) == [3]


@pytest.mark.parametrize("note", ["{", '{"step": 3, "psnr": 99.0, "validated": 4}'])
def test_the_best_is_found_again_where_its_note_or_its_checkpoint_is_lost(tmp_path, note):
    scores = iter([22.0, 20.0, 21.0, 19.0])
    options = {"validate": lambda: {"psnr": next(scores)}, "validate_every": 2}
    run(tmp_path, 4, log=Log(tmp_path, 0), **options)
    (tmp_path / "best.json").write_text(note)
    checkpoints = Checkpoints(srn.build_model(SMALL), adam(polynomial_decay(1e-3, 6)), tmp_path)
    checkpoints.resume()

    Watch(checkpoints, Board(None, checkpoints.model, checkpoints.optimizer)).recover_best()
    train(checkpoints, batches(4), 6, log=Log(tmp_path, 4), **options)

    assert run_files.read_best(tmp_path)["step"] == (2 if note == "{" else 6)
