"""The protocol of Köhler et al. (ECCV 2012), step by step as in their official script.

The ground truth of a blurry image are all frames along the trajectory of the camera. The restored image is
scaled in brightness, shifted by integer offsets and compared on luma with each of them; the best frame
counts, separately for each metric. The score of the data set is the mean over its 48 images.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from srn import metrics
from srn.data.kohler import UNUSED_FRAMES, KohlerImage, find_kohler, official_frames
from srn.errors import WorkError, first_line
from srn.evaluation.protocols import Column, Protocol
from srn.evaluation.scores import Score
from srn.images import read_rgb

_AT_A_TIME = 8  # frames held in memory


@dataclasses.dataclass(frozen=True)
class FrameScore:
    """Result for one frame: PSNR in dB, MSSIM, and the gain and shift (rows, columns) that were applied."""

    psnr: float
    mssim: float
    gain: float
    shift: tuple[int, int]


def score_frame(restored: np.ndarray, frame: np.ndarray, spectrum: np.ndarray | None = None) -> FrameScore:
    """Compares a restored image with one frame.

    Args:
      restored, frame: uint8 [H, W, 3] RGB.
      spectrum: `numpy.fft.fft2` of the mean of the restored image's channels, if it is already known.
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


def _find_shift(truth_spectrum: np.ndarray, spectrum: np.ndarray) -> tuple[int, int]:
    """(rows, columns) by which the restored image must be moved to lie on the truth."""
    correlation = np.abs(np.fft.ifft2(truth_spectrum * np.conj(spectrum)))
    # The first of equal peaks counts column by column, as in MATLAB.
    column, row = divmod(int(np.argmax(correlation.ravel(order="F"))), correlation.shape[0])
    rows, columns = (
        index - size if index + 1 > size // 2 else index
        for index, size in zip((row, column), correlation.shape)
    )
    return rows, columns


