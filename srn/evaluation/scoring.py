"""Restoring the pairs of a data set and scoring what comes out, image by image.

What is scored is the 8-bit RGB image that is written: no crop, no alignment, no gain. The score of the set
is the mean over all of its images, never the mean of its sequences.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from tqdm import tqdm

from srn import metrics
from srn.errors import WorkError
from srn.files import write_atomically

if TYPE_CHECKING:
    from srn.data.pairs import Pair

Restore = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Score:
    """What one restored image scored.

    Attributes:
      name: the pair's name, unique within its data set.
      sequence: the sequence that it belongs to; empty where there are none.
      psnr: dB; infinite for an image identical to the truth.
      ssim_channel: see `srn.metrics`.
      ssim_matlab: see `srn.metrics`.
      seconds: duration of the restoration alone, without reading, writing and scoring.
      psnr_blurry: dB; what the blurry input scores by itself.
    """

    name: str
    sequence: str
    psnr: float
    ssim_channel: float
    ssim_matlab: float
    seconds: float
    psnr_blurry: float

    @property
    def gain(self) -> float:
        """PSNR over that of the blurry input, in dB."""
        return 0.0 if self.psnr == self.psnr_blurry else self.psnr - self.psnr_blurry


@dataclass
class Scores:
    """What came of a data set: the score of each pair that worked, one line on each that did not.

    `interrupted` tells that Ctrl-C came before the last pair.
    """

    scores: list[Score] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False


def score_pairs(
    pairs: Sequence[Pair],
    restore: Restore | None,
    out_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Scores:
    """Restores and scores every pair; one that fails does not stop the others, Ctrl-C keeps what is there.

    Args:
      pairs: what to score, in this order.
      restore: takes and returns uint8 RGB [H, W, 3]. None scores the blurry images themselves.
      out_dir: if given, and `restore` too, restored images are written to `restored_path(out_dir, name)`.
      progress: whether to show a bar with the running mean of PSNR on stderr.
    """
    result = Scores()
    with tqdm(pairs, desc="scoring", unit="image", disable=not progress) as bar:
        try:
            for pair in bar:
                _add_score(result, pair, restore, out_dir)
                bar.set_postfix_str(f"PSNR {_mean_psnr(result.scores):.2f} dB", refresh=False)
        except KeyboardInterrupt:
            result.interrupted = True
    return result


def restored_path(out_dir: str | os.PathLike[str], name: str) -> Path:
    """Returns where the restored image of the pair `name` is written."""
    return Path(out_dir) / "restored" / f"{name}.png"


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an 8-bit image as uint8 RGB [H, W, 3]; grey becomes three equal channels, alpha is left out.

    The orientation in EXIF is ignored. The two images of a pair need not both carry it, and what counts is
    that their stored pixels lie on top of each other.

    Raises WorkError, naming the file, when it cannot be read or decoded or has more than 8 bits a channel.
    """
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise WorkError(f"{path}: cannot be read ({error.strerror}).") from error
    # Any depth, because without this flag OpenCV brings 16 bits down to 8 and says nothing.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(encoded, flags) if encoded.size else None
    if image is None:
        raise WorkError(f"{path}: cannot be decoded; is it an image, and complete?")
    if image.dtype != np.uint8:
        raise WorkError(f"{path}: is stored as {image.dtype}; scores are defined for 8-bit images.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def restore_timed(blurry: np.ndarray, restore: Restore | None) -> tuple[np.ndarray, float]:
    """The restored image and the seconds it took; the blurry one and 0 where `restore` is None."""
    if restore is None:
        return blurry, 0.0
    start = time.perf_counter()
    restored = restore(blurry)
    return restored, time.perf_counter() - start


def write_restored(restored: np.ndarray, out_dir: str | os.PathLike[str], name: str) -> None:
    """Writes a restored image, uint8 RGB, to `restored_path`."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(restored, cv2.COLOR_RGB2BGR))
    write_atomically(restored_path(out_dir, name), encoded.tobytes())


def summarise(scores: Iterable[Score]) -> dict:
    """Averages scores over the data set and over each of its sequences.

    Args:
      scores: at least one.

    Returns:
      The means `psnr`, `ssim_channel`, `ssim_matlab`; the counts `images` (all that were scored) and
      `identical` (those of infinite PSNR); `sequences`, which holds these five for each named sequence; and
      `seconds_per_image`, the median, because the first images also pay for building the graph.

      Identical images are left out of the mean of PSNR, which they would make infinite, and of nothing
      else: their SSIM of 1 is an ordinary value, and published means of SSIM are over all images. Where
      all are identical, the mean of PSNR is infinite.

    Raises ValueError when there are no scores.
    """
    scores = list(scores)
    if not scores:
        raise ValueError("There are no scores to summarise.")
    sequences = {}
    for score in scores:
        if score.sequence:
            sequences.setdefault(score.sequence, []).append(score)
    return {
        **_means(scores),
        "sequences": {sequence: _means(members) for sequence, members in sequences.items()},
        "seconds_per_image": statistics.median(score.seconds for score in scores),
    }


def _add_score(result: Scores, pair: Pair, restore: Restore | None, out_dir) -> None:
    try:
        result.scores.append(_score_pair(pair, restore, out_dir))
    except Exception as error:  # whatever it is, the other pairs are still worth their scores
        result.failures.append(_describe_failure(pair, error))


def _score_pair(pair: Pair, restore: Restore | None, out_dir: str | os.PathLike[str] | None) -> Score:
    blurry, sharp = _read_pair(pair)
    restored, seconds = restore_timed(blurry, restore)
    score = Score(
        name=pair.name,
        sequence=pair.sequence,
        psnr=metrics.psnr(restored, sharp, data_range=255),
        ssim_channel=metrics.ssim_channel(restored, sharp, data_range=255),
        ssim_matlab=metrics.ssim_matlab(restored, sharp, data_range=255),
        seconds=seconds,
        psnr_blurry=metrics.psnr(blurry, sharp, data_range=255),
    )
    if out_dir is not None and restore is not None:  # only what has a score is written
        write_restored(restored, out_dir, pair.name)
    return score


def _read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Returns the blurry and the sharp image of `pair`, which have the same size."""
    blurry = read_image(pair.blurry)
    sharp = read_image(pair.sharp)
    if blurry.shape != sharp.shape:
        raise WorkError(
            f"{pair.blurry} and {pair.sharp} differ in size: {blurry.shape[1]}x{blurry.shape[0]} "
            f"and {sharp.shape[1]}x{sharp.shape[0]} (width x height)."
        )
    return blurry, sharp


def _describe_failure(pair: Pair, error: Exception) -> str:
    """Returns one line that names the pair and the file, and says what went wrong."""
    reason = str(error)
    if not isinstance(error, WorkError):  # which names its files itself
        reason = f"{pair.blurry}: {type(error).__name__}: {reason}"
    return " ".join(f"{pair.name}: {reason}".split())


def _means(scores: Sequence[Score]) -> dict:
    return {
        "psnr": _mean_psnr(scores),
        "ssim_channel": statistics.fmean(score.ssim_channel for score in scores),
        "ssim_matlab": statistics.fmean(score.ssim_matlab for score in scores),
        "images": len(scores),
        "identical": sum(math.isinf(score.psnr) for score in scores),
    }


def _mean_psnr(scores: Sequence[Score]) -> float:
    finite = [score.psnr for score in scores if math.isfinite(score.psnr)]
    return statistics.fmean(finite) if finite else math.inf
