"""`log.csv` of a training run, with one row per reported step."""

from __future__ import annotations

import csv
import io
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
      first_step: rows of later steps, of a run that has gone back or was killed, are removed.
      say: is given a line where the file was changed by others: it is kept under another name.
    """

    def __init__(self, model_dir: Path, first_step: int, say: Callable[[str], Any] = print):
        self._path = model_dir / FILE
        rows = [row for row in read_log(self._path) if int(row["step"]) <= first_step]
        if not _is_as_written(self._path):
            kept = self._path.with_name(f"log-until-step-{first_step}.csv")
            shutil.copyfile(self._path, kept)
            say(f"{self._path}: was changed by others, kept as {kept.name}; {len(rows)} rows are read")
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
        """Adds the row of a step; columns without a value stay empty. Raises OSError naming the file."""
        seconds = self._seconds + time.monotonic() - self._begun
        numbers = {name: f"{value:.9g}" for name, value in values.items() if name in COLUMNS}
        row = _to_csv([{**numbers, "step": step, "seconds": f"{seconds:.1f}"}])
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(row)
        except OSError as error:
            error.filename = str(self._path)  # of a full disk the system does not tell the file
            raise


def read_log(path: Path) -> list[dict[str, str]]:
    """The rows of a `log.csv` by their columns; lines that are no rows, such as one cut off, are left out."""
    return [{name: row.get(name) or "" for name in COLUMNS} for row in _parse(path) if _is_row(row)]


def _parse(path: Path) -> list[dict[str, str]]:
    """All lines but the comments, by the columns that the first of them names."""
    try:
        return list(csv.DictReader(line for line in _lines(path) if not line.startswith("#")))
    except csv.Error:  # no table at all
        return [{}]


def _is_row(row: dict[str, str]) -> bool:
    try:
        _ = [float(row.get(name) or 0) for name in COLUMNS]
        return None not in row.values() and row["step"].isdecimal() and float(row["seconds"]) >= 0
    except (KeyError, ValueError):
        return False


def _is_as_written(path: Path) -> bool:
    """Whether a log, if there is one, has the columns and nothing but rows."""
    return all(tuple(row) == COLUMNS and _is_row(row) for row in _parse(path))


def _lines(path: Path) -> list[str]:
    """The lines of a file but for a last one that was cut off; none where there is no file."""
    text = path.read_text(encoding="utf-8-sig", errors="replace") if path.exists() else ""
    return [line.strip() for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _to_csv(rows) -> str:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()
