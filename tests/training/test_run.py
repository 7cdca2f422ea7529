"""`srn.train`: that every setting has its effect, and that a run is resumed by whoever began it."""

import itertools
import re
import time

import numpy as np
import pytest
import tensorflow as tf

import srn
from srn.config import ModelConfig
from srn.data import sources
from srn.data.cache import prepare
from srn.data.pairs import find_pairs
from srn.errors import InputError, WorkError
from srn.training import loop
from srn.training.config import FINISHED, TrainingConfig
from srn.training.optimizers import make_schedule
from srn.training.schedules import Warmup, polynomial_decay

TINY = ModelConfig(width=2, res_blocks=1, kernel_size=3, num_scales=1)


@pytest.fixture
def config(pairs_dir):
    """Settings of a tiny run on four pairs."""
    return TrainingConfig(
        model=TINY, data_dir=pairs_dir, crop_size=16, batch_size=2, max_steps=1, log_every=1
    )


@pytest.fixture
def begun(config, tmp_path, monkeypatch):
    """Function of changes in the settings: all that `train` hands to the loop over the steps."""

    def begin(**changes):
        handed = {}

        def take(step, batches, checkpoints, max_steps, watch, intervals, **options):
            handed.update(vars(intervals), **options, watch=watch, step=step)
            handed["batches"] = list(itertools.islice(batches, 4))
            handed.update(checkpoints=checkpoints, max_steps=max_steps)
            return FINISHED, {}

        monkeypatch.setattr(loop, "run_steps", take)
        srn.train(config.replace(**changes), tmp_path / f"run-{len(changes)}", say=lambda line: None)
        return handed

    return begin


def weights_of(handed):
    return handed["checkpoints"].model.get_weights()


def first_batch(handed):
    return next(iter(handed["batches"]))[0].numpy()


def are_equal(some, others):
    return all(np.array_equal(one, other) for one, other in zip(some, others))


@pytest.mark.parametrize("name, value", [("save_every", 7), ("log_every", 8), ("pictures_every", 9)])
def test_the_loop_gets_its_intervals(begun, name, value):
    handed = begun(**{name: value})

    assert handed[name] == value
    assert sum(option == value for option in handed.values() if isinstance(option, int)) == 1


def test_crops_have_their_size_and_number(begun):
    assert first_batch(begun(crop_size=24, batch_size=3)).shape == (3, 24, 24, 3)


def test_the_seed_chooses_crops_and_initial_weights(begun):
    one, same, other = begun(seed=1), begun(seed=1), begun(seed=2)

    assert np.array_equal(first_batch(one), first_batch(same))
    assert not np.array_equal(first_batch(one), first_batch(other))
    assert are_equal(weights_of(one), weights_of(same))
    assert not are_equal(weights_of(one), weights_of(other))


def test_augmentation_mirrors_and_rotates_the_same_crops(begun):
    plain, augmented = (first_batch(begun(augment=augment, batch_size=8)) for augment in (False, True))

    assert not np.array_equal(plain, augmented)
    np.testing.assert_array_equal(np.sort(plain, axis=None), np.sort(augmented, axis=None))


def test_data_sets_are_mixed_by_their_weights(begun, pairs_dir, make_pairs):
    dark = make_pairs(pairs_dir.parent / "dark", count=2)
    for path in dark.glob("*/*.png"):
        tf.io.write_file(str(path), tf.io.encode_png(tf.zeros([64, 64, 3], tf.uint8)))

    batch = first_batch(begun(data_dir=None, mix=f"pairs:{pairs_dir}:0.9,pairs:{dark}:0.1", batch_size=100))

    assert sum(crop.max() == 0 for crop in batch) == 10


def test_the_folder_of_blurry_images_and_the_layout_are_chosen(begun, pairs_dir):
    for path in (pairs_dir / "blur").iterdir():
        (pairs_dir / "other").mkdir(exist_ok=True)
        tf.io.write_file(
            str(pairs_dir / "other" / path.name), tf.io.encode_png(tf.zeros([64, 64, 3], tf.uint8))
        )

    assert first_batch(begun(dataset="pairs", blur_folder="other")).max() == 0
    with pytest.raises(InputError, match="train"):
        begun(dataset="gopro")


