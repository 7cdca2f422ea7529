"""The protocol of RealBlur (Rim et al., ECCV 2020), as in its official script.

The ground truth was taken by another camera: the restored image is scaled in brightness, warped by the
homography that maximizes the enhanced correlation coefficient (OpenCV), and compared where it covers the
ground truth.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import cv2
import numpy as np

from srn import metrics
from srn.evaluation.protocols import Column, ImagePair, Protocol
from srn.metrics import WINDOW_RADIUS, ssim_map

ITERATIONS, GAUSSIAN_TAPS = 100, 5


@dataclasses.dataclass(frozen=True)
class AlignedScore:
    """PSNR in dB and SSIM of the covered pixels, the gain, the homography and the number of covered
    pixels.
    """

    psnr: float
    ssim: float
    gain: float
    homography: np.ndarray
    covered: int


def score_aligned(restored: np.ndarray, sharp: np.ndarray) -> AlignedScore:
    """Compares two images, uint8 [H, W, 3] RGB, after aligning them.

    Raises ValueError if they differ in shape or type, or if no homography is found.
    """
    if restored.shape != sharp.shape or restored.dtype != np.uint8 or sharp.dtype != np.uint8:
        raise ValueError("The restored and the sharp image must be uint8 and of one shape.")
    truth, image = (np.float32(side) / np.float32(255) for side in (sharp, restored))
    brightness = np.sum(image * image)
    if brightness == 0:
        raise ValueError("The restored image is black everywhere; no gain makes it the truth.")
    gain = float(np.sum(truth * image) / brightness)
    moved, mask, homography = _align(image * np.float32(gain), truth)
    if not mask[WINDOW_RADIUS:-WINDOW_RADIUS, WINDOW_RADIUS:-WINDOW_RADIUS].any():
        raise ValueError("The restored image covers nothing of the truth once it is aligned.")
    moved, truth = moved * mask, truth * mask
    error = np.sum((truth - moved) ** 2, dtype=np.float64) / np.sum(mask, dtype=np.float64)
    inside = mask[WINDOW_RADIUS:-WINDOW_RADIUS, WINDOW_RADIUS:-WINDOW_RADIUS]
    similarity = np.sum(ssim_map(moved, truth, data_range=1.0) * inside, axis=(0, 1))
    ssim = np.mean(similarity / np.sum(inside, axis=(0, 1), dtype=np.float64))
    psnr = float(10 * np.log10(1 / error)) if error else float("inf")
    return AlignedScore(psnr, float(ssim), gain, homography, int(mask[..., 0].sum()))


def _align(image, truth):
    """`image` aligned with `truth`, the mask of covered pixels (0 or 1, [H, W, 3]), and the homography."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ITERATIONS, 0)
    gray = [cv2.cvtColor(side, cv2.COLOR_RGB2GRAY) for side in (truth, image)]
    start = np.eye(3, dtype=np.float32)
    try:
        _, homography = cv2.findTransformECC(
            *gray, start, cv2.MOTION_HOMOGRAPHY, criteria, inputMask=None, gaussFiltSize=GAUSSIAN_TAPS
        )
    except cv2.error as error:
        raise ValueError("The restored image cannot be aligned with the truth.") from error
    size = truth.shape[1::-1]
    moved = cv2.warpPerspective(
        image,
        homography,
        size,
        flags=cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    mask = cv2.warpPerspective(
        np.ones_like(image),
        homography,
        size,
        flags=cv2.INTER_NEAREST + cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return moved, mask, homography


class AlignedPair(ImagePair):
    """A restored image and the ground truth, with their scores after alignment."""

    @cached_property
    def aligned(self) -> AlignedScore:
        """PSNR and SSIM after the same alignment, which takes most of the time."""
        return score_aligned(self.restored, self.sharp)


_ALIGNED = "after a gain, aligned by a homography (ECC), covered pixels only (official script)"


class RealBlurProtocol(Protocol):
    """Scores with and without alignment."""

    name = "realblur"
    takes_options = False
    columns = {
        "psnr": Column("PSNR", f"dB, RGB, peak 1, {_ALIGNED}", 2, lambda pair: pair.aligned.psnr),
        "ssim_channel": Column("SSIM", f"each RGB channel, {_ALIGNED}", 4, lambda pair: pair.aligned.ssim),
        "psnr_unaligned": Column(
            "PSNR unaligned",
            "dB, 8-bit RGB, without alignment",
            2,
            lambda pair: metrics.psnr(pair.restored, pair.sharp),
        ),
        "ssim_channel_unaligned": Column(
            "SSIM unaligned",
            "each RGB channel, without alignment",
            4,
            lambda pair: metrics.ssim_channel(pair.restored, pair.sharp),
        ),
        "ssim_matlab": Column(
            "SSIM MATLAB unaligned",
            f"{metrics.DEFINITIONS['ssim_matlab']}, unaligned",
            4,
            lambda pair: metrics.ssim_matlab(pair.restored, pair.sharp),
        ),
    }

    def compare(self, restored: np.ndarray, truth: np.ndarray) -> AlignedPair:
        """See `Protocol`."""
        return AlignedPair(restored, truth)


REALBLUR = RealBlurProtocol()
