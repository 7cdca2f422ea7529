"""The protocol of Köhler et al. (ECCV 2012), step by step as in their official script.

The truth of a blurry image is every frame that the camera saw on its trajectory. Against each the restored
image is scaled in brightness, shifted by whole pixels and compared on luma; the best frame counts, for each
metric by itself. The score of the data set is the mean over its 48 images.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from srn import metrics


@dataclasses.dataclass(frozen=True)
class FrameScore:
    """What one frame gives: PSNR in dB, MSSIM, the gain and the shift (rows, columns) that were applied."""

    psnr: float
    mssim: float
    gain: float
    shift: tuple[int, int]


def best_of(scores: list[FrameScore]) -> tuple[float, float]:
    """The best PSNR and the best MSSIM. Raises ValueError where there are no scores."""
    if not scores:
        raise ValueError("There is no frame to compare with.")
    return max(score.psnr for score in scores), max(score.mssim for score in scores)


def score_frame(restored: np.ndarray, frame: np.ndarray, spectrum: np.ndarray | None = None) -> FrameScore:
    """Compares a restored image with one frame.

    Args:
      restored, frame: uint8 [H, W, 3] RGB.
      spectrum: `numpy.fft.fft2` of the mean of the restored image's channels, where it is known already.
    """
    if restored.shape != frame.shape or restored.dtype != np.uint8 or frame.dtype != np.uint8:
        raise ValueError(
            f"The restored image is {list(restored.shape)} {restored.dtype}, the frame {list(frame.shape)} "
            f"{frame.dtype}; both must be uint8 and of one shape."
        )
    if spectrum is None:
        spectrum = np.fft.fft2(restored.mean(axis=-1))
    truth, scaled = frame.astype(np.float64), restored.astype(np.float64)
    # 1. One gain for all pixels and channels, before any alignment.
    brightness = np.sum(scaled * scaled)
    if brightness == 0:
        raise ValueError("The restored image is black everywhere; no gain makes it a frame.")
    gain = float(np.sum(truth * scaled) / brightness)
    # 2. A shift of whole pixels: the peak of the correlation, which the gain does not move.
    shift = _find_shift(np.fft.fft2(truth.mean(axis=-1)), spectrum)
    # 3. Pixels that the shift uncovers are zero, in both.
    covered = _shifted(np.ones(truth.shape[:2]), shift)[..., np.newaxis]
    moved, truth = _shifted(gain * scaled, shift), truth * covered
    # 4. On luma, 5. over the whole frame with its zeros, 6. over five scales.
    moved, truth = metrics.luma(moved), metrics.luma(truth)
    return FrameScore(metrics.psnr(moved, truth), metrics.mssim_kohler(moved, truth), gain, shift)


def _find_shift(truth_spectrum, spectrum) -> tuple[int, int]:
    """(rows, columns) by which the restored image must be moved to lie on the truth."""
    correlation = np.abs(np.fft.ifft2(truth_spectrum * np.conj(spectrum)))
    # The first of equal peaks counts column by column, as in MATLAB.
    column, row = divmod(int(np.argmax(correlation.ravel(order="F"))), correlation.shape[0])
    return tuple(
        place - size if place + 1 > size // 2 else place
        for place, size in zip((row, column), correlation.shape)
    )


def _shifted(image, shift):
    """Moves an image [H, W, ...] by (rows, columns); what comes in is zero."""
    moved = np.zeros_like(image)
    to, source = (
        tuple(slice(max(sign * by, 0), size + min(sign * by, 0)) for by, size in zip(shift, image.shape))
        for sign in (1, -1)
    )
    moved[to] = image[source]
    return moved
