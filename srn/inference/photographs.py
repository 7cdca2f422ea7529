"""Arguments and messages common to the commands for photographs, `srn-deblur` and `srn-client`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from srn.command import WRONG_CALL
from srn.errors import InputError
from srn.files import require_writable
from srn.inference.formats import FORMATS, format_of_suffix
from srn.inference.planning import ENDING, STANDARD, Job, Naming, Plan
from srn.inference.restoring import Outcome, Settings
from srn.inference.writing import Encoding


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Ends the program."""
        self.exit(WRONG_CALL, f"{self.prog}: {message}; see {self.prog} --help\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """INPUT, --output and --overwrite."""
    parser.add_argument(
        "input", nargs="+", metavar="INPUT", help="photograph, or folder of photographs; - is standard input"
    )
    parser.add_argument(
        "-o",
        "--output",
        help=f"file, folder, or - (standard output); default: NAME{ENDING}.EXT next to each input",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")


def add_naming_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments for names and formats of results."""
    parser.add_argument("-r", "--recursive", action="store_true", help="include sub-folders")
    parser.add_argument(
        "--suffix", type=_suffix, help=f"appended to each name (default: {ENDING} next to the original)"
    )
    parser.add_argument(
        "--format",
        type=_format,
        metavar="EXT",
        help="format of the results, such as png (default: that of the original)",
    )
    parser.add_argument(
        "--quality",
        type=number_between(int, 1, 100),
        help="quality of lossy formats, 1 to 100 (default: as the original, at least 95)",
    )
    parser.add_argument("--strip", action="store_true", help="remove metadata except the colour profile")
    parser.add_argument("--keep_dates", action="store_true", help="give results the dates of the originals")
    parser.add_argument("--compare", action="store_true", help="also write a comparison of input and result")
    parser.add_argument(
        "--strength",
        type=number_between(float, 0, 1),
        default=1.0,
        help="0 (original) to 1 (restored; default)",
    )
    parser.add_argument(
        "--max_megapixels",
        type=number_between(float, 0, 1e6),
        default=Settings().max_megapixels,
        help="refuse larger photographs (default: %(default)g)",
    )
    parser.add_argument("--dry_run", action="store_true", help="print what would be done, without doing it")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each photograph")
    parser.add_argument("-v", "--verbose", action="store_true", help="print more")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only errors")


def naming_of(arguments: argparse.Namespace) -> Naming:
    """The naming of results given by the command line."""
    return Naming(arguments.output, arguments.suffix, arguments.format)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The processing of each photograph given by the command line."""
    return Settings(
        encoding=Encoding(arguments.format, arguments.quality, arguments.strip),
        strength=arguments.strength,
        compare=arguments.compare,
        keep_dates=arguments.keep_dates,
        max_megapixels=arguments.max_megapixels,
    )


class Reporter:
    """Prints results on standard output (or standard error, if the photograph is written there), and other
    messages on standard error.

    Args:
      command: name of the command, printed before each error.
      arguments: those of `add_naming_arguments`; None for the defaults.
      to_stdout: whether the photograph is written to standard output.
    """

    def __init__(self, command: str, arguments: argparse.Namespace | None = None, to_stdout: bool = False):
        self.command = command
        self.quiet = arguments is not None and arguments.quiet
        self.verbose = arguments is not None and arguments.verbose
        self.json = arguments is not None and arguments.json
        self.stream = sys.stderr if to_stdout else sys.stdout
        self.counts = {"done": 0, "failed": 0, "passed_over": 0}
        self.megapixels, self.started = 0.0, time.perf_counter()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a file name need not be text
                stream.reconfigure(errors="backslashreplace")

    def say(self, line: str) -> None:
        """Prints a line, except with -q or --json."""
        if not self.quiet and not self.json:
            tqdm.write(printable(line), file=self.stream)

    def detail(self, line: str) -> None:
        """Prints a line with -v."""
        if self.verbose:
            tqdm.write(printable(f"{self.command}: {line}"), file=sys.stderr)

    def warn(self, line: str) -> None:
        """Prints a warning."""
        if not self.quiet:
            tqdm.write(printable(f"{self.command}: {line}"), file=sys.stderr)

    def plan(self, plan: Plan) -> None:
        """Reports inputs that are skipped or missing."""
        for path, reason in plan.passed_over:
            self.counts["passed_over"] += 1
            self.warn(f"{path}: passed over: {reason}")
            self._write_json(source=path, status="passed_over", reason=reason)
        for path, reason in plan.missing:
            self.fail(path, f"{path}: {reason}")

    def planned(self, job: Job) -> None:
        """Reports what would be done, for a dry run."""
        self.say(f"{job.source} -> {job.target}")
        self._write_json(source=str(job.source), target=str(job.target), status="planned")

    def already_there(self, job: Job) -> None:
        """Reports a result that already exists."""
        self.counts["passed_over"] += 1
        self.say(f"{job.target} is there already; --overwrite replaces it")
        self._write_json(source=str(job.source), target=str(job.target), status="there_already")

    def fail(self, source: str, line: str) -> None:
        """Reports a photograph that could not be restored."""
        self.counts["failed"] += 1
        tqdm.write(printable(f"{self.command}: {line}"), file=sys.stderr)
        self._write_json(source=source, status="failed", error=line)

    def outcome(self, outcome: Outcome) -> None:
        """Reports the result for a photograph."""
        source, target = map(str, outcome.job)
        if outcome.error is not None:
            self.fail(source, outcome.error)
            return
        self.counts["done"] += 1
        self.megapixels += outcome.megapixels
        if outcome.notes:
            self.warn(f"{source}: {'; '.join(outcome.notes)}")
        if target != STANDARD:
            self.say(f"{source} -> {target}")
        self.detail(f"{source}: {outcome.megapixels:.2f} megapixels in {outcome.seconds:.2f} s")
        self._write_json(
            source=source,
            target=target,
            status="done",
            notes=list(outcome.notes),
            megapixels=round(outcome.megapixels, 3),
            seconds=round(outcome.seconds, 3),
        )

    def summary(self) -> None:
        """Prints a summary of several photographs."""
        seconds = time.perf_counter() - self.started
        rate = self.megapixels / seconds
        if sum(self.counts.values()) > 1 or self.verbose:
            named = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts.items())
            speed = f"; {self.megapixels:.1f} megapixels, {rate:.2f} a second" if self.megapixels else ""
            self.say(f"{named}{speed}")
        self._write_json(**self.counts, megapixels=round(self.megapixels, 3), seconds=round(seconds, 3))

    def _write_json(self, **values: object) -> None:
        if self.json:
            print(json.dumps(values), file=self.stream, flush=True)


def printable(line: str) -> str:
    """Escapes line feeds and undecodable bytes of file names."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line
    )


