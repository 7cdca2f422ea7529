"""Compares synthetic with real blur: strength, length of motion and gradients of pairs.

    python benchmarks/blur_statistics.py real=GOPRO_Large made=OUT ...

Each argument is a label and a data set: a folder with blur/ and sharp/, or another layout's training split.

* PSNR between blurry image and ground truth.
* Length of motion: in each textured patch of PATCH pixels, the blur kernel is estimated by regularized
  division of the spectra of the blurry and the sharp image. Its length is sqrt(12) standard deviations along
  its major axis, which is L for straight motion of L pixels. `--check` measures motion of known length.
* Centre of the blur: its distance from the sharp image, in pixels. The ground truth of GOPRO is the middle
  of a short exposure, so that the blur is centred on it. If synthetic blur is off-centre (for a curved path
  or a varying speed), a network must also predict a displacement. Both images are smoothed; in each patch
  with structure in both directions, d in blurry(x) = sharp(x - d) is estimated by least squares.
* Gradients: fractions of the pixels of the blurry images with gradients below 4, 16, 64 grey levels.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from srn import metrics
from srn.data.pairs import find_pairs
from srn.images import read_rgb

PATCH, REACH = 128, 32  # side of a patch; maximum extent of the kernel from its centre, in pixels
TEXTURE = 12.0  # minimum standard deviation of the sharp patch, in grey levels
REGULARISATION = 1e-2  # relative to the mean power of the spectrum
FLOOR = 0.15  # values below this fraction of the peak of the kernel are noise
CENTRE_PATCH, CENTRE_BORDER, CENTRE_SIGMA = 160, 8, 6.0
MIN_STRUCTURE = 1.0  # mean squared gradient in the weaker direction, grey levels squared a pixel squared
GRADIENT_BOUNDS = (4, 16, 64)
MAX_PAIRS = 60


def main() -> None:
    """Prints a table, or the check of the lengths."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", metavar="LABEL=FOLDER")
    parser.add_argument(
        "--check", metavar="FOLDER", help="measure motion of known length on its sharp images"
    )
    arguments = parser.parse_args()
    if arguments.check:
        check_lengths(arguments.check)
    if arguments.sets:
        print(
            "| pairs | n | PSNR (dB) | length of motion (10 / 50 / 90 %) | centre (50 / 75 / 90 %) "
            "| gradients < 4 / 16 / 64 |"
        )
        print("| --- | --- | --- | --- | --- | --- |")
    for text in arguments.sets:
        label, _, folder = text.partition("=")
        print(describe(label, folder), flush=True)


