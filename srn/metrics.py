"""PSNR, the two definitions of SSIM used by deblurring papers, and multi-scale SSIM.

All functions take the restored and the sharp image as stored, uint8 [H, W, 3] or [H, W], compute in float64
and return one number. There is no cropping beyond the definition of each metric. The score of a data set is
the mean over its images. `data_range` is the difference between black and white; it is never inferred from
the data.

Both definitions of SSIM use an 11-tap Gaussian window of sigma 1.5 (Wang et al. 2004). They differ in its
extent:

* `ssim_channel`: each colour channel separately, without borders. This is scikit-image's
  `structural_similarity(..., gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`, used by
  DeepDeblur-PyTorch, RealBlur and mmagic.
* `ssim_matlab`: MATLAB's `ssim(A, ref)`, which the paper quotes. It treats a colour image as a volume, with
  the channels as a third spatial axis. The differences between R, G and B then count as structure, which
  increases the score of images of GOPRO by 0.03 to 0.12 (docs/results.md).

`ms_ssim` (Wang et al. 2003) and `mssim_kohler` (the official script of Köhler et al. 2012) both compare luma
at five scales with the same weights, but differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

# Definitions of the metrics, for reports.
DEFINITIONS = {
    "psnr": "dB, 8-bit RGB, peak 255, no border cropped",
    "ssim_channel": "each RGB channel, 11x11 Gaussian window, sigma 1.5, border of 5 cropped (scikit-image)",
    "ssim_matlab": "RGB as a volume, 11x11x11 Gaussian window, sigma 1.5, edges replicated (MATLAB's ssim)",
}

WINDOW_RADIUS = 5
WINDOW_SIZE = 2 * WINDOW_RADIUS + 1
WINDOW_SIGMA = 1.5

# C1 = (0.01 L)^2 and C2 = (0.03 L)^2 of Wang et al. 2004, L being the data range.
LUMINANCE_CONSTANT = 0.01
CONTRAST_CONSTANT = 0.03

LUMA = np.array([0.299, 0.587, 0.114])
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest first
SMALLEST_OF_SCALES = 161  # minimum side: after four halvings, a window must fit
# Low-pass filter of the 9/7 wavelet, used for downsampling by the MeTriX MuX package.
_HALF_OF_LOW_PASS = [0.037828455507260, -0.023849465019560, -0.110624404418440, 0.377402855612830]
LOW_PASS = np.array([*_HALF_OF_LOW_PASS, 0.852698679008890, *reversed(_HALF_OF_LOW_PASS)])


def psnr(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> float:
    """Returns 10 log10(data_range^2 / mean squared error) in dB; infinity for identical images.

    Args:
      restored: [H, W, 3] or [H, W].
      sharp: the ground truth, same shape and type.
      data_range: the difference between black and white.

    Raises ValueError when the two differ in shape or type.
    """
    _check_pair(restored, sharp)
    error = np.subtract(restored, sharp, dtype=np.float64)
    mean_squared_error = float(np.mean(np.square(error)))
    if mean_squared_error == 0:
        return math.inf
    return 10 * math.log10(data_range**2 / mean_squared_error)


def ssim_channel(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> float:
    """Returns the structural similarity per channel, averaged over pixels and channels.

    Args:
      restored: [H, W, 3] or [H, W], at least 11x11.
      sharp: the ground truth, same shape and type.
      data_range: the difference between black and white.

    Returns:
      At most 1, for identical images. Equal to scikit-image's function with the arguments given in the
      docstring of this module.

    Raises ValueError when the two differ in shape or type, or are smaller than the window.
    """
    _check_pair(restored, sharp)
    height, width = sharp.shape[:2]
    if min(height, width) < WINDOW_SIZE:
        raise ValueError(
            f"ssim_channel needs images of at least {WINDOW_SIZE}x{WINDOW_SIZE} pixels, the size of its "
            f"window; these have {height}x{width} (height x width)."
        )
    return float(np.mean(ssim_map(restored, sharp, data_range=data_range)))


def ssim_map(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> np.ndarray:
    """Returns the map that `ssim_channel` averages: float64 [H - 10, W - 10, C]."""
    similarity = _similarity_map(restored, sharp, _average_in_plane, data_range)
    return similarity[WINDOW_RADIUS:-WINDOW_RADIUS, WINDOW_RADIUS:-WINDOW_RADIUS]


def ssim_matlab(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> float:
    """Returns the structural similarity of two images as volumes, as in MATLAB's `ssim`.

    Args:
      restored: [H, W, 3], or [H, W], which is a volume of a single layer. Any size.
      sharp: the ground truth, same shape and type.
      data_range: the difference between black and white.

    Returns:
      At most 1, for identical images. The result is the same for RGB and BGR.

    Raises ValueError when the two differ in shape or type.
    """
    _check_pair(restored, sharp)
    return float(np.mean(_similarity_map(restored, sharp, _average_in_volume, data_range)))


def ms_ssim(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> float:
    """Returns the structural similarity over five scales of Wang et al. (2003), on luma.

    Contrast and structure are compared at every scale, luminance only at the coarsest; scales are downsampled
    by 2x2 averaging. Negative means are set to 0.

    Args:
      restored: [H, W, 3] RGB or [H, W] luma, both sides at least 161.
      sharp: the ground truth, same shape and type.
      data_range: the difference between black and white.

    Raises ValueError when the two differ in shape or type, or are too small.
    """
    a, b = _luma_pair(restored, sharp, "ms_ssim")
    score = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance, contrast, structure = _components(a, b, data_range)
        similarity = contrast * structure
        if scale == len(SCALE_WEIGHTS) - 1:
            similarity = luminance * similarity
        score *= max(float(np.mean(similarity)), 0.0) ** weight
        a, b = _halve_by_mean(a), _halve_by_mean(b)
    return score


def mssim_kohler(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> float:
    """Returns the multi-scale SSIM of the official script of Köhler et al. (ECCV 2012).

    It is that of the MeTriX MuX package: contrast and structure are averaged separately, and scales are
    downsampled with the low-pass filter of the 9/7 wavelet. Alignment is part of the protocol
    (`srn.evaluation.kohler`). Negative means are set to 0. Arguments and errors are those of `ms_ssim`.
    """
    a, b = _luma_pair(restored, sharp, "mssim_kohler")
    score = 1.0
    for weight in SCALE_WEIGHTS:
        luminance, contrast, structure = _components(a, b, data_range)
        for component in (contrast, structure):
            score *= max(float(np.mean(component)), 0.0) ** weight
        a, b = _halve_by_wavelet(a), _halve_by_wavelet(b)
    return score * max(float(np.mean(luminance)), 0.0) ** SCALE_WEIGHTS[-1]


def luma(image: np.ndarray) -> np.ndarray:
    """Returns 0.299 R + 0.587 G + 0.114 B of RGB [H, W, 3], or [H, W] unchanged; float64, not rounded."""
    return image.astype(np.float64) @ LUMA if image.ndim == 3 else image.astype(np.float64)


def _luma_pair(restored, sharp, name):
    _check_pair(restored, sharp)
    height, width = sharp.shape[:2]
    if min(height, width) < SMALLEST_OF_SCALES:
        raise ValueError(
            f"{name} needs images of at least {SMALLEST_OF_SCALES}x{SMALLEST_OF_SCALES} pixels for its five "
            f"scales; these have {height}x{width} (height x width)."
        )
    return luma(restored), luma(sharp)


def _components(a: np.ndarray, b: np.ndarray, data_range: float) -> tuple:
    """Returns luminance, contrast and structure of Wang et al. 2004 for two planes, without borders."""
    mean_a, mean_b, square_a, square_b, product = (
        _average_in_plane(values)[WINDOW_RADIUS:-WINDOW_RADIUS, WINDOW_RADIUS:-WINDOW_RADIUS]
        for values in (a, b, a * a, b * b, a * b)
    )
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    deviations = np.sqrt(np.maximum(variance_a, 0)) * np.sqrt(np.maximum(variance_b, 0))
    c1 = (LUMINANCE_CONSTANT * data_range) ** 2
    c2 = (CONTRAST_CONSTANT * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    contrast = (2 * deviations + c2) / (variance_a + variance_b + c2)
    structure = (covariance + c2 / 2) / (deviations + c2 / 2)
    return luminance, contrast, structure


def _halve_by_mean(plane):
    """Averages each pixel with its right and lower neighbours and takes every second one; mirrors edges."""
    box = np.full(2, 0.5)
    means = cv2.sepFilter2D(plane, cv2.CV_64F, box, box, anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return means[::2, ::2]


def _halve_by_wavelet(plane):
    low_pass = LOW_PASS / LOW_PASS.sum()
    smooth = cv2.sepFilter2D(plane, cv2.CV_64F, low_pass, low_pass, borderType=cv2.BORDER_REFLECT)
    return smooth[::2, ::2]


def _check_pair(restored: np.ndarray, sharp: np.ndarray) -> None:
    if restored.shape != sharp.shape or restored.dtype != sharp.dtype:
        raise ValueError(
            f"The two images must agree in shape and type; the restored one is {list(restored.shape)} "
            f"{restored.dtype}, the sharp one {list(sharp.shape)} {sharp.dtype}."
        )
    if sharp.ndim not in (2, 3) or sharp.size == 0:
        raise ValueError(f"An image has the shape [H, W] or [H, W, C]; these have {list(sharp.shape)}.")


def _similarity_map(
    restored: np.ndarray,
    sharp: np.ndarray,
    average: Callable[[np.ndarray], np.ndarray],
    data_range: float,
) -> np.ndarray:
    """Returns SSIM at every pixel and channel, [H, W, C] float64; `average` is the mean over a window."""
    a = _with_channels(restored)
    b = _with_channels(sharp)
    mean_a, mean_b = average(a), average(b)
    product_of_means = mean_a * mean_b
    sum_of_squared_means = mean_a * mean_a + mean_b * mean_b
    covariance = average(a * b) - product_of_means
    # Only the sum of the two variances is needed: one filter pass instead of two.
    sum_of_variances = average(a * a + b * b) - sum_of_squared_means

    c1 = (LUMINANCE_CONSTANT * data_range) ** 2
    c2 = (CONTRAST_CONSTANT * data_range) ** 2
    numerator = (2 * product_of_means + c1) * (2 * covariance + c2)
    return numerator / ((sum_of_squared_means + c1) * (sum_of_variances + c2))


def _with_channels(image: np.ndarray) -> np.ndarray:
    """Returns `image` as float64 [H, W, C]."""
    return image.astype(np.float64).reshape(*image.shape[:2], -1)


def _average_in_plane(values: np.ndarray) -> np.ndarray:
    """Returns the Gaussian mean over 11x11 pixels of each channel, edges replicated; [H, W, C]."""
    kernel = _gaussian_kernel()
    averaged = cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    return averaged.reshape(values.shape)  # OpenCV drops a channel axis of length 1


def _average_in_volume(values: np.ndarray) -> np.ndarray:
    """Returns the Gaussian mean over 11x11 pixels and 11 channels, edges replicated; [H, W, C]."""
    return _average_in_plane(values) @ _channel_mixing(values.shape[-1]).T


def _channel_mixing(channels: int) -> np.ndarray:
    """Returns [C, C]: row c holds the weights of every channel in the Gaussian mean around channel c.

    The window of 11 channels extends beyond the 3 channels of the image on both sides. With replicated
    edges, the outer weights are added to those of the first and the last channel, so that filtering along the
    third axis is exactly a multiplication by this small matrix.
    """
    mixing = np.zeros((channels, channels))
    for offset, weight in enumerate(_gaussian_kernel(), start=-WINDOW_RADIUS):
        for channel in range(channels):
            neighbour = min(max(channel + offset, 0), channels - 1)
            mixing[channel, neighbour] += weight
    return mixing


def _gaussian_kernel() -> np.ndarray:
    """Returns the 11 taps of the window along one axis; they sum to 1."""
    offsets = np.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1)
    weights = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    return weights / weights.sum()
