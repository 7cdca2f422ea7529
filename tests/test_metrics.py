import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from srn import metrics

GOLDEN = Path(__file__).resolve().parent / "golden" / "ssim"
METRICS = (metrics.psnr, metrics.ssim_channel, metrics.ssim_matlab)


def make_pair(height=48, width=64, channels=3, seed=0):
    """Returns a restored and a sharp image: a coloured ramp, and the same with noise and a darker edge."""
    generator = np.random.default_rng(seed)
    ramp = np.linspace(30, 220, height * width * channels).reshape(height, width, channels)
    sharp = np.clip(ramp + 20 * generator.standard_normal(ramp.shape), 0, 255)
    restored = np.clip(sharp + 8 * generator.standard_normal(ramp.shape), 0, 255)
    restored[:, :3] *= 0.8
    return restored.round().astype(np.uint8), sharp.round().astype(np.uint8)


def golden_pair(name):
    return (cv2.imread(str(GOLDEN / f"{name}_{side}.png"))[..., ::-1] for side in ("restored", "sharp"))


def golden_numbers():
    return json.loads((GOLDEN / "scores.json").read_text())


def test_psnr_of_a_constant_difference_follows_from_the_formula():
    sharp = np.full((20, 30, 3), 100, np.uint8)

    assert metrics.psnr(sharp + 10, sharp) == pytest.approx(10 * math.log10(255**2 / 100), abs=1e-12)
    # A difference below zero must not wrap around in 8 bits.
    assert metrics.psnr(sharp - 10, sharp) == pytest.approx(10 * math.log10(255**2 / 100), abs=1e-12)


def test_psnr_averages_the_error_over_all_channels():
    sharp = np.zeros((4, 4, 3), np.uint8)
    restored = sharp.copy()
    restored[..., 2] = 30

    assert metrics.psnr(restored, sharp) == pytest.approx(10 * math.log10(255**2 / 300), abs=1e-12)


@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 16)])
def test_identical_images_are_infinitely_good(shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)

    assert metrics.psnr(image, image) == math.inf
    assert metrics.ssim_channel(image, image) == pytest.approx(1, abs=1e-12)
    assert metrics.ssim_matlab(image, image) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_symmetric_and_indifferent_to_rgb_or_bgr(metric):
    restored, sharp = make_pair()

    score = metric(restored, sharp)

    assert metric(sharp, restored) == pytest.approx(score, abs=1e-12)
    assert metric(restored[..., ::-1], sharp[..., ::-1]) == pytest.approx(score, abs=1e-12)


def test_the_volume_depends_on_the_order_of_channels():
    restored, sharp = make_pair()
    order = [1, 0, 2]

    swapped = metrics.ssim_matlab(restored[..., order], sharp[..., order])

    assert abs(swapped - metrics.ssim_matlab(restored, sharp)) > 1e-6


@pytest.mark.parametrize("metric", METRICS)
def test_scaling_images_and_data_range_together_changes_nothing(metric):
    restored, sharp = make_pair()

    of_floats = metric(restored / 255, sharp / 255, data_range=1)

    assert of_floats == pytest.approx(metric(restored, sharp, data_range=255), abs=1e-10)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_and_ssim_channel_agree_with_scikit_image(channels):
    skimage_metrics = pytest.importorskip("skimage.metrics")
    restored, sharp = make_pair(channels=channels)

    psnr = skimage_metrics.peak_signal_noise_ratio(sharp, restored, data_range=255)
    ssim = skimage_metrics.structural_similarity(
        sharp,
        restored,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )

    assert metrics.psnr(restored, sharp) == pytest.approx(psnr, abs=1e-10)
    assert metrics.ssim_channel(restored, sharp) == pytest.approx(ssim, abs=1e-10)


