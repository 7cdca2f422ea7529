"""Finds the input files of a command line and the path of each result."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from srn.errors import InputError
from srn.inference.formats import (
    FORMATS,
    RAW_SUFFIXES,
    READ_ONLY_SUFFIXES,
    SUFFIXES,
    VIDEO_SUFFIXES,
    format_of_suffix,
)

ENDING = "_deblurred"
COMPARISON = "_compare"
STANDARD = "-"  # input or output
_MAX_NAME_BYTES = 255  # bytes of a file name, on all usual file systems
_NAMED = 5  # maximum number of files named in the message for a folder
_LOOKS_LIKE_A_FILE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


class Job(NamedTuple):
    """A photograph and the path of its result; "-" is standard input or output."""

    source: Path
    target: Path


@dataclasses.dataclass(frozen=True)
class Naming:
    """Naming of results.

    Attributes:
      output: a folder (created if needed), a file for a single photograph, "-", or None: beside each.
      ending: suffix of the name; None: `_deblurred` beside the original, none elsewhere.
      format: name of the format of all results; None: that of each original.
    """

    output: str | None = None
    ending: str | None = None
    format: str | None = None


@dataclasses.dataclass
class Plan:
    """The work to do.

    Attributes:
      jobs: in order.
      passed_over: (file or folder, reason why it is not restored).
      missing: inputs that do not exist; the others are still restored.
    """

    jobs: list[Job] = dataclasses.field(default_factory=list)
    passed_over: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    missing: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def make_plan(inputs: list[str], naming: Naming = Naming(), recursive: bool = False) -> Plan:
    """Finds the photographs of a command line and the paths of their results, which are never inputs.

    Args:
      inputs: image files, folders, patterns with `*`, or "-".
      naming: of the results.
      recursive: whether to search sub-folders; their structure is kept in an output folder.

    Raises `InputError` if there is nothing to restore, and for invalid outputs.
    """
    plan = Plan()
    ending = ENDING if naming.ending is None else naming.ending
    found = _find_all(inputs, plan, recursive, ending, naming.output)
    found = _without_own_results(found, plan, ending)
    if not found:
        raise InputError("\n".join(f"{path}: {reason}" for path, reason in plan.missing + plan.passed_over))
    to_folder = _is_folder(naming.output, found, inputs)
    sources = {source.resolve() for source, _ in found}
    taken: dict[Path, Path] = {}
    for source, below in found:
        target = _target(source, below, naming, to_folder)
        if target in taken and taken[target].with_suffix("") == source.with_suffix(""):
            kind = source.suffix.lstrip(".").lower()  # a.heic beside a.jpg, both to become a.png
            target = target.with_name(f"{target.stem}_{kind}{target.suffix}")
        if str(target) != STANDARD:
            if target.resolve() in sources:
                raise InputError(f"{target}: would overwrite an input; choose another -o or --suffix")
            if target in taken:
                raise InputError(f"{target}: two inputs would be written there; take one folder at a time")
        taken[target] = source
        plan.jobs.append(Job(source, target))
    return plan


def comparison_of(target: Path) -> Path:
    """Path of the comparison of input and result."""
    return target.with_name(_fit_name(f"{target.stem}", f"{COMPARISON}.jpg"))


def _find_all(inputs, plan, recursive, ending, output) -> list[tuple[Path, Path]]:
    """[(photograph, its path relative to the given folder)], without duplicates."""
    found: dict[Path, tuple[Path, Path]] = {}
    excluded = None if output in (None, STANDARD) else Path(output).resolve()
    for word in inputs:
        if word == STANDARD:
            found[Path(STANDARD)] = (Path(STANDARD), Path(STANDARD))
            continue
        for path in _expand(word):
            if path.is_dir():
                pairs = _photographs_of(path, plan, recursive, ending, excluded)
            elif os.path.lexists(path):
                pairs = [(path, Path(path.name))]
            else:
                plan.missing.append((str(path), "there is no such file"))
                continue
            for source, below in pairs:
                found.setdefault(source.resolve(), (source, below))
    return list(found.values())


def _expand(word) -> list[Path]:
    """Expands patterns, which some shells, such as those of Windows, leave to the program."""
    path = Path(word)
    if any(character in str(word) for character in "*?[") and not os.path.lexists(path):
        return [Path(name) for name in sorted(glob.glob(str(word), recursive=True))] or [path]
    return [path]


def _photographs_of(folder, plan, recursive, ending, excluded) -> list[tuple[Path, Path]]:
    pairs: list[tuple[Path, Path]] = []
    others: list[str] = []
    raw: list[str] = []
    for file in _files_of(folder, plan, recursive, excluded):
        below = file.relative_to(folder)
        suffix = file.suffix.lower()
        if file.name.startswith(".") or _is_own_result(file, ending):
            continue
        if suffix in RAW_SUFFIXES:
            raw.append(str(below))
        elif suffix not in SUFFIXES and suffix not in READ_ONLY_SUFFIXES:
            others.append(str(below))
        elif not _is_regular(file):
            plan.passed_over.append((str(file), "is no regular file"))
        else:
            pairs.append((file, below))
    for names, why in (
        (raw, "raw, to be developed first"),
        (others, "no photographs by their names"),
    ):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            plan.passed_over.append((str(folder), f"{why}: {', '.join(names[:_NAMED])}{more}"))
    if not pairs:
        plan.passed_over.append((str(folder), f"no image in it ({', '.join(SUFFIXES)})"))
    return pairs


def _files_of(folder, plan, recursive, excluded) -> Iterator[Path]:
    """Yields the files of a folder in order; skipped sub-folders are reported."""

    def complain(error):
        plan.missing.append((str(error.filename), f"cannot be read ({error.strerror})"))

    for parent, folders, files in os.walk(folder, onerror=complain):
        folders.sort()
        if not recursive and folders:
            seen = [name for name in folders if not name.startswith(".")]
            if seen:
                names = ", ".join(seen[:_NAMED]) + (", ..." if len(seen) > _NAMED else "")
                plan.passed_over.append((str(folder), f"sub-folders, which -r takes too: {names}"))
            folders.clear()
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (Path(parent) / name).resolve() != excluded
        ]
        yield from (Path(parent) / name for name in sorted(files))


def _is_regular(file):
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except OSError:
        return False


def _is_own_result(file, ending):
    return bool(ending) and file.stem.endswith((ending, ending + COMPARISON))


def _without_own_results(found, plan, ending):
    """Removes results of an earlier run whose originals are inputs as well, as for a second `*.jpg`."""
    stems = {(source.parent.resolve(), source.stem) for source, _ in found}
    kept = []
    for source, below in found:
        stem = source.stem[: -len(COMPARISON)] if source.stem.endswith(COMPARISON) else source.stem
        original = stem[: -len(ending)] if ending and stem.endswith(ending) else None
        if original and (source.parent.resolve(), original) in stems:
            plan.passed_over.append((str(source), "is a result, and its original is named too"))
        else:
            kept.append((source, below))
    return kept


def _is_folder(output, found, inputs) -> bool:
    """Whether `output` is a folder. Raises `InputError` if it is neither a folder nor an image file."""
    if output is None or output == STANDARD:
        if output == STANDARD and len(found) > 1:
            raise InputError(f"-o -: standard output cannot take {len(found)} photographs; give a folder")
        return False
    path = Path(output)
    if path.is_dir() or output.endswith(("/", os.sep)):
        return True
    several = len(found) > 1 or any(word != STANDARD and Path(word).is_dir() for word in inputs)
    if format_of_suffix(path) or path.suffix.lower() in VIDEO_SUFFIXES:
        if several:
            raise InputError(f"-o {output}: one file cannot take {len(found)} photographs; give a folder")
        return False
    if not several and _LOOKS_LIKE_A_FILE.search(path.name):
        kinds = ", ".join(SUFFIXES)
        raise InputError(f"-o {output}: neither a folder nor an image file ({kinds}); {output}/ is a folder")
    return True


def _target(source, below, naming, to_folder) -> Path:
    if naming.output == STANDARD or (naming.output is None and str(source) == STANDARD):
        return Path(STANDARD)
    if naming.output is not None and not to_folder:
        return Path(naming.output)
    if source.suffix.lower() in VIDEO_SUFFIXES:
        suffix = source.suffix
    elif naming.format is not None:
        suffix = FORMATS[naming.format].suffixes[0]
        if source.suffix.lower() in FORMATS[naming.format].suffixes:
            suffix = source.suffix
    elif source.suffix.lower() in READ_ONLY_SUFFIXES:
        suffix = ".png"
    else:
        suffix = source.suffix
    stem = "stdin" if str(source) == STANDARD else source.stem
    if naming.output is None:
        ending = ENDING if naming.ending is None else naming.ending
        return source.with_name(_fit_name(stem, f"{ending}{suffix}"))
    return Path(naming.output) / below.parent / _fit_name(stem, f"{naming.ending or ''}{suffix}")


def _fit_name(stem: str, rest: str) -> str:
    """`stem` + `rest`, with the stem shortened to the maximum length of file names."""
    room = _MAX_NAME_BYTES - len(os.fsencode(rest))
    encoded = os.fsencode(stem)
    if len(encoded) <= room:
        return stem + rest
    while len(encoded) > room or os.fsdecode(encoded) != stem[: len(os.fsdecode(encoded))]:
        encoded = encoded[:-1]  # not within a UTF-8 sequence
    return os.fsdecode(encoded) + rest
