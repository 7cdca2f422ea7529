"""Scores of restored images: `Score` of one image, `Scores` of a data set, and their means."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Score:
    """The score of one restored image.

    Attributes:
      name: of the image, unique within its data set.
      groups: of the image, such as its `sequence`.
      values: of the columns and details of the protocol. `psnr` (dB) is infinite for images identical to the
        ground truth.
      seconds: time of the restoration, without reading, writing and scoring.
      psnr_blurry: PSNR of the blurry input in dB; None if it was not measured.
    """

    name: str
    groups: dict[str, str]
    values: dict[str, float]
    seconds: float
    psnr_blurry: float | None = None

    @property
    def psnr(self) -> float:
        """PSNR in dB."""
        return self.values["psnr"]

    @property
    def gain(self) -> float | None:
        """Gain in PSNR over the blurry input, in dB."""
        if self.psnr_blurry is None:
            return None
        return 0.0 if self.psnr == self.psnr_blurry else self.psnr - self.psnr_blurry


@dataclass
class Scores:
    """The scores of one method on a data set.

    Attributes:
      scores: of each successful image, in the order of the images.
      failures: one line for each image that failed.
      interrupted: whether Ctrl-C ended the evaluation.
      resumed: number of scores of an earlier call.
      summary: their means, from `summarise`; empty without scores.
      workers: number of threads that read and scored, which affect `seconds`.
    """

    scores: list[Score] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False
    resumed: int = 0
    summary: dict[str, Any] = field(default_factory=dict)
    workers: int = 0


def summarise(scores: Iterable[Score], columns: Iterable[str], groups: Mapping[str, str]) -> dict[str, Any]:
    """Averages scores over the data set and over each of its groups.

    Args:
      scores: at least one.
      columns: the names of the values to average, `psnr` among them.
      groups: key of `Score.groups` -> name of the means over its members, such as `sequences`.

    Returns:
      The mean of each column; the counts `images` (all that were scored) and `identical` (those of infinite
      PSNR); the same for each group, such as `sequences`; and `seconds_per_image`, the median, since building
      the graph slows down the first image.

      Identical images are excluded from the mean of PSNR, which would be infinite, but not from that of SSIM,
      since published means of SSIM are over all images. If all images are identical, the mean of PSNR is
      infinite.

    Raises ValueError when there are no scores.
    """
    scores, columns = list(scores), list(columns)
    if not scores:
        raise ValueError("There are no scores to summarise.")
    return {
        **_means(scores, columns),
        **{title: _means_by(group, scores, columns) for group, title in groups.items()},
        "seconds_per_image": statistics.median(score.seconds for score in scores),
    }


def mean_of(scores: Iterable[Score], column: str) -> float:
    """The mean of the finite values of a column; infinite where none is finite."""
    finite = [score.values[column] for score in scores if not math.isinf(score.values[column])]
    return statistics.fmean(finite) if finite else math.inf


def rank(scores: Iterable[Score]) -> list[Score]:
    """From the smallest gain in PSNR to the largest; by PSNR where the gain was not measured."""
    return sorted(scores, key=lambda score: (score.gain or 0.0, score.psnr, score.name))


def _means_by(group: str, scores: list[Score], columns: list[str]) -> dict[str, dict[str, Any]]:
    members: dict[str, list[Score]] = {}
    for score in scores:
        if group in score.groups:
            members.setdefault(score.groups[group], []).append(score)
    return {name: _means(some, columns) for name, some in members.items()}


def _means(scores: list[Score], columns: list[str]) -> dict[str, Any]:
    return {
        **{column: mean_of(scores, column) for column in columns},
        "images": len(scores),
        "identical": sum(math.isinf(score.psnr) for score in scores),
    }