def similarity_of_volumes(a, b):
    """The formula of MATLAB's `ssim` as it stands: an 11x11x11 kernel over edge-padded volumes."""
    taps = np.exp(-(np.arange(-5.0, 6.0) ** 2) / (2 * 1.5**2))
    kernel = np.einsum("i,j,k->ijk", taps, taps, taps) / taps.sum() ** 3

    def average(volume):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(volume, 5, mode="edge"), (11, 11, 11))
        return np.einsum("hwcijk,ijk->hwc", windows, kernel)

    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = average(a), average(b)
    variance_a = average(a * a) - mean_a**2
    variance_b = average(b * b) - mean_b**2
    covariance = average(a * b) - mean_a * mean_b
    c1, c2 = 6.5025, 58.5225
    numerator = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (numerator / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean()


@pytest.mark.parametrize("height,width,channels", [(13, 17, 3), (5, 4, 3), (1, 1, 3), (12, 16, 1)])
def test_ssim_matlab_is_the_formula_written_out(height, width, channels):
    restored, sharp = make_pair(height, width, channels)

    assert metrics.ssim_matlab(restored, sharp) == pytest.approx(
        similarity_of_volumes(restored, sharp), abs=1e-9
    )


@pytest.mark.parametrize("metric", METRICS)
def test_a_grey_image_may_come_without_its_channel_axis(metric):
    restored, sharp = make_pair(channels=1)

    assert metric(restored[..., 0], sharp[..., 0]) == metric(restored, sharp)


@pytest.mark.parametrize(
    "metric,key",
    [
        (metrics.psnr, "psnr_octave"),
        (metrics.ssim_channel, "ssim_skimage_gauss"),
        (metrics.ssim_matlab, "ssim_matlab3d_octave"),
    ],
)
def test_metrics_agree_with_values_of_other_programs(metric, key):
    for name, expected in golden_numbers()["scores"].items():
        assert metric(*golden_pair(name)) == pytest.approx(expected[key], abs=1e-10), name


def test_the_constants_of_the_window_agree_with_the_reference():
    constants = golden_numbers()["constants"]

    np.testing.assert_allclose(metrics._gaussian_kernel(), constants["gauss_kernel_1d"], atol=1e-15)
    np.testing.assert_allclose(metrics._channel_mixing(3), constants["channel_mix_3x3"], atol=1e-15)


@pytest.mark.parametrize("metric", METRICS)
def test_images_that_differ_are_refused_with_both_shapes(metric):
    image = np.zeros((20, 30, 3), np.uint8)

    with pytest.raises(ValueError, match=r"\[20, 31, 3\] uint8, the sharp one \[20, 30, 3\] uint8"):
        metric(np.zeros((20, 31, 3), np.uint8), image)
    with pytest.raises(ValueError, match=r"\[20, 30, 3\] float32, the sharp one \[20, 30, 3\] uint8"):
        metric(image.astype(np.float32), image)


@pytest.mark.parametrize("shape", [(7,), (2, 3, 4, 3), (0, 5, 3)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match="An image has the shape"):
        metrics.psnr(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))


def test_ssim_channel_needs_room_for_one_window():
    small, enough = np.zeros((10, 40, 3), np.uint8), np.zeros((11, 11, 3), np.uint8)

    assert metrics.ssim_channel(enough, enough) == pytest.approx(1, abs=1e-12)
    with pytest.raises(ValueError, match=r"at least 11x11 pixels.* these have 10x40"):
        metrics.ssim_channel(small, small)


def literal_scales(image, halve):
    planes = [image.astype(np.float64) @ [0.299, 0.587, 0.114]]
    for _ in range(4):
        planes.append(halve(planes[-1]))
    return planes


def halve_by_mean(plane):
    mirrored = np.pad(plane, ((0, 1), (0, 1)), "symmetric")
    means = (mirrored[:-1, :-1] + mirrored[1:, :-1] + mirrored[:-1, 1:] + mirrored[1:, 1:]) / 4
    return means[::2, ::2]


def halve_by_wavelet(plane):
    half = [0.037828455507260, -0.023849465019560, -0.110624404418440, 0.377402855612830]
    taps = np.array([*half, 0.852698679008890, *half[::-1]])
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(plane, 4, "symmetric"), (9, 9))
    return np.einsum("ijkl,kl->ij", windows, kernel)[::2, ::2]


