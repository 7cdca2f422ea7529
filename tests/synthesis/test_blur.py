import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from srn.synthesis import blur


def picture(height=24, width=32):
    return np.random.default_rng(0).random((height, width, 3), np.float32)


def path_of(*poses):
    return np.array(poses, np.float32)


def shaken(sharp, path):
    """The mean of what is seen from each pose."""
    return blur.views(sharp, blur.projective_transforms(path, *sharp.shape[:2])).numpy().mean(axis=0)


def test_a_camera_that_stands_still_gives_the_picture_back():
    blurry = shaken(picture(), np.zeros((7, 4), np.float32))

    np.testing.assert_allclose(blurry, picture(), atol=1e-6)


def test_the_blur_of_a_constant_is_that_constant():
    path = blur.camera_path(np.random.default_rng(1), poses=9, max_length=20)

    blurry = shaken(np.full((20, 30, 3), 0.3, np.float32), path)

    np.testing.assert_allclose(blurry, 0.3, atol=1e-6)


def test_looking_one_pixel_to_the_right_moves_the_scene_one_pixel_to_the_left():
    seen = blur.views(picture(), blur.projective_transforms(path_of([1, 0, 0, 0]), 24, 32))[0]

    np.testing.assert_array_equal(seen[:, :-1], picture()[:, 1:])
    np.testing.assert_array_equal(seen[:, -1], picture()[:, -1])  # mirrored at the edge


def test_looking_two_pixels_down_moves_the_scene_two_pixels_up():
    seen = blur.views(picture(), blur.projective_transforms(path_of([0, 2, 0, 0]), 24, 32))[0]

    np.testing.assert_array_equal(seen[:-2], picture()[2:])


def test_a_quarter_turn_is_that_of_numpy_and_about_the_centre():
    square = picture(21, 21)

    seen = blur.views(square, blur.projective_transforms(path_of([0, 0, np.pi / 2, 0]), 21, 21))[0]

    np.testing.assert_allclose(seen, np.rot90(square), atol=1e-4)


def test_zoom_shows_more_of_the_scene_and_keeps_the_centre():
    ramp = np.broadcast_to(np.arange(21, dtype=np.float32)[:, None], (21, 21))[..., None]

    seen = blur.views(ramp, blur.projective_transforms(path_of([0, 0, 0, np.log(1.5)]), 21, 21))[0]

    np.testing.assert_allclose(seen[6:15, 5, 0], 10 + 1.5 * np.arange(-4, 5), atol=1e-4)


def test_a_sideways_shake_averages_the_shifted_pictures():
    sharp = picture()

    blurry = shaken(sharp, path_of([-1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]))

    by_hand = (sharp[:, :-2] + sharp[:, 1:-1] + sharp[:, 2:]) / 3
    np.testing.assert_allclose(blurry[:, 1:-1], by_hand, atol=1e-6)


def test_views_run_in_a_graph_on_pictures_of_any_size():
    path = blur.camera_path(np.random.default_rng(1), poses=5, max_length=9)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3]), tf.TensorSpec([None, 4])])
    def look(image, path):
        size = tf.shape(image)
        return blur.views(image, blur.projective_transforms(path, size[0], size[1]))

    np.testing.assert_allclose(np.mean(look(picture(), path), axis=0), shaken(picture(), path), atol=1e-6)


@pytest.mark.parametrize("poses", [3, 13, 17])
def test_the_path_is_zero_in_the_middle_and_within_the_lengths_asked_for(poses):
    lengths = []
    for seed in range(200):
        path = blur.camera_path(np.random.default_rng(seed), poses, max_length=14, min_length=2)
        assert path.shape == (poses, 4)
        assert path.dtype == np.float32
        np.testing.assert_array_equal(path[poses // 2], 0)
        lengths.append(np.hypot(*np.diff(path[:, :2], axis=0).T).sum())

    assert 2 - 1e-4 < min(lengths) < 3
    assert 12 < max(lengths) < 14 + 1e-4
    assert np.median(lengths) == pytest.approx(np.sqrt(2 * 14), rel=0.25)  # log-uniform


def test_the_path_is_a_function_of_the_seed():
    def path(seed):
        return blur.camera_path(np.random.default_rng(seed), poses=15, max_length=14)

    np.testing.assert_array_equal(path(3), path(3))
    assert not np.array_equal(path(3), path(4))


@pytest.mark.parametrize("poses", [1, 14])
def test_a_path_needs_a_middle_between_two_ends(poses):
    with pytest.raises(ValueError, match=f"poses={poses} .* odd and at least 3"):
        blur.camera_path(np.random.default_rng(0), poses, max_length=14)


@pytest.mark.parametrize("min_length,max_length", [(0, 5), (6, 5)])
def test_a_path_needs_a_range_of_lengths(min_length, max_length):
    with pytest.raises(ValueError, match="0 < min_length <= max_length"):
        blur.camera_path(np.random.default_rng(0), 5, max_length, min_length)


def test_importing_the_module_prints_no_warning():
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}  # TensorFlow's own lines about the machine
    code = (
        "import warnings, tensorflow; warnings.simplefilter('error', UserWarning); import srn.synthesis.blur"
    )

    done = subprocess.run([sys.executable, "-c", code], env=quiet, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "Addons" not in done.stderr
    assert "Warning" not in done.stderr
