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
    to_folder = _is_folder(naming, found, inputs)
    sources = {_real(source) for source, _ in found}
    taken: dict[Path, Path] = {}
    for source, below in found:
        target = _target(source, below, naming, to_folder, source.stem)
        if target in taken and taken[target].with_suffix("") == source.with_suffix(""):
            # a.heic beside a.jpg, both to become a.png
            target = _target(source, below, naming, to_folder, f"{source.stem}_{_kind_of(source)}")
        if str(target) != STANDARD:
            if _real(target) in sources:
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
    found: dict[str, tuple[Path, Path]] = {}
    excluded = None if output in (None, STANDARD) else _real(output)
    for word in inputs:
        if not word:  # an empty path would be the present folder
            raise InputError("an input has no name; is a variable of the shell empty?")
        if word == STANDARD:
            found[STANDARD] = (Path(STANDARD), Path(STANDARD))
            continue
        for path in _expand(word):
            reason = _why_missing(path)
            if reason is not None:
                plan.missing.append((str(path), reason))
                continue
            if os.path.isdir(path):
                pairs = _photographs_of(path, plan, recursive, ending, excluded)
            else:
                pairs = [(path, Path(path.name))]
            for source, below in pairs:
                found.setdefault(_real(source), (source, below))
    return list(found.values())


def _why_missing(path) -> str | None:
    """Why there is no such file, None where there is one."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:  # in a folder that may not be entered; of a name that cannot be
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return None


def _real(path) -> str:
    """The path without symbolic links; unlike `Path.resolve`, cyclic links are not an error."""
    return os.path.realpath(path)


def _kind_of(source):
    return source.suffix.lstrip(".").lower()


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
        (others, "not photographs by their suffix"),
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
                plan.passed_over.append((str(folder), f"sub-folders are only searched with -r: {names}"))
            folders.clear()
        folders[:] = [
            name for name in folders if not name.startswith(".") and _real(Path(parent) / name) != excluded
        ]
        for path in (Path(parent) / name for name in folders):
            if path.is_symlink():  # `os.walk` does not follow it, since it may lead in a circle
                plan.passed_over.append((str(path), "is a link to a folder; name it explicitly"))
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
    stems = {
        (_real(source.parent), stem)
        for source, _ in found
        for stem in (source.stem, f"{source.stem}_{_kind_of(source)}")
    }
    kept = []
    for source, below in found:
        stem = source.stem[: -len(COMPARISON)] if source.stem.endswith(COMPARISON) else source.stem
        original = stem[: -len(ending)] if ending and stem.endswith(ending) else None
        if original and (_real(source.parent), original) in stems:
            plan.passed_over.append((str(source), "is the result of another input"))
        else:
            kept.append((source, below))
    return kept


def _is_folder(naming, found, inputs) -> bool:
    """Whether the output is a folder. Raises `InputError` if it is neither a folder nor an image file."""
    output = naming.output
    if output is None or output == STANDARD:
        if output == STANDARD and len(found) > 1:
            raise InputError(f"-o -: standard output cannot take {len(found)} photographs; give a folder")
        return False
    if not output:
        raise InputError("-o: give a file or folder; is a variable of the shell empty?")
    path = Path(output)
    if os.path.isdir(path) or output.endswith(("/", os.sep)):
        return True
    several = len(found) > 1 or any(word != STANDARD and os.path.isdir(word) for word in inputs)
    form = format_of_suffix(path)
    if form or path.suffix.lower() in VIDEO_SUFFIXES:
        if several:
            raise InputError(f"-o {output}: one file cannot take {len(found)} photographs; give a folder")
        if form and naming.format not in (None, form.name):
            raise InputError(f"-o {output}: is {form.name} by its name, and --format says {naming.format}")
        return False
    if os.path.lexists(path):
        raise InputError(
            f"-o {output}: is there already, and is neither a folder nor an image file by its name"
        )
    if not several and _LOOKS_LIKE_A_FILE.search(path.name):
        kinds = ", ".join(SUFFIXES)
        raise InputError(f"-o {output}: neither a folder nor an image file ({kinds}); {output}/ is a folder")
    return True


def _target(source, below, naming, to_folder, stem) -> Path:
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
    stem = "stdin" if str(source) == STANDARD else stem
    if naming.output is None:
        ending = ENDING if naming.ending is None else naming.ending
        return source.with_name(_fit_name(stem, f"{ending}{suffix}"))
    return Path(naming.output) / below.parent / _fit_name(stem, f"{naming.ending or ''}{suffix}")


def _fit_name(stem: str, rest: str) -> str:
    """`stem` + `rest`, with the stem shortened to the maximum length of file names."""
    room = _MAX_NAME_BYTES - len(os.fsencode(rest))
    encoded = os.fsencode(stem)
    if room < 1:
        raise InputError(
            f"a name that ends with {rest[:30]}... is too long for a file; choose a shorter --suffix"
        )
    if len(encoded) <= room:
        return stem + rest
    while len(encoded) > room or os.fsdecode(encoded) != stem[: len(os.fsdecode(encoded))]:
        encoded = encoded[:-1]  # not within a UTF-8 sequence
    return os.fsdecode(encoded) + rest
