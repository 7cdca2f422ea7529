"""Scoring the data set of Köhler et al.: 48 images, each against all frames of its trajectory (`kohler`)."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srn.data.kohler import IMAGES, KERNELS, UNUSED_FRAMES, KohlerImage
from srn.errors import WorkError, first_line
from srn.evaluation.kohler import best_of, score_frame
from srn.evaluation.scoring import read_image, restore_timed, write_restored

CSV_COLUMNS = ("name", "image", "kernel", "psnr", "mssim", "frames", "seconds")
DEFINITIONS = {
    "psnr": "dB, luma, after gain and whole-pixel shift; the best frame of the trajectory (official script)",
    "mssim": "five scales, luma, after gain and whole-pixel shift; the best frame (official script)",
}
_AT_A_TIME = 8  # frames


@dataclass(frozen=True)
class KohlerScore:
    """What one image scored: best PSNR (dB) and best MSSIM over `frames` frames; `seconds` to restore it."""

    name: str
    image: int
    kernel: int
    psnr: float
    mssim: float
    frames: int
    seconds: float


def score_images(
    images: Sequence[KohlerImage], restore, out_dir=None, progress: bool = True
) -> tuple[list[KohlerScore], list[str], bool]:
    """Restores and scores every image; one that fails does not stop the others, Ctrl-C keeps what is there.

    Args:
      images: of `srn.data.kohler.find_kohler`.
      restore: takes and returns uint8 RGB [H, W, 3]; None scores the blurry images.
      out_dir: where restored images are written, as `score_pairs` does.
      progress: whether to show a bar on stderr.

    Returns:
      (scores, a line for each image that has none, whether Ctrl-C ended it).
    """
    scores, failures = [], []
    with tqdm(images, desc="scoring", unit="image", disable=not progress) as bar:
        try:
            for image in bar:
                try:
                    scores.append(_score(image, restore, out_dir))
                except (WorkError, ValueError, OSError) as error:
                    failures.append(f"{image.name}: {first_line(error)}")
        except KeyboardInterrupt:
            return scores, failures, True
    return scores, failures, False


def summarise(scores: Sequence[KohlerScore]) -> dict:
    """Means of the maxima over the images, over the kernels of each image and the images of each kernel.

    Images of infinite PSNR are counted as `identical` and left out of the mean of PSNR.
    """
    by_image = {number: [s for s in scores if s.image == number] for number in IMAGES}
    by_kernel = {number: [s for s in scores if s.kernel == number] for number in KERNELS}
    return {
        **_means(scores),
        "by_image": {str(number): _means(members) for number, members in by_image.items() if members},
        "by_kernel": {str(number): _means(members) for number, members in by_kernel.items() if members},
        "seconds_per_image": statistics.median(score.seconds for score in scores),
    }


def format_table(scores: Sequence[KohlerScore], summary: dict) -> str:
    """The table to print: PSNR / MSSIM of each image (columns) and kernel (rows), with the means."""
    cells = {(score.image, score.kernel): f"{score.psnr:5.2f} {score.mssim:6.4f}" for score in scores}
    images, kernels = (sorted({key[axis] for key in cells}) for axis in (0, 1))
    lines = ["kernel" + "".join(f"{f'image {image}':>15}" for image in images) + f"{'mean':>15}"]
    for kernel in kernels:
        row = "".join(f"{cells.get((image, kernel), '-'):>15}" for image in images)
        lines.append(f"{kernel:6d}{row}{_cell(summary['by_kernel'][str(kernel)]):>15}")
    row = "".join(f"{_cell(summary['by_image'][str(image)]):>15}" for image in images)
    lines.append(f"{'mean':6}{row}{_cell(summary):>15}")
    return "\n".join([*lines, "", *(f"{name.upper()}: {text}." for name, text in DEFINITIONS.items())])


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
            yield read_image(path)


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


def _score(image, restore, out_dir) -> KohlerScore:
    if image.blurry is None or not image.truths:
        raise WorkError("has no blurry image, or no truths; see data/verify.py")
    restored, seconds = restore_timed(read_image(image.blurry), restore)
    spectrum = np.fft.fft2(restored.mean(axis=-1))
    frames, scores = read_frames(image), []
    with ThreadPoolExecutor() as pool:  # NumPy and OpenCV let other threads run
        while some := list(itertools.islice(frames, _AT_A_TIME)):
            scores += pool.map(lambda frame: score_frame(restored, frame, spectrum), some)
    psnr, mssim = best_of(scores)
    if out_dir is not None and restore is not None:
        write_restored(restored, out_dir, image.name)
    return KohlerScore(image.name, image.image, image.kernel, psnr, mssim, len(scores), seconds)


def _means(scores) -> dict:
    finite = [score.psnr for score in scores if math.isfinite(score.psnr)]
    return {
        "psnr": statistics.fmean(finite) if finite else math.inf,
        "mssim": statistics.fmean(score.mssim for score in scores),
        "images": len(scores),
        "identical": len(scores) - len(finite),
    }


def _cell(means) -> str:
    return f"{means['psnr']:5.2f} {means['mssim']:6.4f}"
