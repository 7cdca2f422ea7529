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
    """

    def __init__(self, pairs: list[Pair], model: Any, precision: str, average: WeightAverage | None = None):
        self._pairs, self._trained, self._average = pairs, model, average
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
        return {name: mean_of_finite([score[name] for score in scores]) for name in SCORES}

    def _score(self, pair: Pair) -> dict[str, float]:
        blurry, sharp = read_rgb(pair.blurry), read_rgb(pair.sharp)
        restored = self._model.restore(to_unit_range(blurry)[np.newaxis])[0].numpy()
        written = from_unit_range(restored.clip(0.0, 1.0), np.uint8)
        return {name: score(written, sharp) for name, score in SCORES.items()}


def mean_of_finite(values: list[float]) -> float:
    """The mean of the values that are finite; infinity where none is."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.inf