def test_a_cache_is_read_instead_of_the_images(begun, pairs_dir, tmp_path, monkeypatch):
    expected = first_batch(begun())
    prepare(find_pairs(pairs_dir), tmp_path / "cache", progress=False)
    monkeypatch.setattr(sources, "decode_in_graph", None)

    np.testing.assert_array_equal(first_batch(begun(cache_dir=tmp_path / "cache")), expected)
    with pytest.raises(InputError, match="prepare"):
        begun(cache_dir=tmp_path / "nothing")


def test_the_network_and_its_precision(begun):
    handed = begun(model=TINY.replace(width=3), precision="bfloat16")

    model = handed["checkpoints"].model
    assert model.config.width == 3 and model.compute_dtype == "bfloat16"


def test_a_start_at_the_identity(begun):
    image = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)

    passed, changed = (
        begun(start=start, model=TINY.replace(width=4))["checkpoints"].model(image)[0]
        for start in ("identity", "xavier")
    )

    np.testing.assert_allclose(passed, image, atol=1e-6)
    assert np.abs(changed - image).max() > 0.1


def test_a_run_begins_with_given_or_grown_weights(begun, tmp_path):
    small = srn.build_model(TINY)
    srn.weights.save_npz(small, tmp_path / "small.npz")
    image = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)

    given = begun(init_from=tmp_path / "small.npz")["checkpoints"].model
    grown = begun(grow_from=tmp_path / "small.npz", model=TINY.replace(res_blocks=2))["checkpoints"].model

    assert are_equal(given.get_weights(), small.get_weights())
    np.testing.assert_allclose(grown(image)[0], small(image)[0], atol=1e-5)


def test_the_schedule_has_its_four_numbers(config):
    config = config.replace(learning_rate=0.5, end_learning_rate=0.1, decay_power=2.0)

    schedule = make_schedule(config, decay_steps=10, max_steps=3)

    for step in (0, 5, 10, 20):
        expected = 0.4 * (1 - min(step, 10) / 10) ** 2 + 0.1
        np.testing.assert_allclose(schedule(step), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "changes, decay_steps, max_steps",
    [
        ({"epochs": 9}, 18, 18),
        ({"epochs": 9, "max_steps": 4}, 18, 4),
        ({"epochs": 9, "decay_steps": 5}, 5, 5),
        ({"decay_steps": 5, "max_steps": 7}, 5, 7),
    ],
    ids=str,
)
def test_where_the_decay_and_the_run_end(begun, changes, decay_steps, max_steps):
    handed = begun(**{"max_steps": None, **changes})

    assert handed["max_steps"] == max_steps
    assert handed["checkpoints"].optimizer._learning_rate.decay_steps == decay_steps


def test_the_optimizer_is_adam_with_a_warmup_where_one_is_given(begun):
    optimizer = begun()["checkpoints"].optimizer
    assert isinstance(optimizer, tf.keras.optimizers.Adam)
    assert not isinstance(optimizer._learning_rate, Warmup)

    assert begun(warmup_steps=6)["checkpoints"].optimizer._learning_rate.steps == 6


def test_the_average_has_its_decay(begun):
    assert begun()["checkpoints"].average is None
    assert float(begun(ema_decay=0.75)["checkpoints"].average.decay) == 0.75


def update(handed):
    """{name: by how much one step moved the weight} and the results of the step."""
    before = weights_of(handed)
    results = handed["step"](*next(iter(handed["batches"])))
    model = handed["checkpoints"].model
    cell = {variable.name for variable in model.recurrent_variables}
    moved = {True: 0.0, False: 0.0}
    for variable, old in zip(model.weights, before):
        is_cells = variable.name in cell
        moved[is_cells] = max(moved[is_cells], float(np.abs(variable.numpy() - old).max()))
    return moved[True], moved[False], results


def test_the_clip_holds_the_recurrent_cell_alone(begun):
    """Adam divides by the size of the gradients: only far below its epsilon are steps small."""
    cell, rest, results = update(begun(clip_norm=1e-12, learning_rate=1e-3))
    assert cell < 1e-6 < 5e-4 < rest
    assert float(results["recurrent_gradient_norm"]) > 1e-6
    assert float(results["clipped_recurrent_gradient_norm"]) < 1e-11
    assert results["clipped_rest_gradient_norm"] == results["rest_gradient_norm"]

    cell, rest, results = update(begun(clip_norm=0.0, learning_rate=1e-3))
    assert min(cell, rest) > 5e-4
    assert float(results["clipped_recurrent_gradient_norm"]) > 1e-6


