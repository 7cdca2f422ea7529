"""Confidence intervals of means by bootstrap, and paired differences of two methods.

Images of one sequence are similar, so that whole sequences are resampled with replacement; images only if the
data set has no sequences. Intervals contain the middle 95% of the means of 10,000 resamples with a fixed seed
(Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from srn.evaluation.scores import Score

LEVEL = 0.95
DRAWS = 10_000
_SEED = 0
_AT_A_TIME = 4_000_000  # drawn indices held in memory


@dataclass(frozen=True)
class Difference:
    """Paired difference of a column between two methods, over the images scored by both.

    Attributes:
      mean: over these images, without infinite PSNR.
      interval: of the mean; None for less than two sequences (or images).
      higher: number of images, out of `images`, for which the first value is higher.
    """

    mean: float
    interval: tuple[float, float] | None
    higher: int
    images: int


def interval_of(scores: Iterable[Score], column: str, cluster: str) -> tuple[float, float] | None:
    """The confidence interval of the mean of a column; None for less than two clusters.

    Args:
      scores: of a data set; infinite values are excluded, as in the mean.
      column: key of `Score.values`.
      cluster: key of `Score.groups` for resampling; scores without it are resampled individually.
    """
    scores = list(scores)
    return _bootstrap([score.values[column] for score in scores], _clusters(scores, cluster))


def difference_of(scores: Sequence[Score], others: Sequence[Score], column: str, cluster: str) -> Difference:
    """`scores` minus `others`, image by image: both of the same images, in the same order."""
    if [score.name for score in scores] != [other.name for other in others]:
        raise ValueError("The scores are not of the same images in the same order.")
    pairs = [(score.values[column], other.values[column]) for score, other in zip(scores, others)]
    # If both are infinite, the difference is 0; if only one is, it cannot be averaged.
    differences = [0.0 if one == other else one - other for one, other in pairs]
    finite = [value for value in differences if math.isfinite(value)]
    return Difference(
        mean=float(np.mean(finite)) if finite else math.nan,
        interval=_bootstrap(differences, _clusters(scores, cluster)),
        higher=sum(value > 0 for value in differences),
        images=len(differences),
    )


def _clusters(scores: Sequence[Score], cluster: str) -> list[str]:
    return [score.groups.get(cluster, f"/{score.name}") for score in scores]


def _bootstrap(values: Sequence[float], clusters: Sequence[str]) -> tuple[float, float] | None:
    sums: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters):
        if math.isfinite(value):
            total = sums.setdefault(cluster, [0.0, 0.0])
            total[0] += value
            total[1] += 1
    if len(sums) < 2:
        return None
    totals = np.array(list(sums.values()))
    generator, means = np.random.default_rng(_SEED), []
    rows = max(_AT_A_TIME // len(totals), 1)
    for start in range(0, DRAWS, rows):
        drawn = generator.integers(len(totals), size=(min(rows, DRAWS - start), len(totals)))
        chosen = totals[drawn].sum(axis=1)
        means.append(chosen[:, 0] / chosen[:, 1])
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
