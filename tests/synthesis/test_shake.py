import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from srn.errors import InputError
from srn.synthesis import blur, shake

# The blur alone: nothing that sensor and file add.
PLAIN = shake.ShakeSettings(saturation_probability=0, noise=0, jpeg_probability=0)
LINEAR = dataclasses.replace(PLAIN, gamma_probability=0)


def photograph(seed=0, height=60, width=80):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def shaken(seed, settings=PLAIN, **arguments):
    return shake.shake(photograph(), np.random.default_rng(seed), settings, **arguments)


@pytest.mark.parametrize("seed", range(4))
def test_sharp_is_the_photograph_itself(seed):
    blurry, sharp = shaken(seed)

    np.testing.assert_allclose(sharp, photograph(), atol=1e-6)
    assert blurry.shape == sharp.shape and blurry.dtype == sharp.dtype == np.float32
    assert np.abs(blurry - sharp).mean() > 0.05


def test_a_flat_scene_is_that_of_the_projective_warps():
    settings = dataclasses.replace(LINEAR, depth=0)

    blurry, _ = shaken(5, settings)

    path = shake._draw_path(np.random.default_rng(5), settings)
    inner = (slice(30, 31), slice(30, 50))  # what no pose sees beyond the photograph from
    warps = blur.projective_transforms(path, *photograph().shape[:2])
    by_warps = blur.views(photograph(), warps).numpy().mean(axis=0)
    np.testing.assert_allclose(blurry[inner], by_warps[inner], atol=1e-4)


@pytest.mark.parametrize("gamma_probability", [0, 1])
def test_a_constant_stays_constant(gamma_probability):
    settings = dataclasses.replace(PLAIN, gamma_probability=gamma_probability, foreground=1)
    grey = np.full((40, 50, 3), 0.3, np.float32)

    blurry, sharp = shake.shake(grey, np.random.default_rng(0), settings, other=grey)

    np.testing.assert_allclose(blurry, 0.3, atol=1e-5)
    np.testing.assert_allclose(sharp, 0.3, atol=1e-5)


def test_light_is_averaged_as_by_hand():
    black_and_white = np.zeros((8, 64, 3), np.float32)
    black_and_white[:, 32:] = 1

    def blurry(**changes):
        settings = dataclasses.replace(PLAIN, depth=0, rotation=0, zoom=0, **changes)
        return shake.shake(black_and_white, np.random.default_rng(2), settings)[0]

    plain, light = blurry(gamma_probability=0), blurry(gamma_probability=1)

    assert ((plain > 0.1) & (plain < 0.9)).any()
    np.testing.assert_allclose(light, plain ** (1 / 2.2), atol=1e-4)  # of black and white only


def test_a_crop_is_the_crop_of_the_whole():
    whole = shaken(7, foreground_settings(1), other=photograph(1, 50, 50))
    window = shake.Window(13, 21, 30, 25)

    part = shake.shake_window(
        photograph(), window, np.random.default_rng(7), foreground_settings(1), photograph(1, 50, 50)
    )

    for of_whole, of_part in zip(whole, part):
        np.testing.assert_allclose(of_part, of_whole[13:43, 21:46], atol=1e-4)


def foreground_settings(probability):
    return dataclasses.replace(PLAIN, foreground=probability)


def test_a_foreground_covers_a_part_and_moves_on_its_own():
    black = np.zeros((60, 80, 3), np.float32)

    blurry, sharp = shake.shake(
        black, np.random.default_rng(1), foreground_settings(1), other=np.ones((9, 9, 3), np.float32)
    )

    assert 0.05 < (sharp > 0.99).mean() < 0.7
    assert np.abs(blurry - sharp).max() > 0.3
    np.testing.assert_array_equal(shake.shake(black, np.random.default_rng(1), PLAIN)[1], 0)