def test_the_learning_rate_is_that_of_the_step(begun):
    for rate in (1e-3, 1e-2):
        np.testing.assert_allclose(update(begun(learning_rate=rate))[1], rate, rtol=0.05)


def test_xla_compiles_the_step_where_it_should(begun):
    assert begun(jit_compile=True)["step"]._jit_compile is True
    assert not begun()["step"]._jit_compile


def test_the_loss_is_the_named_one(begun, monkeypatch):
    from srn.training import losses

    monkeypatch.setitem(
        losses.LOSSES, "mse", lambda outputs, sharp, config: 7.0 + 0.0 * tf.reduce_sum(outputs[0])
    )

    assert float(update(begun())[2]["loss"]) == 7.0
    assert float(update(begun(tv_weight=0.5))[2]["loss"]) > 7.0


def test_the_adversarial_loss_is_there_where_it_has_a_weight(begun):
    adversary = begun(adversarial_weight=0.25)["checkpoints"].adversary

    assert adversary.weight == 0.25
    assert begun()["checkpoints"].adversary is None


def test_phases_are_resumed_where_they_were(begun):
    handed = begun(phases="16x4:0.5,24x2:0.5", max_steps=4)
    batches = [blurry.numpy() for blurry, _ in handed["batches"]]
    assert [batch.shape[:2] for batch in batches] == [(4, 16), (4, 16), (2, 24), (2, 24)]

    handed["checkpoints"].optimizer.iterations.assign(3)
    handed["checkpoints"].save()
    (last,) = [blurry.numpy() for blurry, _ in begun(phases="16x4:0.5,24x2:0.5", max_steps=4)["batches"]]
    np.testing.assert_array_equal(last, batches[3])


def test_milestones_and_the_budget_of_hours(begun):
    handed = begun(keep_every=5, time_budget=2.0)

    assert handed["checkpoints"]._keep_every == 5
    assert 7100 < handed["deadline"] - time.monotonic() < 7200


def test_all_gradients_are_clipped_together_where_asked_for(begun):
    cell, rest, results = update(begun(clip_all=True, clip_norm=1e-12, learning_rate=1e-3))

    assert max(cell, rest) < 1e-6
    norm = np.hypot(results["clipped_recurrent_gradient_norm"], results["clipped_rest_gradient_norm"])
    np.testing.assert_allclose(norm, 1e-12, rtol=1e-3)


def test_validation_has_its_images_and_its_interval(begun, pairs_dir):
    assert begun()["watch"]._validate is None and begun()["validate_every"] is None

    handed = begun(val_data_dir=pairs_dir, val_images=2, save_every=7)
    assert [pair.name for pair in handed["watch"]._validate._pairs] == ["0000", "0002"]
    assert handed["validate_every"] == 7
    assert begun(val_data_dir=pairs_dir, val_every=3)["validate_every"] == 3
    with pytest.raises(InputError, match=r"no pairs there.* 4 pairs are found by `val_dataset`=pairs"):
        begun(val_data_dir=pairs_dir, val_dataset="reds")
    with pytest.raises(InputError, match="`val_data_dir` takes the folder"):
        begun(val_data_dir=pairs_dir / "nothing")


def test_going_back_by_the_settings(config, tmp_path):
    srn.train(config.replace(max_steps=3, save_every=1), tmp_path / "run")

    result = srn.train(config.replace(max_steps=3, resume_from=1), tmp_path / "run")

    assert (result.first_step, result.step) == (1, 3)
    assert TrainingConfig.from_flagfile(tmp_path / "run/flags.cfg").resume_from is None


def test_a_loss_that_is_not_finite_is_reported_with_the_crops_of_the_batch(config, tmp_path):
    srn.train(config, tmp_path / "run")
    with pytest.raises(WorkError) as error:
        srn.train(config.replace(max_steps=9, learning_rate=1e30, end_learning_rate=1e30), tmp_path / "run")

    heading, *crops = str(error.value).splitlines()
    assert heading.startswith("the loss is ")
    assert "which is not saved; checkpoints of steps 1 stay: go back by resume_from=1" in heading
    assert len(crops) == config.batch_size
    assert all(re.search(r"blur/\d{4}\.png: 16x16 pixels from row", crop) for crop in crops)


