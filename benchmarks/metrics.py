"""Time of PSNR and both SSIMs of one 1280x720 pair on one core, beside scikit-image's PSNR and SSIM."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time

# One core for all, before any library counts them.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import skimage  # noqa: E402
from skimage.metrics import peak_signal_noise_ratio, structural_similarity  # noqa: E402

from srn import metrics  # noqa: E402
from srn.provenance import processor  # noqa: E402

HEIGHT, WIDTH = 720, 1280


def ours(restored, sharp) -> tuple:
    """PSNR, channel-wise SSIM, MATLAB's SSIM."""
    return (
        metrics.psnr(restored, sharp),
        metrics.ssim_channel(restored, sharp),
        metrics.ssim_matlab(restored, sharp),
    )


def peer(restored, sharp) -> tuple:
    """PSNR and channel-wise SSIM; scikit-image has no other."""
    ssim = structural_similarity(
        restored,
        sharp,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    return peak_signal_noise_ratio(restored, sharp, data_range=255), ssim


def main() -> None:
    """Measures in turn and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    cv2.setNumThreads(1)
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    sharp = cv2.GaussianBlur(noise, (0, 0), 2)
    restored = cv2.GaussianBlur(noise, (0, 0), 2.2)
    seconds = {ours: [], peer: []}
    for compute in seconds:  # first calls are slower
        compute(restored, sharp)
    for _ in range(runs):
        for compute, times in seconds.items():
            start = time.perf_counter()
            compute(restored, sharp)
            times.append(time.perf_counter() - start)
    np.testing.assert_allclose(ours(restored, sharp)[:2], peer(restored, sharp), rtol=1e-9)
    medians = {compute: statistics.median(times) for compute, times in seconds.items()}
    print(f"{processor()}, one core, Python {platform.python_version()}, median of {runs} in turn")
    print(f"PSNR and two SSIMs, here:                   {medians[ours]:.3f} s")
    print(f"PSNR and one SSIM, scikit-image {skimage.__version__}: {medians[peer]:>10.3f} s")
    print(f"ratio: {medians[ours] / medians[peer]:.2f}")


if __name__ == "__main__":
    main()
