"""What a training run shows in TensorBoard."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

PICTURES = 4  # of a batch


class Board:
    """TensorBoard's scalars and pictures; writes nothing where `log_dir` is None."""

    def __init__(self, log_dir, model, optimizer):
        self._model, self._optimizer = model, optimizer
        self._writer = tf.summary.create_noop_writer()
        if log_dir is not None:
            Path(log_dir).mkdir(parents=True, exist_ok=True)
            self._writer = tf.summary.create_file_writer(str(log_dir))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.close()

    def write_scalars(self, results, step, rate):
        """Results of a step, the learning rate and steps a second."""
        with self._writer.as_default(step):
            for name, value in results.items():
                tf.summary.scalar(f"train/{name}", value)
            tf.summary.scalar("train/learning_rate", _learning_rate(self._optimizer))
            if rate:
                tf.summary.scalar("train/steps_per_second", rate)

    def write_pictures(self, blurry, sharp, step):
        """Blurry, restored and sharp crops side by side."""
        restored = self._model(blurry[:PICTURES])[0]
        rows = tf.concat([blurry[:PICTURES], tf.clip_by_value(restored, 0.0, 1.0), sharp[:PICTURES]], axis=2)
        with self._writer.as_default(step):
            tf.summary.image("blurry_restored_sharp", rows, max_outputs=PICTURES)


def _learning_rate(optimizer):
    rate = optimizer.learning_rate
    is_schedule = isinstance(rate, tf.keras.optimizers.schedules.LearningRateSchedule)
    return rate(optimizer.iterations) if is_schedule else rate
