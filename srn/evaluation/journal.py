"""The scores that are finished, kept on disk: an evaluation that was interrupted goes on where it was.

`scores.jsonl` begins with a line of settings, on which every score depends, and has one line for each image
after it. A line is appended when its image is finished; one that was cut off counts as not there.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

from srn.evaluation.score import Score
from srn.files import write_atomically


class Journal:
    """Finished scores of one method on one data set.

    Args:
      path: of the file; a file of other settings is begun anew.
      settings: plain values: whatever changes a score beside the image files.
    """

    def __init__(self, path, settings: Mapping):
        self._path = Path(path)
        head, *lines = _read_lines(self._path) or [None]
        self._entries = {}
        if head == {"settings": dict(settings)}:
            self._entries = {line["score"]["name"]: line for line in lines if "score" in line}
        # Written anew in any case: a line that was cut off must not have another one appended to it.
        kept = [{"settings": dict(settings)}, *self._entries.values()]
        write_atomically(self._path, "".join(map(_to_line, kept)).encode())

    def find(self, name: str, files) -> Score | None:
        """The score of an image, if it is there and its files have not changed since."""
        entry = self._entries.get(name)
        if entry is None or entry["files"] != _stamps(files):
            return None
        return Score(**entry["score"])

    def add(self, score: Score, files) -> None:
        """Appends a score; `files` are those that it was made from."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(_to_line({"score": dataclasses.asdict(score), "files": _stamps(files)}))


def _read_lines(path: Path) -> list:
    """The JSON objects of a file, none where it is not there; lines that are not JSON are left out."""
    objects = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            objects.append(json.loads(line))
        except ValueError:
            continue
    return [value for value in objects if isinstance(value, dict)]


def _to_line(value) -> str:
    return json.dumps(value) + "\n"  # Python's JSON has Infinity, and reads it back


def _stamps(files) -> list:
    """[name, size, time of the last change] of each file; of one that is not there, the name alone."""
    stamps = []
    for path in map(Path, files):
        try:
            status = os.stat(path)
            stamps.append([path.name, status.st_size, status.st_mtime_ns])
        except OSError:
            stamps.append([path.name])
    return stamps
