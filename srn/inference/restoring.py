"""Restores photographs one by one; reading and writing run in parallel to the network."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from srn.errors import InputError, WorkError, first_line
from srn.inference.formats.image import Format, FormatError, Photograph
from srn.inference.formats.metadata import Metadata
from srn.inference.planning import STANDARD, Job, comparison_of
from srn.inference.reading import DEFAULT_MAX_MEGAPIXELS, count_pixels, decode_photograph, read_photograph
from srn.inference.writing import (
    Encoding,
    choose_format,
    encode_photograph,
    require_encodable,
    write_photograph,
)

_ALONE = 30e6  # pixels: larger photographs are not read ahead
_GAP = 8  # pixels between input and result

Restore = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Options for processing each photograph.

    Attributes:
      encoding: of the results.
      strength: weight of the restored image in the result, 0 to 1; the rest is the original.
      compare: whether to write a comparison of input and result.
      keep_dates: whether to keep the modification time of the original.
      max_megapixels: larger photographs are refused.
    """

    encoding: Encoding = dataclasses.field(default_factory=Encoding)
    strength: float = 1.0
    compare: bool = False
    keep_dates: bool = False
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result for one photograph.

    Attributes:
      job: see there.
      error: why it failed; None for success.
      notes: what is lost from the original, to be printed after "FILE: ".
      megapixels: of the photograph.
      seconds: in the network.
    """

    job: Job
    error: str | None = None
    notes: tuple[str, ...] = ()
    megapixels: float = 0.0
    seconds: float = 0.0


def restore_all(restore: Restore, jobs: list[Job], settings: Settings = Settings()) -> Iterator[Outcome]:
    """Restores photographs; yields the outcome of each, in order. Failures do not affect the others.

    Args:
      restore: uint8 or uint16, [H, W] or [H, W, 3] -> the same.
      jobs: `srn.inference.planning.make_plan`.
      settings: for all photographs.
    """
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        writing: Future[Outcome] | None = None
        reading = reader.submit(_attempt, _read, jobs[0], settings) if jobs else None
        for index, job in enumerate(jobs):
            photograph = reading.result() if reading else _attempt(_read, job, settings)
            reading = None  # it would keep the photograph
            following = jobs[index + 1] if index + 1 < len(jobs) else None
            alone = _is_large(photograph) or (following is not None and _is_large_file(following))
            if following is not None and not alone:
                reading = reader.submit(_attempt, _read, following, settings)
            elif writing is not None:
                writing.result()  # written before this one takes its memory
            result = photograph
            if isinstance(photograph, Photograph):
                result = _attempt(_restore, restore, photograph, job, settings)
            if writing is not None:
                yield writing.result()
            writing = writer.submit(_attempt_to_write, result, job, settings)
            del photograph, result
            if alone:
                yield writing.result()
                writing = None
        if writing is not None:
            yield writing.result()


def restore_one(restore: Restore, job: Job, settings: Settings = Settings()) -> Outcome:
    """`restore_all` for one photograph, in the thread of the caller."""
    photograph = _attempt(_read, job, settings)
    if isinstance(photograph, Photograph):
        photograph = _attempt(_restore, restore, photograph, job, settings)
    return _attempt_to_write(photograph, job, settings)


@dataclasses.dataclass(frozen=True)
class _Restored:
    original: Photograph
    pixels: np.ndarray
    seconds: float


def _attempt(work: Callable, *arguments: object) -> Any:
    """The result of `work`, or an error message."""
    try:
        return work(*arguments)
    except (InputError, BrokenPipeError):  # of the weights, of standard output: no photograph can be restored
        raise
    except (WorkError, FormatError) as error:
        return str(error)
    except MemoryError:
        return "does not fit into memory; try --tile=256"
    except Exception as error:  # any error of one photograph must not affect the others
        return f"{type(error).__name__}: {first_line(error)}"


def _read(job: Job, settings: Settings) -> Photograph:
    if str(job.source) == STANDARD:
        return decode_photograph(sys.stdin.buffer.read(), "standard input", settings.max_megapixels)
    return read_photograph(job.source, settings.max_megapixels)


def _restore(restore: Restore, photograph: Photograph, job: Job, settings: Settings) -> _Restored:
    # Checked before the network runs.
    form = choose_format(job.target, photograph, settings.encoding)
    require_encodable(photograph, form, settings.encoding)
    if form.name != photograph.format and _is_named_wrongly(job, form, settings):
        note = f"is {photograph.format} by its content, but {form.name} by its name; written as {form.name}"
        photograph = dataclasses.replace(photograph, notes=(note, *photograph.notes))
    start = time.perf_counter()
    restored = restore(photograph.pixels)
    seconds = time.perf_counter() - start
    restored = mix(photograph.pixels, restored, settings.strength)
    if not settings.compare:  # the pixels of the original are no longer needed
        photograph = dataclasses.replace(photograph, pixels=restored)
    return _Restored(photograph, restored, seconds)


def _is_named_wrongly(job: Job, form: Format, settings: Settings) -> bool:
    """Whether a photograph is converted because the suffix of its name is that of another format."""
    suffix = job.source.suffix.lower()
    own = settings.encoding.format is None and job.target.suffix.lower() == suffix
    return own and suffix in form.suffixes


def mix(original: np.ndarray, restored: np.ndarray, strength: float) -> np.ndarray:
    """The weighted mean of two integer images; `strength` is the weight of the restored one."""
    if strength == 1:
        return restored
    mixed = np.empty_like(restored)
    for row in range(len(mixed)):  # in blocks of rows, since floats take four times the memory
        values = original[row] * (1 - strength) + restored[row] * strength
        mixed[row] = np.rint(values)
    return mixed


def _attempt_to_write(restored: _Restored | str, job: Job, settings: Settings) -> Outcome:
    if isinstance(restored, str):
        return Outcome(job, error=_with_name(restored, job))
    notes = _attempt(_write, restored, job, settings)
    if isinstance(notes, str):
        return Outcome(job, error=_with_name(notes, job))
    height, width = restored.pixels.shape[:2]
    megapixels = height * width / 1e6
    return Outcome(job, notes=tuple(notes), megapixels=megapixels, seconds=restored.seconds)


def _with_name(line: str, job: Job) -> str:
    names = (str(job.source), str(job.target), "standard input", "standard output")
    return line if line.startswith(names) else f"{job.source}: {line}"


def _write(restored: _Restored, job: Job, settings: Settings) -> list[str]:
    photograph = dataclasses.replace(restored.original, pixels=restored.pixels)
    if str(job.target) == STANDARD:
        form = choose_format(job.target, photograph, settings.encoding)
        data, notes = encode_photograph(photograph, form, settings.encoding)
        _write_to_stdout(data)
    else:
        notes = write_photograph(job.target, photograph, settings.encoding)
        if settings.keep_dates and str(job.source) != STANDARD:
            try:
                times = os.stat(job.source)
                os.utime(job.target, ns=(times.st_atime_ns, times.st_mtime_ns))
            except OSError as error:  # the original has gone, or the file system has no such dates
                notes.append(f"its dates could not be kept ({error.strerror})")
        if settings.compare:
            _write_comparison(restored.original, photograph, comparison_of(job.target))
    return [*photograph.notes, *notes]


def _write_to_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WorkError(f"standard output: cannot be written ({error.strerror})") from error


def _write_comparison(before: Photograph, after: Photograph, path: Path) -> None:
    """Both side by side, the input on the left."""
    height, width = before.pixels.shape[:2]
    picture = Image.new("RGB", (2 * width + _GAP, height), "white")
    for number, photograph in enumerate((before, after)):
        pixels = photograph.pixels
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        picture.paste(Image.fromarray(pixels).convert("RGB"), (number * (width + _GAP), 0))
    draw = ImageDraw.Draw(picture)
    for number, word in enumerate(("before", "after")):
        draw.text((number * (width + _GAP) + 4, 4), word, fill="white", stroke_width=1, stroke_fill="black")
    in_colour = before.spread or before.pixels.ndim == 3
    metadata = Metadata(icc=before.metadata.icc) if in_colour else Metadata()
    write_photograph(path, Photograph(np.asarray(picture), metadata=metadata))


def _is_large(photograph: Photograph | str) -> bool:
    return isinstance(photograph, Photograph) and photograph.pixels.size > _ALONE


def _is_large_file(job: Job) -> bool:
    """Whether a file holds a large photograph, by its header."""
    return str(job.source) != STANDARD and count_pixels(job.source) * 3 > _ALONE