def describe(label: str, folder: str) -> str:
    """One row of the table."""
    pairs = find_pairs(folder)
    pairs = pairs[:: max(len(pairs) // MAX_PAIRS, 1)]
    scores, lengths, offsets, gradients = [], [], [], []
    for pair in pairs:
        blurry, sharp = read_rgb(pair.blurry), read_rgb(pair.sharp)
        scores.append(metrics.psnr(blurry, sharp, data_range=255))
        lengths += motion_lengths(gray(blurry), gray(sharp))
        offsets += centre_offsets(gray(blurry), gray(sharp))
        gradients.append(gradient_fractions(gray(blurry)))
    motion = " / ".join(f"{length:.1f}" for length in np.percentile(lengths, (10, 50, 90)))
    centre = " / ".join(f"{offset:.2f}" for offset in np.percentile(offsets, (50, 75, 90)))
    fractions = " / ".join(f"{100 * fraction:.0f}%" for fraction in np.mean(gradients, axis=0))
    return (
        f"| {label} | {len(pairs)} | {np.mean(scores):.2f} ({min(scores):.2f} to {max(scores):.2f}) "
        f"| {motion} | {centre} | {fractions} |"
    )


def gray(image: np.ndarray) -> np.ndarray:
    """uint8 RGB -> float64 luma, 0 to 255."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)


def motion_lengths(blurry: np.ndarray, sharp: np.ndarray) -> list[float]:
    """Lengths in pixels, one for each textured patch."""
    lengths = []
    for top in range(0, sharp.shape[0] - PATCH + 1, PATCH):
        for left in range(0, sharp.shape[1] - PATCH + 1, PATCH):
            window = np.s_[top : top + PATCH, left : left + PATCH]
            if sharp[window].std() >= TEXTURE:
                lengths.append(kernel_length(find_kernel(blurry[window], sharp[window])))
    return lengths


def find_kernel(blurry: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """The kernel k that makes sharp * k nearest to blurry: [2 * REACH + 1, 2 * REACH + 1], not negative."""
    taper = np.outer(*[np.hanning(PATCH)] * 2)
    sharp_spectrum, blurry_spectrum = (np.fft.fft2((side - side.mean()) * taper) for side in (sharp, blurry))
    power = np.abs(sharp_spectrum) ** 2
    quotient = np.conj(sharp_spectrum) * blurry_spectrum / (power + REGULARISATION * power.mean())
    kernel = np.fft.fftshift(np.fft.ifft2(quotient).real)
    centre = PATCH // 2
    kernel = kernel[centre - REACH : centre + REACH + 1, centre - REACH : centre + REACH + 1]
    return np.where(kernel > FLOOR * kernel.max(), kernel, 0.0)


def kernel_length(kernel: np.ndarray) -> float:
    """sqrt(12) standard deviations along the longer axis."""
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]]
    covariance = np.cov(np.stack([y.ravel(), x.ravel()]), aweights=kernel.ravel(), bias=True)
    return float(np.sqrt(12 * np.linalg.eigvalsh(covariance)[-1]))


def centre_offsets(blurry: np.ndarray, sharp: np.ndarray) -> list[float]:
    """Distances of the blur's centre from the sharp picture in pixels, one for each patch with structure."""
    blurry, sharp = (cv2.GaussianBlur(side, (0, 0), CENTRE_SIGMA) for side in (blurry, sharp))
    down, right = np.gradient(sharp)
    offsets = []
    for top in range(0, sharp.shape[0] - CENTRE_PATCH + 1, CENTRE_PATCH):
        for left in range(0, sharp.shape[1] - CENTRE_PATCH + 1, CENTRE_PATCH):
            ends = top + CENTRE_PATCH - CENTRE_BORDER, left + CENTRE_PATCH - CENTRE_BORDER
            window = np.s_[top + CENTRE_BORDER : ends[0], left + CENTRE_BORDER : ends[1]]
            slopes = np.stack([right[window].ravel(), down[window].ravel()], axis=1)
            normal = slopes.T @ slopes
            if np.linalg.eigvalsh(normal)[0] / len(slopes) >= MIN_STRUCTURE:
                change = (blurry - sharp)[window].ravel()
                offsets.append(float(np.hypot(*np.linalg.solve(normal, slopes.T @ change))))
    return offsets


def gradient_fractions(image: np.ndarray) -> list[float]:
    """Shares of the pixels whose gradient is below each of GRADIENT_BOUNDS, in grey levels a pixel."""
    size = np.hypot(np.diff(image, axis=0)[:, :-1], np.diff(image, axis=1)[:-1])
    return [float(np.mean(size < bound)) for bound in GRADIENT_BOUNDS]


def check_lengths(folder: str) -> None:
    """Blurs sharp images by straight motion and prints the measured length."""
    pictures = [gray(read_rgb(pair.sharp)) for pair in find_pairs(folder)[:4]]
    for length in (5, 9, 15, 25, 35):
        for name, kernel in (
            ("level", np.ones((1, length))),
            ("slanted", np.eye(round(length / np.sqrt(2)))),
        ):
            found = []
            for picture in pictures:
                blurred = np.rint(cv2.filter2D(picture, -1, kernel / kernel.sum()))
                found += motion_lengths(blurred, picture)
            print(f"{name} motion of {length}: {np.median(found):.1f}")


if __name__ == "__main__":
    main()
