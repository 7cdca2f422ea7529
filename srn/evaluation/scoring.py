"""Restores and scores the images of a data set.

The scored images are those that are written, with 8 bits per channel, or 16 for 16-bit data sets. The score
of a data set is the mean over all images, not over sequences.

Each image is read, restored, scored and written. Worker threads read ahead and score finished images in
parallel to the network; the method itself is called by one thread only. The number of images in memory is
limited by the number of workers.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from srn.errors import WorkError, first_line
from srn.evaluation.journal import Journal
from srn.evaluation.methods import Method
from srn.evaluation.protocols import Protocol
from srn.evaluation.scores import Score, Scores, mean_of
from srn.images import write_png


def default_workers(method: Method) -> int:
    """The number of processors; one less beside a network, but at least one."""
    processors = os.cpu_count() or 1
    return max(processors - 1, 1) if method.is_network else processors


def score_images(
    items: Sequence,
    method: Method,
    protocol: Protocol,
    journal: Journal | None = None,
    progress: bool = False,
    workers: int = 0,
) -> Scores:
    """Restores and scores every image. Failures do not affect other images; Ctrl-C keeps finished scores.

    Args:
      items: the images: a list of `Pair` or `KohlerImage`.
      method: restores them; images of a network are written to its `file_of`.
      protocol: compares them with the ground truth.
      journal: finished scores, which are not computed again; None for no journal.
      progress: whether to show a progress bar with the mean PSNR, if stderr is a terminal.
      workers: number of threads that read and score; 0: everything in the calling thread.
    """
    result = Scores(workers=workers)
    pipeline = _Pipeline(method, protocol, journal, workers)
    with tqdm(total=len(items), desc=method.label, unit="image", disable=None if progress else True) as bar:
        try:
            for job in pipeline.run(items):
                _collect(result, job, journal)
                bar.update()
                if result.scores:
                    bar.set_postfix_str(f"PSNR {mean_of(result.scores, 'psnr'):.2f} dB", refresh=False)
        except KeyboardInterrupt:
            result.interrupted = True
            for job in pipeline.finish():
                _collect(result, job, journal)
        except _CannotWriteError as error:  # the following images could not be written either
            result.failures.append(str(error))
        finally:
            pipeline.close()
    if result.scores:
        result.summary = protocol.summarise(result.scores)
    return result


def describe_failures(scores: Scores, images: int) -> list[str]:
    """`scores.failures` and the number of images without a score; an empty list without failures."""
    if not scores.failures:
        return []
    return [*scores.failures, f"{images - len(scores.scores)} of {images} images have no score"]


class _CannotWriteError(WorkError):
    """Files cannot be written, such as for a full disk."""


@dataclass
class _Job:
    """An image that is being processed.

    Attributes:
      item: of the data set.
      files: all files on which the score depends, including the restored image.
      blurry, truth: images, until they are scored.
      restored: the restored image, after `seconds`.
      score: the result; `is_known` if it is from the journal.
      error: of a failure.
    """

    item: Any
    files: list[Path]
    blurry: Any = None
    truth: Any = None
    restored: Any = None
    seconds: float = 0.0
    score: Score | None = None
    is_known: bool = False
    error: Exception | None = None


class _Pipeline:
    """The three steps of each image, in the order of the images.

    Args: see `score_images`.
    """

    def __init__(self, method: Method, protocol: Protocol, journal: Journal | None, workers: int):
        self._method, self._protocol, self._journal = method, protocol, journal
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._ahead = max(workers, 1)  # numbers of images that are read, and scored, at the same time
        self._scoring: deque[Future[_Job]] = deque()

    def run(self, items: Sequence) -> Iterator[_Job]:
        """Yields each image when it is scored or has failed."""
        remaining = iter(items)
        reading: deque[Future[_Job]] = deque()
        while True:
            while len(reading) < self._ahead and (item := next(remaining, None)) is not None:
                reading.append(self._submit(self._read, self._begin(item)))
            if not reading:
                break
            job = reading[0].result()
            if self._method.is_network:
                self._attempt(self._restore, job)
            reading.popleft()
            self._scoring.append(self._submit(self._score, job))
            while len(self._scoring) >= self._ahead:
                yield self._take()
        yield from self.finish()

    def finish(self) -> Iterator[_Job]:
        """Yields the images that are being scored, without those not restored yet."""
        while self._scoring:
            yield self._take()

    def close(self) -> None:
        """Stops the workers after their current images."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _take(self) -> _Job:
        job = self._scoring[0].result()
        self._scoring.popleft()
        return job

    def _submit(self, step, job: _Job) -> Future[_Job]:
        if self._pool is not None:
            return self._pool.submit(self._attempt, step, job)
        done: Future[_Job] = Future()
        done.set_result(self._attempt(step, job))
        return done

    def _attempt(self, step, job: _Job) -> _Job:
        """Runs a step, unless an earlier one has failed or the score is known."""
        if job.error is None and not job.is_known:
            try:
                step(job)
            except Exception as error:  # any error of one image must not affect the others
                job.error = error
        return job

    def _begin(self, item) -> _Job:
        blurry = [] if item.blurry is None else [Path(item.blurry)]
        restored = [self._method.file_of(item)] if blurry else []
        truth = self._protocol.truth_files(item)
        return _Job(item, [*blurry, *truth, *(file for file in restored if file is not None)])

    def _read(self, job: _Job) -> None:
        job.score = self._journal.find(job.item.name, job.files) if self._journal else None
        if job.score is not None:
            job.is_known = True
            return
        if self._method.is_network and (file := self._method.file_of(job.item)):
            file.unlink(missing_ok=True)  # remove older results of images that fail now
        job.blurry, job.truth = self._protocol.read(job.item)

    def _restore(self, job: _Job) -> None:
        start = time.perf_counter()
        job.restored = self._method.restore(job.item, job.blurry)
        job.seconds = time.perf_counter() - start

    def _score(self, job: _Job) -> None:
        """Scores and, for a network, writes the image; existing results are read here."""
        item, method, protocol = job.item, self._method, self._protocol
        restored = job.restored if method.is_network else method.restore(item, job.blurry)
        values = protocol.score(restored, job.truth)
        if any(math.isnan(value) for value in values.values()):
            raise ValueError(f"has no score: {values}")
        is_blurry = restored is job.blurry
        psnr_blurry = values["psnr"] if is_blurry else protocol.psnr_of_blurry(job.blurry, job.truth)
        groups = {group: str(getattr(item, group)) for group in protocol.groups if getattr(item, group) != ""}
        if method.is_network and (file := method.file_of(item)):  # only scored images are written
            try:
                write_png(file, restored)
            except OSError as error:
                raise _cannot_write(file, error) from error
        job.score = Score(item.name, groups, values, job.seconds, psnr_blurry)
        job.blurry = job.truth = job.restored = None


def _collect(result: Scores, job: _Job, journal: Journal | None) -> None:
    """Adds the result of an image. Raises `_CannotWriteError` if its score cannot be stored."""
    if isinstance(job.error, _CannotWriteError):
        raise job.error
    if job.error is not None or job.score is None:
        result.failures.append(_describe_failure(job.item, job.error or WorkError("has no score")))
        return
    if journal and not job.is_known:
        try:
            journal.add(job.score, job.files)
        except OSError as error:
            raise _cannot_write(journal.path, error) from error
    result.resumed += job.is_known
    result.scores.append(job.score)


def _cannot_write(path: Path, error: OSError) -> _CannotWriteError:
    return _CannotWriteError(f"{path}: cannot be written ({error.strerror})")


def _describe_failure(item, error: Exception) -> str:
    """Returns one line that names the image, the file and the error."""
    reason = str(error)
    if not isinstance(error, WorkError):  # which names its files itself
        reason = f"{item.blurry}: {type(error).__name__}: {first_line(error)}"
    return " ".join(f"{item.name}: {reason}".split())
