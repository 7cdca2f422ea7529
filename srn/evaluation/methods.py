"""Methods to evaluate: a network, the blurry input itself, or images restored by other programs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from srn.data.listing import BLURRY_SIDES, SHARP_SIDES
from srn.data.pairs import difference_in_kind
from srn.errors import InputError, list_some
from srn.images import is_image, read_rgb, size_of

IDENTITY = "identity"
_MAX_SHOWN = 5


class Method:
    """Base class of methods, and the identity, which returns the blurry input.

    Args:
      label: name in tables.
      source: for summaries: `ckpt` and `results_dir`, one of them None.

    Attributes:
      is_network: whether images are restored, timed and written to `file_of`.
      settings: plain values on which the restored pixels depend, apart from the files; None if they are
        unknown, so that evaluations cannot be resumed.
    """

    is_network = False
    settings: Mapping[str, Any] | None = {}

    def __init__(self, label: str = IDENTITY, source: Mapping[str, Any] | None = None):
        self.label = label
        self.source = {"ckpt": IDENTITY, "results_dir": None} if source is None else dict(source)

    def restore(self, item: Any, blurry: np.ndarray) -> np.ndarray:
        """Restores an image of a data set from its blurry pixels, both uint8 RGB [H, W, 3]."""
        return blurry

    def file_of(self, item: Any) -> Path | None:
        """The file of the restored image after scoring; None if it is not written."""
        return Path(item.blurry)


class Network(Method):
    """A function from blurry to restored pixels, such as a `Deblurrer`.

    Args:
      restore: uint8 RGB [H, W, 3] -> the same.
      label: name in tables.
      out_dir: images are written to its sub-folder `restored/`; None writes none.
      settings: see `Method`.
      ckpt: weights, for summaries.
    """

    is_network = True

    def __init__(
        self,
        restore: Callable[[np.ndarray], np.ndarray],
        label: str,
        out_dir: str | os.PathLike[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        ckpt: str | None = None,
    ):
        super().__init__(label, {"ckpt": ckpt, "results_dir": None})
        self._restore, self.settings = restore, settings
        self._folder = None if out_dir is None else Path(out_dir) / "restored"

    def restore(self, item: Any, blurry: np.ndarray) -> np.ndarray:
        """See `Method`."""
        return self._restore(blurry)

    def file_of(self, item: Any) -> Path | None:
        """Below `out_dir`, by the image's name."""
        return None if self._folder is None else self._folder / f"{item.name}.png"


class ResultImages(Method):
    """Images restored by another program.

    Args:
      results_dir: folder with an image for each of `items`; see `find_results`.
      items: images of the data set.
      label: name in tables.

    Raises `InputError` naming images that are missing.
    """

    def __init__(self, results_dir: str | os.PathLike[str], items: Sequence, label: str):
        super().__init__(label, {"ckpt": None, "results_dir": os.fspath(results_dir)})
        self._files = find_results(items, results_dir)

    def restore(self, item: Any, blurry: np.ndarray) -> np.ndarray:
        """Reads the image."""
        return read_rgb(self._files[item.name], deep=True)

    def file_of(self, item: Any) -> Path:
        """The file that was found."""
        return self._files[item.name]


def split_name(named: str) -> tuple[str, str]:
    """Parses `NAME=PATH` to (NAME, PATH); the default name is the last part of the path."""
    name, sign, path = named.partition("=")
    if sign and path and not Path(named).exists():
        return name, path
    return Path(named).resolve().name, named


def require_distinct(labels: Sequence[tuple[str, str]]) -> None:
    """Raises `InputError` for invalid or duplicate labels.

    Args:
      labels: (label, name of the argument that it comes from).
    """
    counts = Counter(label for label, _ in labels)
    for label, argument in labels:
        if counts[label] > 1:
            raise InputError(f"{argument}: {label} is used twice; give NAME=PATH")
        if not re.fullmatch(r"\w[\w .-]*", label):
            raise InputError(
                f"{argument}: {label!r} is not a valid name; give letters, digits, _ . - as NAME=PATH"
            )


def load_network(
    ckpt: str,
    label: str,
    out_dir: str | os.PathLike[str] | None,
    model: str | None = None,
    precision: str = "float32",
    *,
    tile: int | None = None,
    self_ensemble: bool = False,
    truncate: bool = False,
) -> Network:
    """The method of some weights; see `srn.Deblurrer` for arguments and errors."""
    from srn import weights  # imported here, since it loads TensorFlow
    from srn.inference.deblurrer import Deblurrer

    restore = Deblurrer(ckpt, model, precision, tile=tile, self_ensemble=self_ensemble, truncate=truncate)
    settings = {
        "model": restore.model.name,
        "config": restore.model.config.to_dict(),
        "weights_sha256": weights.checksum(restore.model),
        "precision": precision,
        "tile": tile,
        "self_ensemble": self_ensemble,
        "truncate": truncate,
    }
    return Network(restore, label, out_dir, settings, ckpt)


