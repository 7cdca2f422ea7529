"""Photographs on a command line: which files are meant, where each goes, one after the other."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srn.command import WRONG_CALL
from srn.errors import InputError, WorkError, first_line
from srn.files import require_writable
from srn.inference.image_files import SUFFIXES, read_photograph, write_photograph

ENDING = "_deblurred"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, not a page of usage."""

    def error(self, message):
        """Ends the program."""
        self.exit(WRONG_CALL, f"{self.prog}: {message}; see {self.prog} --help\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """INPUT, --output and --overwrite."""
    parser.add_argument("input", nargs="+", metavar="INPUT", help="photograph, or folder of photographs")
    parser.add_argument(
        "-o", "--output", help="file, or folder; default: NAME_deblurred.EXT beside each original"
    )
    parser.add_argument("--overwrite", action="store_true", help="restore again what is there already")


def choose_jobs(inputs: list, output: str | None, overwrite: bool) -> list:
    """What `plan` gives, without those that are done already (each is said so); their folders are made.

    Raises `InputError` as `plan` does, and for a folder that cannot be written.
    """
    waiting = []
    for photograph, target in plan(inputs, output):
        if target.exists() and not overwrite:
            print(f"{target} is there already; --overwrite makes it anew")
        else:
            waiting.append((photograph, target))
    for folder in {target.parent for _, target in waiting}:
        require_writable(folder)
    return waiting


def plan(inputs: list, output: str | None) -> list:
    """[(photograph, where its restored version goes)] for files and folders; never onto an input.

    Args:
      inputs: image files, and folders whose images are taken.
      output: a folder (made if need be), a file where there is one input, or None: `NAME_deblurred.EXT`
        beside each original.

    Raises `InputError` for inputs that are not there, empty folders, and outputs that would collide.
    """
    photographs = [photograph for path in inputs for photograph in _photographs(Path(path))]
    jobs = [(photograph, _target(photograph, output, len(photographs))) for photograph in photographs]
    sources = {photograph.resolve() for photograph in photographs}
    seen = set()
    for _, target in jobs:
        if target.resolve() in sources:
            raise InputError(f"{target}: would overwrite an input; choose another -o")
        if target in seen:
            raise InputError(f"{target}: two inputs would be written there; take one folder at a time")
        seen.add(target)
    return jobs


def _photographs(path):
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    if not path.is_dir():
        return [path]
    try:
        files = sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    found = [file for file in files if _is_photograph(file)]
    if not found:
        raise InputError(f"{path}: no image in it ({', '.join(SUFFIXES)})")
    return found


def _is_photograph(file):
    """Whether a file of a folder is meant: an image, and none that this command has made."""
    is_image = file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    return is_image and not file.stem.endswith(ENDING)


def _target(photograph, output, count):
    name = f"{photograph.stem}{ENDING}{photograph.suffix}"
    if output is None:
        return photograph.with_name(name)
    output = Path(output)
    if output.is_dir() or not output.suffix:
        return output / photograph.name
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"-o {output}: neither a folder nor an image file ({', '.join(SUFFIXES)})")
    if count > 1:
        raise InputError(f"-o {output}: one file cannot take {count} photographs; give a folder")
    return output


def restore_photograph(
    restore: Callable[[np.ndarray], np.ndarray], photograph: Path, target: Path, command: str
) -> bool:
    """Restores one file; says so, or in a line of `command` what went wrong."""
    try:
        original = read_photograph(photograph)
        try:
            restored = restore(original.pixels)
        except Exception as error:  # too large for the memory, say: the other photographs are still worth it
            reason = error if isinstance(error, WorkError) else f"{type(error).__name__}: {first_line(error)}"
            raise WorkError(f"{photograph}: {reason}") from error
        write_photograph(target, dataclasses.replace(original, pixels=restored))
    except WorkError as error:
        tqdm.write(f"{command}: {error}", file=sys.stderr)
        return False
    tqdm.write(f"{photograph} -> {target}")
    return True