def test_the_depth_scales_how_far_things_move():
    def spread(field):
        """How wide a point becomes where the depth is `field`."""
        path = np.column_stack([np.linspace(-10, 10, 21), np.zeros((21, 3))]).astype(np.float32)
        point = np.zeros((5, 61, 3), np.float32)
        point[:, 30] = 1
        planes = np.stack([path * [scale, 1, 1, 1] for scale in 1 + 0.5 * shake.DEPTHS], axis=1)
        seen, warps = shake._patch_and_warps(planes, (5, 61), shake.Window(0, 0, 5, 61))
        weights = shake._plane_weights(np.full((5, 61), field))
        nothing = np.zeros((1, 1, 4), np.float32), warps[:, :0]
        mean, _ = shake._expose(seen.cut(point), warps, weights, *nothing)
        places = np.flatnonzero(mean[2, :, 0].numpy() > 1e-4)
        return places[-1] - places[0]

    assert [spread(field) for field in (-1, 0, 1, 3)] == [10, 20, 30, 30]


def test_saturated_highlights_stay_white_in_a_short_blur():
    settings = dataclasses.replace(LINEAR, saturation=50, max_length=12, min_length=11.9, depth=0)
    lamp = np.zeros((40, 40, 3), np.float32)
    lamp[18:22, 18:22] = 1

    def white(probability):
        made = dataclasses.replace(settings, saturation_probability=probability)
        blurry, sharp = shake.shake(lamp, np.random.default_rng(3), made)
        np.testing.assert_allclose(sharp, lamp, atol=1e-6)
        return (blurry > 0.99).sum()

    assert white(0) < 10
    assert white(1) > 100


def test_noise_and_jpeg_touch_the_blurry_picture_alone():
    settings = dataclasses.replace(PLAIN, noise=0.05, jpeg=(50, 50), jpeg_probability=1)

    blurry, sharp = shaken(4, settings)
    clean, _ = shaken(4)

    np.testing.assert_allclose(sharp, photograph(), atol=1e-6)
    assert 0.002 < np.abs(blurry - clean).mean() < 0.1
    np.testing.assert_allclose(blurry * 255, np.rint(blurry * 255), atol=1e-4)
    assert blurry.min() >= 0 and blurry.max() <= 1


def test_a_crop_is_a_function_of_the_generator():
    def crop(seed):
        return shake.shake_crop(photograph(), 32, np.random.default_rng(seed), other=photograph(1))

    for first, again, another in zip(crop(3), crop(3), crop(4)):
        assert first.shape == (32, 32, 3)
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, another)


def test_eight_bit_photographs_smaller_than_the_crop_are_mirrored():
    small = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)

    _, sharp = shake.shake_crop(small, 12, np.random.default_rng(0), PLAIN)

    pixels = np.rint(sharp * 255).astype(np.uint8)
    np.testing.assert_array_equal(pixels[:4, :5], small)
    np.testing.assert_array_equal(pixels[4:8, 5:10], small[::-1, ::-1])
    np.testing.assert_array_equal(pixels[8:12, :5], small)


def test_crops_can_be_made_by_many_threads_of_tf_data():
    def crop(sample):
        return shake.shake_crop(photograph(), 24, np.random.default_rng((1, int(sample))))

    def stream(threads):
        made = tf.data.Dataset.range(8).map(
            lambda sample: tf.numpy_function(crop, [sample], [tf.float32, tf.float32]),
            num_parallel_calls=threads,
            deterministic=True,
        )
        return list(made.as_numpy_iterator())

    np.testing.assert_array_equal(stream(8), stream(1))


def test_a_smooth_field_is_about_standard_normal_and_the_same_in_a_window():
    def field(seed, window):
        return shake.smooth_field(np.random.default_rng(seed), 4, (60, 80), window)

    whole = np.stack([field(seed, shake.Window(0, 0, 60, 80)) for seed in range(200)])

    assert abs(whole.mean()) < 0.1 and 0.85 < whole.std() < 1.15
    np.testing.assert_allclose(field(5, shake.Window(20, 30, 9, 9)), whole[5, 20:29, 30:39], atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"min_poses": 14}, {"max_poses": 13}, {"max_length": 1}, {"depth": 1}, {"saturation": 0.5}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        shake.ShakeSettings(**wrong)


def test_there_is_about_a_pose_for_each_pixel_of_the_stroke():
    def poses(length):
        settings = shake.ShakeSettings(min_length=length, max_length=length)
        return len(shake._draw_path(np.random.default_rng(0), settings))

    assert [poses(length) for length in (3, 20.5, 90)] == [15, 21, 31]