def _shifted(image: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """Moves an image [H, W, ...] by (rows, columns); what comes in is zero."""
    moved = np.zeros_like(image)
    to, source = (
        tuple(slice(max(sign * by, 0), size + min(sign * by, 0)) for by, size in zip(shift, image.shape))
        for sign in (1, -1)
    )
    moved[to] = image[source]
    return moved


@dataclasses.dataclass(frozen=True)
class BestScores:
    """The best PSNR in dB and the best MSSIM over `frames` frames; the two may be of different ones."""

    psnr: float
    mssim: float
    frames: int


def score_against(restored: np.ndarray, frames: Iterable[np.ndarray]) -> BestScores:
    """Compares a restored image with all frames of its trajectory.

    Args:
      restored: uint8 [H, W, 3] RGB, both sides at least 161.
      frames: like `restored`; 8 are held at a time.

    Raises ValueError for a frame of another size, and where there is none.
    """
    spectrum = np.fft.fft2(restored.mean(axis=-1))
    frames, scores = iter(frames), list[FrameScore]()
    with ThreadPoolExecutor() as pool:  # NumPy and OpenCV let other threads run
        while some := list(itertools.islice(frames, _AT_A_TIME)):
            scores += pool.map(lambda frame: score_frame(restored, frame, spectrum), some)
    if not scores:
        raise ValueError("There is no frame to compare with.")
    return BestScores(max(score.psnr for score in scores), max(score.mssim for score in scores), len(scores))


_BEST_FRAME = "luma, after gain and whole-pixel shift; the best frame of the trajectory (official script)"


class KohlerProtocol(Protocol):
    """Scores against every frame; means by image and by kernel (trajectory)."""

    name = "kohler"
    takes_options = False
    columns = {
        "psnr": Column("PSNR", f"dB, {_BEST_FRAME}", 2, lambda best: best.psnr),
        "mssim": Column("MSSIM", f"five scales, {_BEST_FRAME}", 4, lambda best: best.mssim),
    }
    details = {"frames": Column("frames", "frames compared with", 0, lambda best: best.frames)}
    groups = {"image": "by_image", "kernel": "by_kernel"}
    cluster = "image"

    def find_items(
        self,
        data_dir: str | os.PathLike[str],
        dataset: str,
        split: str,
        blur_folder: str,
        sharp_folder: str,
    ) -> tuple[str, Sequence[KohlerImage]]:
        """See `Protocol`; the set has neither splits nor a blur folder."""
        return self.name, find_kohler(data_dir)

    def truth_files(self, item: KohlerImage) -> list[Path]:
        """The .mat file or the frames."""
        return list(item.truths)

    def picture_of_truth(self, item: KohlerImage) -> None:
        """There is no single one."""
        return None

    def read(self, item: KohlerImage) -> tuple[np.ndarray, Iterator[np.ndarray]]:
        """The blurry pixels, and the frames one by one."""
        if item.blurry is None or not item.truths:
            raise WorkError("has no blurry image, or no ground truth; see data/verify.py")
        return read_rgb(item.blurry), read_frames(item)

    def compare(self, restored: np.ndarray, truth: Iterable[np.ndarray]) -> BestScores:
        """`score_against`."""
        return score_against(restored, truth)

    def psnr_of_blurry(self, blurry: np.ndarray, truth: Iterable[np.ndarray]) -> None:
        """Not measured: it would take as long as the restored image."""
        return None

    def departures(self, scores: Sequence[Score]) -> list[str]:
        """Trajectories that lack frames of the official data set: they score too low."""
        incomplete = count_incomplete(scores)
        return [f"fewer frames than the official ones for {incomplete} images"] if incomplete else []

    def format_table(self, scores: Sequence[Score], summary: Mapping[str, Any]) -> str:
        """PSNR / MSSIM of each image (columns) and kernel (rows), with the means."""
        cells = {(score.groups["image"], score.groups["kernel"]): _cell(score.values) for score in scores}
        images, kernels = (sorted({key[axis] for key in cells}, key=int) for axis in (0, 1))
        lines = ["kernel" + "".join(f"{f'image {image}':>15}" for image in images) + f"{'mean':>15}"]
        for kernel in kernels:
            row = "".join(f"{cells.get((image, kernel), '-'):>15}" for image in images)
            lines.append(f"{kernel:>6}{row}{_cell(summary['by_kernel'][kernel]):>15}")
        row = "".join(f"{_cell(summary['by_image'][image]):>15}" for image in images)
        return "\n".join([*lines, f"{'mean':6}{row}{_cell(summary):>15}"])


KOHLER = KohlerProtocol()


def count_incomplete(scores: Iterable[Score]) -> int:
    """Number of images with fewer frames than in the official data set, whose scores are too low."""
    return sum(
        score.values["frames"] < official_frames(*key) - len(UNUSED_FRAMES.get(key, ()))
        for score in scores
        for key in [(int(score.groups["image"]), int(score.groups["kernel"]))]
    )


def read_frames(image: KohlerImage) -> Iterator[np.ndarray]:
    """The frames of an image's trajectory that the official script uses, uint8 RGB [H, W, 3], one by one.

    Raises `WorkError` naming a file that cannot be read.
    """
    unused = UNUSED_FRAMES.get((image.image, image.kernel), set())
    if image.truths[0].suffix == ".mat":
        frames = _read_mat(image.truths[0])
        for number in range(frames.shape[-1]):
            if number + 1 not in unused:
                yield frames[..., number]
        return
    for path in image.truths:
        if int(path.stem.split("_")[-1]) not in unused:
            yield read_rgb(path)


def _read_mat(path: Path) -> np.ndarray:
    """uint8 [H, W, 3, N] of a MATLAB file."""
    from scipy.io import loadmat  # takes a while to load, and only these files need it

    try:
        frames = loadmat(path, variable_names=["GroundTruth"])["GroundTruth"]
    except Exception as error:  # of a damaged file SciPy raises many kinds
        raise WorkError(f"{path}: has no readable array GroundTruth ({first_line(error)})") from error
    if frames.ndim != 4 or frames.shape[2] != 3 or frames.dtype != np.uint8:
        raise WorkError(f"{path}: GroundTruth is {list(frames.shape)} {frames.dtype}, not uint8 [H, W, 3, N]")
    return frames


def _cell(means: Mapping[str, Any]) -> str:
    return f"{means['psnr']:5.2f} {means['mssim']:6.4f}"