def open_jobs(plan: Plan, overwrite: bool, reporter: Reporter) -> list[Job]:
    """The jobs without an existing result; reports the others, and creates output folders.

    Photographs whose folder cannot be written fail. Raises `InputError` if that is so for all.
    """
    waiting: list[Job] = []
    unwritable: dict[Path, str] = {}
    checked: set[Path] = set()
    for job in plan.jobs:
        folder = job.target.parent
        if str(job.target) == STANDARD:
            if sys.stdout.isatty():
                raise InputError("photographs are not written to a terminal; give -o FILE")
        elif os.path.exists(job.target) and not os.path.isfile(job.target):
            reporter.fail(str(job.source), f"{job.source}: {job.target} is there already, and is no file")
            continue
        elif os.path.lexists(job.target) and not overwrite:
            reporter.already_there(job)
            continue
        elif folder not in checked:
            checked.add(folder)
            try:
                require_writable(folder)
            except InputError as error:
                unwritable[folder] = str(error)
        if folder in unwritable:
            continue
        waiting.append(job)
    if unwritable and not waiting:
        raise InputError("\n".join(unwritable.values()))
    for job in plan.jobs:
        if job.target.parent in unwritable:
            reporter.fail(str(job.source), f"{job.source}: {unwritable[job.target.parent]}")
    return waiting


def _format(text: str) -> str:
    form = format_of_suffix(f"x.{text.lower().lstrip('.')}") or FORMATS.get(text.upper())
    if form is None:
        known = ", ".join(each.suffixes[0][1:] for each in FORMATS.values())
        raise argparse.ArgumentTypeError(f"{text}: cannot be written; there are {known}")
    return form.name


def _suffix(text: str) -> str:
    if any(character in text for character in {"/", os.sep, "\0"}):
        raise argparse.ArgumentTypeError(f"{text}: goes into a file name, and cannot lead to another folder")
    return text


def number_between(kind: type, low: float, high: float) -> Callable[[str], float]:
    """A `type` for argparse: a number of `kind`, int or float, from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: give a number from {low:g} to {high:g}")
        return value

    return parse
