"""Restoring the images of a data set and scoring what comes out, image by image.

What is scored is the 8-bit RGB image that is written. The score of the set is the mean over all of its
images, never the mean of its sequences.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from srn.errors import WorkError, first_line
from srn.evaluation.journal import Journal
from srn.evaluation.methods import Method
from srn.evaluation.protocols import Protocol
from srn.evaluation.score import Score
from srn.images import read_rgb, write_png


@dataclass
class Scores:
    """What came of a data set: the score of each image that worked, one line on each that did not.

    `interrupted` tells that Ctrl-C came before the last image; `resumed` counts the scores that were there
    already.
    """

    scores: list[Score] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False
    resumed: int = 0


def score_images(
    items: Sequence,
    method: Method,
    protocol: Protocol,
    journal: Journal | None = None,
    progress: bool = True,
) -> Scores:
    """Restores and scores every image; one that fails does not stop the others, Ctrl-C keeps what is there.

    Args:
      items: the images, in this order: `Pair`s, or `KohlerImage`s.
      method: what restores them; images of a network are written to its `file_of`.
      protocol: how they are compared with the truth.
      journal: finished scores, which are not computed again; None keeps none.
      progress: whether to show a bar with the running mean of PSNR on stderr.
    """
    result = Scores()
    with tqdm(items, desc=method.label, unit="image", disable=not progress) as bar:
        try:
            for item in bar:
                _add_score(result, item, method, protocol, journal)
                if result.scores:
                    bar.set_postfix_str(f"PSNR {_mean(result.scores, 'psnr'):.2f} dB", refresh=False)
        except KeyboardInterrupt:
            result.interrupted = True
        except _CannotWriteError as error:  # nor could the images that follow
            result.failures.append(str(error))
    return result


def summarise(scores: Iterable[Score], protocol: Protocol) -> dict:
    """Averages scores over the data set and over each of its groups.

    Args:
      scores: at least one.
      protocol: that they were made by.

    Returns:
      The mean of each column; the counts `images` (all that were scored) and `identical` (those of infinite
      PSNR); the same for each group, such as `sequences`; and `seconds_per_image`, the median, because the
      first images also pay for building the graph.

      Identical images are left out of the mean of PSNR, which they would make infinite, and of nothing
      else: their SSIM of 1 is an ordinary value, and published means of SSIM are over all images. Where
      all are identical, the mean of PSNR is infinite.

    Raises ValueError when there are no scores.
    """
    scores = list(scores)
    if not scores:
        raise ValueError("There are no scores to summarise.")
    return {
        **_means(scores, protocol),
        **{title: _means_by(group, scores, protocol) for group, title in protocol.groups.items()},
        "seconds_per_image": statistics.median(score.seconds for score in scores),
    }


def _means_by(group, scores, protocol) -> dict:
    members = {}
    for score in scores:
        if group in score.groups:
            members.setdefault(score.groups[group], []).append(score)
    return {name: _means(some, protocol) for name, some in members.items()}


def _means(scores, protocol) -> dict:
    return {
        **{column: _mean(scores, column) for column in protocol.columns},
        "images": len(scores),
        "identical": sum(math.isinf(score.psnr) for score in scores),
    }


def _mean(scores, column) -> float:
    finite = [score.values[column] for score in scores if not math.isinf(score.values[column])]
    return statistics.fmean(finite) if finite else math.inf


class _CannotWriteError(WorkError):
    """The disk is full, or a folder has become read-only."""


def _add_score(result: Scores, item, method, protocol, journal) -> None:
    try:
        known = journal.find(item.name, _files(item, method, protocol)) if journal else None
        if known is not None:
            result.resumed += 1
            result.scores.append(known)
            return
        score, restored = _score(item, method, protocol)
        with _writing():
            if method.is_network:  # only what has a score is written
                write_png(method.file_of(item), restored)
            if journal:
                journal.add(score, _files(item, method, protocol))
        result.scores.append(score)
    except _CannotWriteError:
        raise
    except Exception as error:  # whatever it is, the other images are still worth their scores
        result.failures.append(_describe_failure(item, error))


def _files(item, method, protocol) -> list:
    """Everything that a score was made from, the restored image included."""
    blurry = [] if item.blurry is None else [item.blurry]
    return [*blurry, *protocol.truth_files(item), *([method.file_of(item)] if blurry else [])]


@contextlib.contextmanager
def _writing():
    try:
        yield
    except OSError as error:
        raise _CannotWriteError(f"{error.filename}: cannot be written ({error.strerror})") from error


def _score(item, method, protocol) -> tuple[Score, np.ndarray]:
    """The score, and the restored image."""
    if method.is_network:  # an older result must not stand for one that fails now
        method.file_of(item).unlink(missing_ok=True)
    truth = protocol.read_truth(item)
    blurry = read_rgb(item.blurry)
    _require_same_size(item, blurry, truth)
    start = time.perf_counter()
    restored = method.restore(item, blurry)
    seconds = time.perf_counter() - start if method.is_network else 0.0
    values = protocol.compare(restored, truth)
    if any(math.isnan(value) for value in values.values()):
        raise ValueError(f"has no score: {values}")
    return Score(
        name=item.name,
        groups={group: str(getattr(item, group)) for group in protocol.groups if getattr(item, group) != ""},
        values=values,
        seconds=seconds,
        psnr_blurry=values["psnr"] if restored is blurry else _psnr_of_blurry(blurry, truth, protocol),
    ), restored


def _psnr_of_blurry(blurry, truth, protocol) -> float | None:
    if protocol.psnr_of_blurry is None:
        return None
    try:
        return protocol.psnr_of_blurry(blurry, truth)
    except ValueError:  # it cannot be aligned, which is no reason to leave out the restored image
        return None


def _require_same_size(item, blurry, truth) -> None:
    if isinstance(truth, np.ndarray) and truth.shape != blurry.shape:
        raise WorkError(
            f"{item.blurry} and {item.sharp} differ in size: {blurry.shape[1]}x{blurry.shape[0]} "
            f"and {truth.shape[1]}x{truth.shape[0]} (width x height)."
        )


def _describe_failure(item, error: Exception) -> str:
    """Returns one line that names the image and the file, and says what went wrong."""
    reason = str(error)
    if not isinstance(error, WorkError):  # which names its files itself
        reason = f"{item.blurry}: {type(error).__name__}: {first_line(error)}"
    return " ".join(f"{item.name}: {reason}".split())
