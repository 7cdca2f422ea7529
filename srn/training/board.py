"""TensorBoard summaries of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

PICTURES = 4  # of a batch


class Board:
    """Writes scalars and images for TensorBoard; nothing if `log_dir` is None."""

    def __init__(self, log_dir: str | Path | None, model: Any, optimizer: tf.keras.optimizers.Optimizer):
        self._model, self._optimizer = model, optimizer
        self._writer = tf.summary.create_noop_writer()
        if log_dir is not None:
            Path(log_dir).mkdir(parents=True, exist_ok=True)
            self._writer = tf.summary.create_file_writer(str(log_dir))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.close()

    def write_scalars(self, values: dict[str, float], step: int, rate: float | None) -> None:
        """Writes scalars by name, and steps per second if `rate` is known."""
        with self._writer.as_default(step):
            for name, value in values.items():
                group, _, rest = name.partition("validation_")
                tf.summary.scalar(f"validation/{rest}" if not group else f"train/{name}", value)
            if rate:
                tf.summary.scalar("train/steps_per_second", rate)

    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        return float(tf.convert_to_tensor(_learning_rate(self._optimizer)))

    def write_pictures(self, blurry: tf.Tensor, sharp: tf.Tensor, step: int) -> None:
        """Blurry, restored and sharp crops side by side."""
        restored = self._model(blurry[:PICTURES])[0]
        rows = tf.concat([blurry[:PICTURES], tf.clip_by_value(restored, 0.0, 1.0), sharp[:PICTURES]], axis=2)
        with self._writer.as_default(step):
            tf.summary.image("blurry_restored_sharp", rows, max_outputs=PICTURES)


def _learning_rate(optimizer):
    rate = optimizer.learning_rate
    is_schedule = isinstance(rate, tf.keras.optimizers.schedules.LearningRateSchedule)
    return rate(optimizer.iterations) if is_schedule else rate