def literal_moments(a, b):
    """Weighted means, variances and covariance of each 11x11 window, straight from the definition."""
    axis = np.arange(-5, 6)
    window = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    views = [np.lib.stride_tricks.sliding_window_view(plane, (11, 11)) for plane in (a, b)]
    means = [np.einsum("ijkl,kl->ij", view, window) for view in views]
    spread = [view - mean[..., None, None] for view, mean in zip(views, means)]
    moments = [
        np.einsum("ijkl,ijkl,kl->ij", spread[i], spread[j], window) for i, j in ((0, 0), (1, 1), (0, 1))
    ]
    return *means, *moments


WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def test_ms_ssim_is_its_definition_written_out():
    restored, sharp = make_pair(170, 163)
    expected = 1.0
    scales = zip(*(literal_scales(image, halve_by_mean) for image in (restored, sharp)))
    for scale, (a, b) in enumerate(scales):
        mean_a, mean_b, variance_a, variance_b, covariance = literal_moments(a, b)
        value = (2 * covariance + C2) / (variance_a + variance_b + C2)
        if scale == 4:
            value = value * (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
        expected *= value.mean() ** WEIGHTS[scale]

    assert metrics.ms_ssim(restored, sharp) == pytest.approx(expected, abs=1e-9)


def test_mssim_of_kohler_is_its_definition_written_out():
    restored, sharp = make_pair(170, 163, seed=1)
    expected = 1.0
    scales = zip(*(literal_scales(image, halve_by_wavelet) for image in (restored, sharp)))
    for scale, (a, b) in enumerate(scales):
        mean_a, mean_b, variance_a, variance_b, covariance = literal_moments(a, b)
        deviations = np.sqrt(variance_a * variance_b)
        expected *= ((2 * deviations + C2) / (variance_a + variance_b + C2)).mean() ** WEIGHTS[scale]
        expected *= ((covariance + C2 / 2) / (deviations + C2 / 2)).mean() ** WEIGHTS[scale]
        if scale == 4:
            expected *= ((2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)).mean() ** WEIGHTS[scale]

    assert metrics.mssim_kohler(restored, sharp) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("metric", "key"), [(metrics.ms_ssim, "msssim_wang_luma"), (metrics.mssim_kohler, "mssim_kohler_mux")]
)
def test_five_scales_equal_the_references(metric, key):
    compared = 0
    for name, expected in golden_numbers()["scores"].items():
        if expected[key] is not None:  # the others are too small for five scales
            assert metric(*golden_pair(name)) == pytest.approx(expected[key], abs=1e-10), name
            compared += 1
    assert compared == 4


@pytest.mark.parametrize("metric", [metrics.ms_ssim, metrics.mssim_kohler])
def test_five_scales_need_161_pixels_and_identical_images_reach_1(metric):
    image = np.random.default_rng(0).integers(0, 256, (161, 161, 3)).astype(np.uint8)
    assert metric(image, image) == pytest.approx(1, abs=1e-12)
    with pytest.raises(ValueError, match="161x161"):
        metric(image[:160], image[:160])


def textured_pair(height=96, width=128):
    """Noise smoothed a little, and more: no flat areas, where float32 of tf.image loses digits."""
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 0.8), cv2.GaussianBlur(noise, (0, 0), 0.6)


def test_tensorflow_agrees_up_to_its_single_precision():
    import tensorflow as tf

    restored, sharp = textured_pair()

    psnr, ssim = tf.image.psnr(restored, sharp, 255), tf.image.ssim(restored, sharp, 255)

    assert metrics.psnr(restored, sharp) == pytest.approx(float(psnr), abs=1e-4)
    assert metrics.ssim_channel(restored, sharp) == pytest.approx(float(ssim), abs=1e-5)


def test_ms_ssim_of_gray_images_is_tensorflows():
    """Of sides that can be halved four times; tf.image compares channels, not luma."""
    import tensorflow as tf

    restored, sharp = (image[..., :1] for image in textured_pair(192, 208))

    expected = float(tf.image.ssim_multiscale(restored, sharp, 255))

    assert metrics.ms_ssim(restored[..., 0], sharp[..., 0]) == pytest.approx(expected, abs=1e-5)
