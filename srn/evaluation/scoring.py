"""Restoring the images of a data set and scoring what comes out, image by image.

What is scored is the 8-bit RGB image that is written. The score of the set is the mean over all of its
images, never the mean of its sequences.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srn.errors import WorkError, first_line
from srn.evaluation.journal import Journal
from srn.evaluation.methods import Method
from srn.evaluation.protocols import Protocol
from srn.evaluation.scores import Score, Scores, mean_of
from srn.images import write_png


def score_images(
    items: Sequence,
    method: Method,
    protocol: Protocol,
    journal: Journal | None = None,
    progress: bool = False,
) -> Scores:
    """Restores and scores every image; one that fails does not stop the others, Ctrl-C keeps what is there.

    Args:
      items: the images, in this order: `Pair`s, or `KohlerImage`s.
      method: what restores them; images of a network are written to its `file_of`.
      protocol: how they are compared with the ground truth.
      journal: finished scores, which are not computed again; None keeps none.
      progress: whether to show a bar with the running mean of PSNR, where stderr is a terminal.
    """
    result = Scores()
    with tqdm(items, desc=method.label, unit="image", disable=None if progress else True) as bar:
        try:
            for item in bar:
                _add_score(result, item, method, protocol, journal)
                if result.scores:
                    bar.set_postfix_str(f"PSNR {mean_of(result.scores, 'psnr'):.2f} dB", refresh=False)
        except KeyboardInterrupt:
            result.interrupted = True
        except _CannotWriteError as error:  # nor could the images that follow
            result.failures.append(str(error))
    if result.scores:
        result.summary = protocol.summarise(result.scores)
    return result


class _CannotWriteError(WorkError):
    """The disk is full, or a folder has become read-only."""


def _add_score(result: Scores, item, method: Method, protocol: Protocol, journal: Journal | None) -> None:
    try:
        known = journal.find(item.name, _files(item, method, protocol)) if journal else None
        if known is not None:
            result.resumed += 1
            result.scores.append(known)
            return
        score, restored = _score(item, method, protocol)
        with _writing():
            if method.is_network and (file := method.file_of(item)):  # only what has a score is written
                write_png(file, restored)
            if journal:
                journal.add(score, _files(item, method, protocol))
        result.scores.append(score)
    except _CannotWriteError:
        raise
    except Exception as error:  # whatever it is, the other images are still worth their scores
        result.failures.append(_describe_failure(item, error))


def _files(item, method: Method, protocol: Protocol) -> list[Path]:
    """Everything that a score was made from, the restored image included."""
    blurry = [] if item.blurry is None else [Path(item.blurry)]
    restored = [method.file_of(item)] if blurry else []
    return [*blurry, *protocol.truth_files(item), *(file for file in restored if file is not None)]


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _CannotWriteError(f"{error.filename}: cannot be written ({error.strerror})") from error


def _score(item, method: Method, protocol: Protocol) -> tuple[Score, np.ndarray]:
    """The score, and the restored image."""
    if method.is_network and (file := method.file_of(item)):
        file.unlink(missing_ok=True)  # an older result must not stand for one that fails now
    blurry, truth = protocol.read(item)
    start = time.perf_counter()
    restored = method.restore(item, blurry)
    seconds = time.perf_counter() - start if method.is_network else 0.0
    values = protocol.score(restored, truth)
    if any(math.isnan(value) for value in values.values()):
        raise ValueError(f"has no score: {values}")
    return Score(
        name=item.name,
        groups={group: str(getattr(item, group)) for group in protocol.groups if getattr(item, group) != ""},
        values=values,
        seconds=seconds,
        psnr_blurry=values["psnr"] if restored is blurry else protocol.psnr_of_blurry(blurry, truth),
    ), restored


def _describe_failure(item, error: Exception) -> str:
    """Returns one line that names the image and the file, and says what went wrong."""
    reason = str(error)
    if not isinstance(error, WorkError):  # which names its files itself
        reason = f"{item.blurry}: {type(error).__name__}: {first_line(error)}"
    return " ".join(f"{item.name}: {reason}".split())
