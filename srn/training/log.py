"""`log.csv` of a training run, with one row per reported step."""

from __future__ import annotations

import csv
import io
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import srn
from srn.files import write_atomically

FILE = "log.csv"
COLUMNS = (
    "step",
    "loss",
    "psnr",  # dB, of the crops of the batch
    "learning_rate",
    "seconds",  # of training in all calls together, validation included
    "recurrent_gradient_norm",
    "rest_gradient_norm",
    "clipped_recurrent_gradient_norm",
    "clipped_rest_gradient_norm",
    "validation_psnr",
    "validation_ssim_channel",
    "validation_ssim_matlab",
)


class Log:
    """Writes `log.csv`: comments with versions, a header, and one row per report.

    Args:
      model_dir: the folder of the run.
      first_step: rows of later steps, left by an earlier call, are removed.
    """

    def __init__(self, model_dir: Path, first_step: int):
        self._path = model_dir / FILE
        rows = [row for row in read_log(self._path) if int(row["step"]) <= first_step]
        versions = (
            f"srn {srn.__version__}, tensorflow {version('tensorflow')}, Python {platform.python_version()}"
        )
        text = f"# {versions}, on {platform.node()}, from step {first_step}\n"
        earlier = [line for line in _lines(self._path) if line.startswith("#")]
        header = "".join(f"{line}\n" for line in dict.fromkeys([*earlier, text.rstrip()]))
        write_atomically(self._path, (header + _to_csv([dict(zip(COLUMNS, COLUMNS)), *rows])).encode())
        self._seconds = float(rows[-1]["seconds"]) if rows else 0.0
        self._begun = time.monotonic()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds the row of a step; columns without a value are empty."""
        seconds = self._seconds + time.monotonic() - self._begun
        numbers = {name: f"{value:.9g}" for name, value in values.items() if name in COLUMNS}
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(_to_csv([{**numbers, "step": step, "seconds": f"{seconds:.1f}"}]))


def read_log(path: Path) -> list[dict[str, str]]:
    """Reads the rows of a `log.csv` as dicts; an incomplete last line is ignored."""
    lines = [line for line in _lines(path) if line and not line.startswith("#")]
    return [
        row for row in csv.DictReader(lines) if None not in row.values() and row.get("step", "").isdigit()
    ]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def _to_csv(rows) -> str:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()