def test_checkpoints_at_their_steps_and_the_newest_kept(config, tmp_path):
    srn.train(config.replace(max_steps=7, save_every=2, keep=3), tmp_path)

    assert sorted(path.name for path in tmp_path.glob("*.index")) == [
        "step-4.index",
        "step-6.index",
        "step-7.index",
    ]


def test_what_a_call_did(config, tmp_path):
    lines = []

    result = srn.train(config.replace(max_steps=2), tmp_path, lines.append)
    again = srn.train(config.replace(max_steps=2), tmp_path, lines.append)

    assert (result.first_step, result.step, result.max_steps, result.ended_by) == (0, 2, 2, FINISHED)
    assert result.checkpoint == str(tmp_path / "step-2")
    assert {"loss", "psnr", "recurrent_gradient_norm"} <= set(result.metrics)
    assert re.fullmatch(rf"custom: [\d,]+ parameters; 4 pairs; step 0 to 2 in {tmp_path}", lines[0])
    assert (again.first_step, again.step, again.metrics) == (2, 2, {})


def test_two_calls_are_one(config, tmp_path):
    straight = srn.train(config.replace(max_steps=4), tmp_path / "straight")
    srn.train(config.replace(max_steps=2), tmp_path / "halves")
    halves = srn.train(
        TrainingConfig.from_flagfile(tmp_path / "halves/flags.cfg", max_steps=4), tmp_path / "halves"
    )

    one, other = (srn.load_model(result.checkpoint).get_weights() for result in (straight, halves))
    assert are_equal(one, other)


def test_an_image_that_cannot_be_decoded_is_named_and_the_steps_before_are_saved(config, pairs_dir, tmp_path):
    content = bytearray((pairs_dir / "blur/0003.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (pairs_dir / "blur/0003.png").write_bytes(content)

    with pytest.raises(WorkError) as error:
        srn.train(config.replace(max_steps=9), tmp_path / "run")

    first, second = str(error.value).splitlines()
    assert "blur/0003.png: cannot be decoded" in first
    assert "is saved in" in second
    assert list((tmp_path / "run").glob("step-*.index"))


def test_a_file_that_is_replaced_during_the_run_is_named(config, pairs_dir, tmp_path):
    def replace(_):
        tf.io.write_file(str(pairs_dir / "sharp/0002.png"), tf.io.encode_png(tf.zeros([40, 50, 3], tf.uint8)))

    with pytest.raises(WorkError) as error:
        srn.train(config.replace(max_steps=9), tmp_path / "run", say=replace)

    assert "blur/0002.png: 64x64, but" in str(error.value)
    assert "sharp/0002.png is 50x40" in str(error.value)


def test_a_file_that_goes_away_is_named_and_the_steps_before_are_saved(config, pairs_dir, tmp_path):
    lost = pairs_dir / "sharp/0001.png"

    with pytest.raises(WorkError) as error:
        srn.train(config.replace(max_steps=9), tmp_path / "run", say=lambda line: lost.unlink())

    first, second = str(error.value).splitlines()
    assert "sharp/0001.png" in first
    assert "is saved in" in second
    assert list((tmp_path / "run").glob("step-*.index"))


def test_resuming_does_not_need_the_first_weights(config, tmp_path):
    srn.weights.save_npz(srn.build_model(TINY), tmp_path / "first.npz")
    config = config.replace(init_from=tmp_path / "first.npz")
    srn.train(config, tmp_path / "run")
    (tmp_path / "first.npz").unlink()

    assert srn.train(config.replace(max_steps=2), tmp_path / "run").first_step == 1


def test_the_schedule_of_the_paper_has_no_hidden_numbers():
    """Written once more, so that an exchange of two arguments is seen here and in the run."""
    for start, end, power in itertools.product((0.3, 0.2), (0.1, 0.0), (1.0, 0.5)):
        schedule = polynomial_decay(start, 4, end, power)
        np.testing.assert_allclose(schedule(3), (start - end) * 0.25**power + end, rtol=1e-6)
