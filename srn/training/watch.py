"""Monitoring of a training run: TensorBoard, `log.csv`, validation, the best checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from srn import run_files
from srn.training.board import Board
from srn.training.checkpoints import Checkpoints
from srn.training.log import FILE, Log, read_log
from srn.training.validation import SCORES


class Watch:
    """Reports results of steps, validates, and keeps track of the best checkpoint.

    Args:
      checkpoints: of the run.
      board: for TensorBoard.
      log: the `log.csv` of the run; None if another process writes it.
      validate: returns the scores of the current weights, including `psnr`; None for no validation.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        board: Board,
        log: Log | None = None,
        validate: Callable[[], dict[str, float]] | None = None,
    ):
        self.board, self._checkpoints, self._log, self._validate = board, checkpoints, log, validate

    def report(
        self, step: int, results: dict[str, float], rate: float | None, is_validated: bool
    ) -> dict[str, float]:
        """Reports the results of a step; returns them with the scores of a validation, if there is one."""
        scores = self.validate(step) if is_validated else {}
        values = {**results, "learning_rate": self.board.learning_rate()}
        self.board.write_scalars({**values, **scores}, step, rate)
        if self._log is not None:
            self._log.write(step, {**values, **scores})
        return {**results, **scores}

    def validate(self, step: int) -> dict[str, float]:
        """Scores the current weights, and stores the step if they are the best so far."""
        if self._validate is None:
            return {}
        scores, model_dir = self._validate(), self._checkpoints.model_dir
        best = run_files.read_best(model_dir)
        is_lost = best.get("step") not in run_files.steps_in(model_dir)
        is_best = is_lost or scores["psnr"] > best["psnr"]
        new = {"step": step, **scores} if is_best else best
        if self._log is not None:
            run_files.write_best(model_dir, {**new, "validated": step})
        return {f"validation_{name}": score for name, score in scores.items()}

    def recover_best(self) -> None:
        """Notes the best validation by `log.csv`, where the note is lost, damaged or moved away."""
        model_dir = self._checkpoints.model_dir
        rows = [row for row in read_log(model_dir / FILE) if row["validation_psnr"]]
        steps = run_files.steps_in(model_dir)
        there = [row for row in rows if int(row["step"]) in steps]
        if there and not run_files.read_best(model_dir):
            best = max(there, key=lambda row: float(row["validation_psnr"]))
            scores = {name: float(best[f"validation_{name}"] or "nan") for name in SCORES}
            validated = int(rows[-1]["step"])
            run_files.write_best(model_dir, {"step": int(best["step"]), **scores, "validated": validated})

    def catch_up(self, every: int | None) -> None:
        """Validates the current checkpoint if the run was killed during its validation."""
        step = self._checkpoints.step
        is_lost = run_files.read_best(self._checkpoints.model_dir).get("validated", 0) < step
        if every and step and step % every == 0 and is_lost:
            self.report(step, {}, None, is_validated=True)


def as_floats(results: dict[str, Any]) -> dict[str, float]:
    """Converts results of a step to floats."""
    return {name: float(value) for name, value in results.items()}
