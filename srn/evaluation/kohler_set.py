"""The data set of Köhler et al.: the frames of a trajectory, the score over all of them, the table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from srn.data.kohler import UNUSED_FRAMES, KohlerImage, official_frames
from srn.errors import WorkError, first_line
from srn.evaluation.kohler import best_of, score_frame
from srn.images import read_rgb

_AT_A_TIME = 8  # frames


def score_against(restored: np.ndarray, frames: Iterable[np.ndarray]) -> tuple[float, float, int]:
    """The best PSNR and the best MSSIM over all frames, and their number; the two may be of different frames.

    Args:
      restored: uint8 [H, W, 3] RGB, both sides at least 161.
      frames: of the trajectory, like `restored`; 8 are held at a time.

    Raises ValueError for a frame of another size, and where there is none.
    """
    spectrum = np.fft.fft2(restored.mean(axis=-1))
    frames, scores = iter(frames), []
    with ThreadPoolExecutor() as pool:  # NumPy and OpenCV let other threads run
        while some := list(itertools.islice(frames, _AT_A_TIME)):
            scores += pool.map(lambda frame: score_frame(restored, frame, spectrum), some)
    return *best_of(scores), len(scores)


def format_table(scores, summary: dict) -> str:
    """The table to print: PSNR / MSSIM of each image (columns) and kernel (rows), with the means.

    Args:
      scores: of `srn.evaluation.scoring.score_images`.
      summary: of `srn.evaluation.scoring.summarise`.
    """
    cells = {(score.groups["image"], score.groups["kernel"]): _cell(score.values) for score in scores}
    images, kernels = (sorted({key[axis] for key in cells}, key=int) for axis in (0, 1))
    lines = ["kernel" + "".join(f"{f'image {image}':>15}" for image in images) + f"{'mean':>15}"]
    for kernel in kernels:
        row = "".join(f"{cells.get((image, kernel), '-'):>15}" for image in images)
        lines.append(f"{kernel:>6}{row}{_cell(summary['by_kernel'][kernel]):>15}")
    row = "".join(f"{_cell(summary['by_image'][image]):>15}" for image in images)
    return "\n".join([*lines, f"{'mean':6}{row}{_cell(summary):>15}"])


def count_incomplete(scores) -> int:
    """How many images were compared with fewer frames than the official data set has: they score too low."""
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


def _cell(means) -> str:
    return f"{means['psnr']:5.2f} {means['mssim']:6.4f}"
