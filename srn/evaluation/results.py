"""Restored images that another program has made, found for the pairs of a data set."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from srn.data.layouts import SUFFIXES
from srn.errors import InputError

_MOST_SHOWN = 5


def pair_with_results(pairs: list, results_dir) -> list:
    """The pairs, each with the restored image of `results_dir` in place of its blurry one.

    An image belongs to the pair whose name its own path ends in, without suffix: for `SEQUENCE/000001` that
    is `SEQUENCE/000001.png` in the folder or below it (as in `restored/` of evaluate.py); a plain
    `000001.png` will do where no other pair of the data set ends so.

    Raises `InputError` naming pairs without an image, and pairs with two.
    """
    results_dir = Path(results_dir)
    if not results_dir.is_dir():
        raise InputError(f"--results_dir={results_dir}: there is no such folder")
    by_ending = {}
    for path in sorted(results_dir.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            parts = path.relative_to(results_dir).with_suffix("").parts
            for length in range(1, len(parts) + 1):
                by_ending.setdefault("/".join(parts[-length:]), []).append(path)
    stems = [Path(pair.name).name for pair in pairs]
    found, missing = [], []
    for pair, stem in zip(pairs, stems):
        files = by_ending.get(pair.name) or (by_ending.get(stem) if stems.count(stem) == 1 else None) or []
        if len(files) > 1:
            raise InputError(
                f"{files[0]} and {files[1]} could both be {pair.name}; leave one in --results_dir"
            )
        if files:
            found.append(dataclasses.replace(pair, blurry=files[0]))
        else:
            missing.append(pair.name)
    if missing:
        names = ", ".join(missing[:_MOST_SHOWN]) + (", ..." if len(missing) > _MOST_SHOWN else "")
        raise InputError(
            f"--results_dir={results_dir}: no image for {len(missing)} of {len(pairs)} pairs: {names}"
        )
    return found
