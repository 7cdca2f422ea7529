"""Validation in the course of a training run: whole images, scored as an evaluation scores them."""

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
    """Restores whole images by the present weights, or by their average where one is kept, and scores them.

    Args:
      pairs: of blurry and sharp images of any size from 11x11 on.
      model: the network in training.
      precision: of the convolutions, as in training.
      average: of the model's weights, or None.
      sum_over_workers: sums numbers over the processes, each of which has some of the pairs.
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
        # Its own network, so that the averages can be tried without moving the weights in training.
        self._model = zoo.build_model(model.config, precision)

    def __call__(self) -> dict[str, float]:
        """Means of `psnr` (dB, identical images left out), `ssim_channel` and `ssim_matlab`.

        Raises `WorkError` naming an image that cannot be read any more.
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
