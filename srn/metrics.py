"""PSNR, and SSIM in the two readings that deblurring papers mix.

All functions take the restored and the sharp image as they are stored, uint8 [H, W, 3] or [H, W], compute
in float64, crop nothing that their definition does not crop, and return one number for the pair. The score
of a data set is the mean of these numbers over its images. `data_range` is the distance between black and
white; it is never guessed from the data.

Both readings of SSIM weigh an 11-tap Gaussian window of sigma 1.5 (Wang et al. 2004). They differ in what
the window sees:

* `ssim_channel`: each colour channel by itself, whole windows only. This is scikit-image's
  `structural_similarity(..., gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`, used by
  DeepDeblur-PyTorch, RealBlur and mmagic.
* `ssim_matlab`: MATLAB's `ssim(A, ref)`, which the paper quotes. It takes a colour image for a volume, with
  the channels as a third axis of space. The spread between R, G and B then counts as structure, which
  lifts the score of ordinary photographs by 0.02 to 0.09.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

# What the numbers in a table mean, to be printed beside them.
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


def psnr(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> float:
    """Returns 10 log10(data_range^2 / mean squared error) in dB; infinity for identical images.

    Args:
      restored: [H, W, 3] or [H, W].
      sharp: the ground truth, same shape and type.
      data_range: the distance between black and white.

    Raises ValueError when the two differ in shape or type.
    """
    _check_pair(restored, sharp)
    error = np.subtract(restored, sharp, dtype=np.float64)
    mean_squared_error = float(np.mean(np.square(error)))
    if mean_squared_error == 0:
        return math.inf
    return 10 * math.log10(data_range**2 / mean_squared_error)


def ssim_channel(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> float:
    """Returns the structural similarity of each channel by itself, averaged over pixels and channels.

    Args:
      restored: [H, W, 3] or [H, W], at least 11x11.
      sharp: the ground truth, same shape and type.
      data_range: the distance between black and white.

    Returns:
      At most 1, which identical images reach. Equal to scikit-image's function with the arguments named at
      the top of this file.

    Raises ValueError when the two differ in shape or type, or are smaller than the window.
    """
    _check_pair(restored, sharp)
    height, width = sharp.shape[:2]
    if min(height, width) < WINDOW_SIZE:
        raise ValueError(
            f"ssim_channel needs images of at least {WINDOW_SIZE}x{WINDOW_SIZE} pixels, the size of its "
            f"window; these have {height}x{width} (height x width)."
        )
    similarity = _similarity_map(restored, sharp, _average_in_plane, data_range)
    inside = slice(WINDOW_RADIUS, -WINDOW_RADIUS)
    return float(np.mean(similarity[inside, inside]))


def ssim_matlab(restored: np.ndarray, sharp: np.ndarray, *, data_range: float = 255) -> float:
    """Returns the structural similarity of two images taken as volumes, as MATLAB's `ssim` computes it.

    Args:
      restored: [H, W, 3], or [H, W], which is a volume of a single layer. Any size.
      sharp: the ground truth, same shape and type.
      data_range: the distance between black and white.

    Returns:
      At most 1, which identical images reach. Reversing the channels (RGB to BGR) changes nothing.

    Raises ValueError when the two differ in shape or type.
    """
    _check_pair(restored, sharp)
    return float(np.mean(_similarity_map(restored, sharp, _average_in_volume, data_range)))


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
    # The formula needs the two variances only as their sum: one filter pass instead of two.
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

    A window of 11 channels over an image of 3 reaches past both ends almost everywhere. Replication puts
    the weight that falls outside on the first and the last channel, so the pass along the third axis is
    this small matrix, exactly.
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
