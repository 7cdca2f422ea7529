"""Journal of finished scores, from which an interrupted evaluation is resumed.

There is one file `scores-DIGEST.jsonl` for each method and set of settings, so that a run with other settings
neither reads nor overwrites it. The first line has the settings, and each further line a finished image;
incomplete or invalid lines are ignored.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from srn.evaluation.scores import Score


class Journal:
    """Finished scores of one method on one data set.

    Args:
      folder: of the evaluation.
      settings: plain values on which the scores depend, apart from the image files, including the columns.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: Mapping[str, Any]):
        text = json.dumps(settings, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.path = Path(folder) / f"scores-{digest}.jsonl"
        self._settings = text
        self._entries = {score.name: (score, files) for score, files in _read(self.path)}

    def find(self, name: str, files: Iterable[Path]) -> Score | None:
        """The score of an image, if it exists and its files have not changed; otherwise None."""
        score, stamps = self._entries.get(name, (None, None))
        return score if stamps == _stamps(files) else None

    def add(self, score: Score, files: Iterable[Path]) -> None:
        """Appends a score with its `files`. Raises OSError if it cannot be written."""
        lines = [{"score": dataclasses.asdict(score), "files": _stamps(files)}]
        if not self.path.exists():
            lines.insert(0, {"settings": json.loads(self._settings)})
        with open(self.path, "a", encoding="utf-8") as file:
            # Begin with a line feed, since the previous line may be incomplete.
            file.write("".join(f"\n{json.dumps(line)}" for line in lines))


def _read(path: Path) -> Iterator[tuple[Score, list]]:
    """Yields (score, stamps of its files) for each valid line."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)  # Python's JSON has Infinity, and reads it back
            yield Score(**entry["score"]), entry["files"]
        except (ValueError, TypeError, KeyError):
            continue


def _stamps(files: Iterable[Path]) -> list[list]:
    """[name, size, modification time] of each file; only the name of missing files."""
    stamps = []
    for path in map(Path, files):
        try:
            status = os.stat(path)
            stamps.append([path.name, status.st_size, status.st_mtime_ns])
        except OSError:
            stamps.append([path.name])
    return stamps