def find_results(items: Sequence, results_dir: str | os.PathLike[str]) -> dict[str, Path]:
    """The file in `results_dir` for each image of a data set, by the image's name.

    Paths must end with the name of the image: for `SEQUENCE/000001`, this is `SEQUENCE/000001.png` in the
    folder or its sub-folders (as in `restored/` of evaluate.py), or `SEQUENCE-000001.png` and
    `SEQUENCE_000001.png`, as used by other projects. `000001.png`, or the name of the blurry file, is
    accepted if it is unique in the data set. All files may have a common suffix in their names, such as
    `_out`. If files are missing, the words of the paths are compared, whatever separates them:
    `SEQUENCE/blur/000001.png`, `deblurred_SEQUENCE__000001.png`.

    Args:
      items: with `name` and `blurry`.
      results_dir: the folder.

    Raises `InputError` naming images without a file or with two, ambiguous suffixes, and files of another
    size.
    """
    results_dir = Path(results_dir)
    if not results_dir.is_dir():
        raise InputError(f"results_dir={results_dir}: there is no such folder")
    paths = {
        path: path.relative_to(results_dir).with_suffix("")
        for path in sorted(results_dir.rglob("*"))
        if is_image(path)
    }
    names = _names_of_results(items)
    found = _find_by_names(items, names, _by_ending({file: path.parts for file, path in paths.items()}))
    if len(found) < len(items):
        in_words = {name: ["/".join(_words(form)) for form in forms] for name, forms in names.items()}
        by_words = _by_ending({file: _words(path) for file, path in paths.items()})
        found = max(found, _find_by_names(items, in_words, by_words), key=len)
    missing = [item.name for item in items if item.name not in found]
    if missing:
        some = list_some(missing, _MAX_SHOWN)
        raise InputError(
            f"results_dir={results_dir}: no image for {len(missing)} of {len(items)}: {some}; "
            f"looked for {' or '.join(f'{name}.png' for name in names[missing[0]])}, or with a word more; "
            f"it holds {list_some([str(path) for path in paths.values()], _MAX_SHOWN) or 'no image'}"
        )
    _require_same_kinds(items, found)
    return found


def _names_of_results(items: Sequence) -> dict[str, list[str]]:
    """Candidate names, without suffix, of the result of each image, the most specific first."""
    short_names = {
        item.name: [Path(item.name).name, *([Path(item.blurry).stem] if item.blurry is not None else [])]
        for item in items
    }
    counts = Counter(name for some in short_names.values() for name in set(some))
    names = {}
    for item in items:
        sequence = item.name.rpartition("/")[0]
        long = [item.name]
        if sequence:
            stems = dict.fromkeys(short_names[item.name])
            long += [f"{sequence}/{stem}" for stem in stems]
            long += [f"{sequence.replace('/', mark)}{mark}{stem}" for mark in "-_" for stem in stems]
        else:  # names with the sequence, and results in a folder for each
            long += [re.sub(r"[-_](?=[^-_]+$)", "/", item.name)]
        unique = [name for name in short_names[item.name] if counts[name] == 1]
        names[item.name] = list(dict.fromkeys([*long, *unique]))
    return names


def _find_by_names(
    items: Sequence, names: Mapping[str, list[str]], by_ending: Mapping[str, list[Path]]
) -> dict[str, Path]:
    """The results of those images that have one, without a suffix or all with the same one.

    Raises `InputError` for images with two, and for ambiguous suffixes.
    """
    tries = {
        ending: _find_with_ending(items, names, by_ending, ending)
        for ending in _endings(names[items[0].name], by_ending)
    }
    best = max(map(len, tries.values()))
    endings = [ending for ending, found in tries.items() if len(found) == best]
    if len(endings) > 1 and endings[0]:
        some = list_some(endings, _MAX_SHOWN)
        raise InputError(
            f"`results_dir` holds {best} images each with {some} at the end of their names; "
            "give a folder with those to be scored"
        )
    return tries[endings[0]]


def _endings(names: Sequence[str], by_ending: Mapping[str, list[Path]]) -> list[str]:
    """Candidate suffixes of all names: none, and those found for the image of these names."""
    endings = [""]
    for name in names:
        pattern = re.compile(re.escape(name) + r"([-_./][^\W\d][^/]*)")
        endings += [match[1] for match in map(pattern.fullmatch, by_ending) if match]
    return list(dict.fromkeys(endings))


def _find_with_ending(
    items: Sequence, names: Mapping[str, list[str]], by_ending: Mapping[str, list[Path]], ending: str
) -> dict[str, Path]:
    """The files of those images that have one. Raises `InputError` for an image with two."""
    found = {}
    for item in items:
        candidates = (f"{name}{ending}" for name in names[item.name])
        files = next((by_ending[name] for name in candidates if name in by_ending), [])
        if len(files) > 1:
            raise InputError(
                f"{files[0]} and {files[1]} in `results_dir` could both be {item.name}; leave one there"
            )
        if files:
            found[item.name] = files[0]
    return found


def _require_same_kinds(items: Sequence, found: Mapping[str, Path]) -> None:
    lines = []
    for item in items:
        if item.blurry is None:
            continue
        sizes = ["{}x{}".format(*size_of(path, deep=True)) for path in (found[item.name], item.blurry)]
        if sizes[0] != sizes[1]:
            lines.append(f"{found[item.name]}: {sizes[0]}, but {item.blurry} is {sizes[1]}")
        else:
            lines += difference_in_kind(found[item.name], item.blurry)
    if lines:
        hidden = len(lines) - _MAX_SHOWN
        raise InputError(
            "\n".join([*lines[:_MAX_SHOWN], *([f"... and {hidden} more"] if hidden > 0 else [])])
        )


def _by_ending(parts_of: Mapping[Path, Sequence[str]]) -> dict[str, list[Path]]:
    """All files by every suffix of their parts: `a/b/1`, `b/1` and `1` for a, b, 1."""
    by_ending: dict[str, list[Path]] = {}
    for file, parts in parts_of.items():
        for length in range(1, len(parts) + 1):
            by_ending.setdefault("/".join(parts[-length:]), []).append(file)
    return by_ending


def _words(path: str | os.PathLike[str]) -> list[str]:
    """The words of a path without names of sides: `A_11/blur/01_out` -> `A`, `11`, `01`, `out`."""
    words = [word for word in re.split(r"[\W_]+", os.fspath(path)) if word]
    return [word for word in words if word.lower() not in (*BLURRY_SIDES, *SHARP_SIDES)] or words
