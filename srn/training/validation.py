"""Validation during training on whole images, with the metrics of the evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from srn import metrics, zoo
from srn.data.pairs import Pair
from srn.images import from_unit_range, read_rgb, to_unit_range
from srn.training.average import WeightAverage

SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "psnr": metrics.psnr,
    "ssim_channel": metrics.ssim_channel,
    "ssim_matlab": metrics.ssim_matlab,
}


class Validation:
    """Restores and scores whole images with the current weights, or with their average if there is one.

    Args:
      pairs: of blurry and sharp images, at least 11x11.
      model: the network in training.
      precision: of the convolutions, as in training.
      average: of the weights of the model, or None.
      sum_over_workers: sums numbers over all processes, each of which scores some of the pairs.
    """

    def __init__(
        self,
        pairs: list[Pair],
        model: Any,
        precision: str,
        average: WeightAverage | None = None,
        sum_over_workers: Callable[[list[float]], list[float]] = list,
    ):
        self._pairs, self._trained, self._average = pairs, model, average
        self._sum_over_workers = sum_over_workers
        # A second network, so that the averages can be loaded without changing the weights in training.
        self._model = zoo.build_model(model.config, precision)

    def __call__(self) -> dict[str, float]:
        """Means of `psnr` (dB, without identical images), `ssim_channel` and `ssim_matlab`.

        Raises `WorkError` naming an image that can no longer be read.
        """
        weights = self._trained.trainable_variables if self._average is None else self._average.values
        for variable, value in zip(self._model.trainable_variables, weights):
            variable.assign(value)
        scores = [self._score(pair) for pair in self._pairs]
        sums = []
        for name in SCORES:
            finite = [score[name] for score in scores if math.isfinite(score[name])]
            sums += [sum(finite), len(finite)]
        sums = self._sum_over_workers(sums)
        return {
            name: total / count if count else math.inf
            for name, total, count in zip(SCORES, sums[::2], sums[1::2])
        }

    def _score(self, pair: Pair) -> dict[str, float]:
        blurry, sharp = read_rgb(pair.blurry), read_rgb(pair.sharp)
        restored = self._model.restore(to_unit_range(blurry)[np.newaxis])[0].numpy()
        written = from_unit_range(restored.clip(0.0, 1.0), np.uint8)
        return {name: score(written, sharp) for name, score in SCORES.items()}
