"""Restored images that another program has made, found for the images of a data set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from srn.errors import InputError
from srn.images import is_image, size_of

_MOST_SHOWN = 5


def find_results(items, results_dir) -> dict[str, Path]:
    """The file in `results_dir` for each image of a data set, by the image's name.

    A file belongs to the image whose name its own path ends in, without suffix: for `SEQUENCE/000001` that
    is `SEQUENCE/000001.png` in the folder or below it (as in `restored/` of evaluate.py). A plain
    `000001.png`, or the name of the blurry file, will do where no other image of the data set has it too.

    Args:
      items: with `name` and `blurry`.
      results_dir: the folder.

    Raises `InputError` naming images without a file, images with two, and files of another size.
    """
    results_dir = Path(results_dir)
    if not results_dir.is_dir():
        raise InputError(f"--results_dir={results_dir}: there is no such folder")
    by_ending = _by_ending(results_dir)
    short_names = [_short_names(item) for item in items]
    counts = Counter(name for names in short_names for name in names)
    found, missing = {}, []
    for item, names in zip(items, short_names):
        candidates = [item.name, *(name for name in sorted(names) if counts[name] == 1)]
        files = next((by_ending[name] for name in candidates if name in by_ending), [])
        if len(files) > 1:
            raise InputError(
                f"{files[0]} and {files[1]} could both be {item.name}; leave one in --results_dir"
            )
        if files:
            found[item.name] = files[0]
        else:
            missing.append(item.name)
    if missing:
        names = ", ".join(missing[:_MOST_SHOWN]) + (", ..." if len(missing) > _MOST_SHOWN else "")
        raise InputError(f"--results_dir={results_dir}: no image for {len(missing)} of {len(items)}: {names}")
    _require_same_sizes(items, found)
    return found


def _require_same_sizes(items, found) -> None:
    lines = []
    for item in items:
        if item.blurry is None:
            continue
        sizes = ["{}x{}".format(*size_of(path)) for path in (found[item.name], item.blurry)]
        if sizes[0] != sizes[1]:
            lines.append(f"{found[item.name]}: {sizes[0]}, but {item.blurry} is {sizes[1]}")
    if lines:
        hidden = len(lines) - _MOST_SHOWN
        raise InputError(
            "\n".join([*lines[:_MOST_SHOWN], *([f"... and {hidden} more"] if hidden > 0 else [])])
        )


def _by_ending(folder: Path) -> dict[str, list[Path]]:
    """All images below `folder` under every ending of their path: `b/1` and `1` for `a/b/1.png`, `a/b/1`."""
    by_ending = {}
    for path in sorted(folder.rglob("*")):
        if is_image(path):
            parts = path.relative_to(folder).with_suffix("").parts
            for length in range(1, len(parts) + 1):
                by_ending.setdefault("/".join(parts[-length:]), []).append(path)
    return by_ending


def _short_names(item) -> set[str]:
    return {Path(item.name).name, *([Path(item.blurry).stem] if item.blurry is not None else [])}
