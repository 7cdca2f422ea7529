import subprocess
import sys

import numpy as np
import pytest

from srn.errors import InputError
from srn.synthesis import blur, shake
from srn.synthesis.settings import GOPRO, HANDHELD, SYNTHESES, ShakeSettings


def paths(settings, count=300):
    return [shake._draw_path(np.random.default_rng(seed), settings)[:, :2] for seed in range(count)]


def lengths(settings, count=300):
    return np.array([np.hypot(*np.diff(path, axis=0).T).sum() for path in paths(settings, count)])


def offsets(settings):
    """How far the mean pose is from the middle one, in pixels, of strokes of 20 pixels."""
    import dataclasses

    settings = dataclasses.replace(settings, min_length=20.0, max_length=20.0)
    return np.array([np.hypot(*path.mean(axis=0)) for path in paths(settings)])


def test_gopros_strokes_are_spread_evenly_over_their_lengths():
    quartiles = np.quantile(lengths(GOPRO, 1000), [0.25, 0.5, 0.75])

    np.testing.assert_allclose(quartiles, 3 + 37 * np.array([0.25, 0.5, 0.75]), atol=1.5)


def test_short_strokes_are_the_most_of_a_hands():
    assert np.median(lengths(HANDHELD, 1000)) == pytest.approx(np.sqrt(2 * 40), rel=0.15)


def test_gopros_blur_lies_more_evenly_about_its_truth():
    hand, gopro = (np.median(offsets(settings)) for settings in (HANDHELD, GOPRO))

    assert gopro < 0.6 * hand


def test_a_straight_stroke_has_its_centre_in_the_middle():
    path = blur.camera_path(np.random.default_rng(0), 15, 12, 12, rotation=0, zoom=0, bend=0, tremor=0)

    np.testing.assert_allclose(path, -path[::-1], atol=1e-5)
    assert np.hypot(*(path[-1] - path[0])[:2]) == pytest.approx(12, rel=1e-4)


def test_downscaled_settings_shrink_what_is_in_pixels():
    half = ShakeSettings(min_length=3, max_length=40, soften=1.0).downscaled(2)

    assert (half.min_length, half.max_length, half.soften) == (1.5, 20.0, 0.5)
    assert half.depth == HANDHELD.depth and half.rotation == HANDHELD.rotation


def test_softened_photographs_are_seen_through_a_gaussian():
    photograph = np.random.default_rng(0).random((60, 60, 3), np.float32)
    settings = ShakeSettings(soften=2.0)

    whole = shake.shake(photograph, np.random.default_rng(1), settings)
    window = shake.Window(20, 10, 24, 30)
    part = shake.shake_window(photograph, window, np.random.default_rng(1), settings)

    assert whole[1].std() < 0.5 * photograph.std()
    np.testing.assert_allclose(part[1], whole[1][20:44, 10:40], atol=1e-5)


def test_noise_is_seldom_where_it_is_to_be():
    settings = ShakeSettings(noise=0.2, noise_probability=0.25, jpeg_probability=0, saturation_probability=0)
    grey = np.full((32, 32, 3), 0.5, np.float32)

    noisy = [shake.shake(grey, np.random.default_rng(seed), settings)[0].std() > 1e-4 for seed in range(120)]

    assert 0.15 < np.mean(noisy) < 0.35


def test_other_lengths_are_refused():
    with pytest.raises(InputError, match="log_uniform"):
        ShakeSettings(lengths="normal")


def test_names_are_listed_without_tensorflow():
    code = (
        "import sys, srn.synthesis.settings as s; assert 'tensorflow' not in sys.modules; print(*s.SYNTHESES)"
    )

    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert listed.stdout.split() == list(SYNTHESES) == ["handheld", "gopro"]
