import itertools
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

import srn
from srn.config import ModelConfig
from srn.errors import InputError, WorkError
from srn.training.average import WeightAverage
from srn.training.board import Board
from srn.training.checkpoints import Checkpoints
from srn.training.loop import catch_signals, run_steps
from srn.training.optimizers import adam
from srn.training.schedules import polynomial_decay
from srn.training.step import make_training_step
from srn.weights import load_model

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)


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


def train(checkpoints, batches, max_steps, log_dir=None, **options):
    model, optimizer = checkpoints.model, checkpoints.optimizer
    step = make_training_step(model, optimizer, average=checkpoints.average)
    board = Board(log_dir, model, optimizer)
    return run_steps(step, batches, checkpoints, max_steps, board, **{"log_every": 1, **options})


def test_three_steps_and_three_more_are_six(tmp_path):
    start = srn.build_model(SMALL).get_weights()

    straight, _ = run(tmp_path / "straight", 6, start)
    run(tmp_path / "halves", 3, start)
    resumed, checkpoints = run(tmp_path / "halves", 6)

    assert checkpoints.step == 6
    for one, other in zip(straight.get_weights(), resumed.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_the_average_is_resumed_and_is_what_others_load(tmp_path):
    start = srn.build_model(SMALL).get_weights()

    _, straight = run(tmp_path / "straight", 6, start, ema_decay=0.5)
    run(tmp_path / "halves", 3, start, ema_decay=0.5)
    latest, resumed = run(tmp_path / "halves", 6, ema_decay=0.5)

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_and_saves(tmp_path, number):
    def interrupted():
        for step, batch in enumerate(batches()):
            if step == 2:
                os.kill(os.getpid(), number)
            yield batch

    model = srn.build_model(SMALL)
    checkpoints = Checkpoints(model, adam(1e-3), tmp_path)

    ended_by, _ = train(checkpoints, interrupted(), 100)

    assert ended_by == number.name
    assert checkpoints.step == 3
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("step-3")


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)

    with catch_signals():
        assert signal.getsignal(signal.SIGINT) is not before

    assert signal.getsignal(signal.SIGINT) is before


def test_a_crop_that_cannot_be_read_keeps_the_steps_before_it(tmp_path):
    def broken():
        yield from itertools.islice(batches(), 2)
        raise tf.errors.InvalidArgumentError(None, None, "Invalid PNG data")

    model = srn.build_model(SMALL)
    checkpoints = Checkpoints(model, adam(1e-3), tmp_path)

    with pytest.raises(tf.errors.InvalidArgumentError):
        train(checkpoints, broken(), 10)

    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("step-2")


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(tmp_path):
    def poisoned():
        for step, (blurry, sharp) in enumerate(batches()):
            yield (blurry, sharp * np.nan) if step == 3 else (blurry, sharp)

    model = srn.build_model(SMALL)
    checkpoints = Checkpoints(model, adam(1e-3), tmp_path)

    with pytest.raises(WorkError, match="nan at step 4"):
        train(checkpoints, poisoned(), 10, save_every=3)

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
