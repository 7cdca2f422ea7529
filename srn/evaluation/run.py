"""`evaluate`: restores and scores the images of a data set by one or several methods, and writes reports."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import srn
from srn.data.listing import DEFAULT_SIDES, Pair
from srn.errors import InputError, WorkError
from srn.evaluation import methods as of_methods
from srn.evaluation import outcome
from srn.evaluation.items import Evaluation, PathLike, describe_evaluation
from srn.evaluation.journal import Journal
from srn.evaluation.methods import IDENTITY, Method, Network, ResultImages
from srn.evaluation.protocols import Protocol
from srn.evaluation.scores import Score, Scores
from srn.evaluation.scoring import default_workers, describe_failures, score_images

Restore = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Results:
    """The result of `evaluate`.

    Attributes:
      dataset: the layout of the data set.
      protocol: of the scores; its `columns` have the definitions of the metrics.
      images: number of images.
      by_method: label of each method -> its scores, in the order of the methods. `summary` and `scores` are
        those of the first one.
    """

    dataset: str
    protocol: Protocol
    images: int
    by_method: dict[str, Scores]

    @property
    def summary(self) -> dict[str, Any]:
        """The means of the first method: `psnr` (dB), `ssim_matlab`, ..., `images`, `identical`."""
        return next(iter(self.by_method.values())).summary

    @property
    def scores(self) -> list[Score]:
        """The score of each image by the first method."""
        return next(iter(self.by_method.values())).scores

    @property
    def failures(self) -> list[str]:
        """A line for each image without a score, and their number, by method if there are several."""
        lines = []
        for label, scores in self.by_method.items():
            of = f"{label}: " if len(self.by_method) > 1 else ""
            lines += [of + line for line in describe_failures(scores, self.images)]
        return lines


def evaluate(
    data_dir: PathLike | Sequence[Pair | tuple[PathLike, PathLike]],
    ckpt: str | Sequence[str] | None = None,
    *,
    results_dir: str | Sequence[str] = (),
    methods: Mapping[str, Restore] | None = None,
    dataset: str = "auto",
    split: str = "test",
    blur_folder: str = DEFAULT_SIDES[0],
    sharp_folder: str = DEFAULT_SIDES[1],
    sequence: str | Sequence[str] = (),
    limit: int | None = None,
    protocol: Protocol | None = None,
    crop_border: int = 0,
    luma: bool = False,
    lpips: bool = False,
    model: str | None = None,
    precision: str = "float32",
    tile: int | None = None,
    self_ensemble: bool = False,
    truncate: bool = False,
    out_dir: PathLike | None = None,
    workers: int | None = None,
    verbose: bool = False,
) -> Results:
    """Restores and scores every image of a data set, as `evaluate.py` does.

    Images that fail do not affect the others: see `Scores.failures`. Ctrl-C ends the evaluation and returns
    the finished scores (`Scores.interrupted`); the same call with the same `out_dir` resumes it.

    Args:
      data_dir: folder of the data set, file with a list of pairs, or the pairs themselves: a list of `Pair`
        or (blurry file, sharp file).
      ckpt: one or several weights for `srn.load_model`, or "identity" for the blurry input; `NAME=CKPT` sets
        the name in tables.
      results_dir: one or several `[NAME=]FOLDER` with images restored by other programs.
      methods: name -> function from uint8 RGB [H, W, 3] to the same, for other methods.
      dataset: layout of the data set, one of `srn.evaluation.items.LAYOUTS`; "auto" to detect it.
      split: "test" or "train", for data sets with splits.
      blur_folder, sharp_folder: see `srn.data.pairs.find_pairs`.
      sequence: names of the sequences to score; empty for all.
      limit: maximum number of images; None for all.
      protocol: how images are compared with the ground truth; None for the usual protocol of the data set.
      crop_border, luma, lpips: of the plain protocol, see `Protocol`.
      model, precision, tile, self_ensemble, truncate: of `ckpt`, see `srn.Deblurrer`.
      out_dir: folder for scores, restored images and reports; with several methods, each has its own
        sub-folder. None writes nothing.
      workers: threads that read and score, see `score_images`; None: the number of processors, one less
        beside a network; 0: none, for undisturbed timing.
      verbose: whether to print tables, and on a terminal a progress bar.

    Returns:
      The scores of each method.

    Raises `InputError` for data, weights or arguments that cannot be used, before any image is restored.
    """
    ckpts, folders = _as_list(ckpt), _as_list(results_dir)
    if not (ckpts or folders or methods):
        raise InputError("nothing to score; give `ckpt` or `results_dir`")
    options = {"crop_border": crop_border, "luma": luma, "lpips": lpips}
    evaluation = describe_evaluation(
        data_dir, dataset, split, (blur_folder, sharp_folder), protocol, options, _as_list(sequence), limit
    )
    labelled = _label(ckpts, folders, methods or {})
    out_dirs = _choose_folders(out_dir, labelled)
    how: dict[str, Any] = {"tile": tile, "self_ensemble": self_ensemble, "truncate": truncate}

    def open_method(label: str, argument: str, source: Any) -> Method:
        if argument == "results_dir":
            return ResultImages(source, evaluation.items, label)
        if argument == "methods":
            return Network(source, label, out_dirs[label])
        if source == IDENTITY:
            return Method(label)
        return of_methods.load_network(source, label, out_dirs[label], model, precision, **how)

    opened = {label: open_method(label, *source) for label, source in labelled.items()}
    for folder in {Path(folder) for folder in (*out_dirs.values(), out_dir) if folder is not None}:
        outcome.prepare_folder(folder)
    return _score_all(evaluation, opened, out_dirs, out_dir, workers, verbose)


def _as_list(names: str | Sequence[str] | None) -> list[str]:
    return [] if names is None else [os.fspath(names)] if isinstance(names, (str, os.PathLike)) else [*names]


def _label(
    ckpts: Sequence[str], folders: Sequence[str], functions: Mapping[str, Restore]
) -> dict[str, tuple[str, Any]]:
    """(argument, value) by label. Raises `InputError` for duplicate labels."""
    labelled: list[tuple[str, Any, str]] = [(*of_methods.split_name(named), "ckpt") for named in ckpts]
    labelled += [(*of_methods.split_name(named), "results_dir") for named in folders]
    labelled += [(label, restore, "methods") for label, restore in functions.items()]
    of_methods.require_distinct([(label, argument) for label, _, argument in labelled])
    return {label: (argument, source) for label, source, argument in labelled}


def _choose_folders(
    out_dir: PathLike | None, labelled: Mapping[str, tuple[str, Any]]
) -> dict[str, Path | None]:
    """The output folder of each method. Raises `InputError` if it is one of the inputs."""
    if out_dir is None:
        return dict.fromkeys(labelled)
    out_dir = Path(out_dir)
    folders = {label: out_dir if len(labelled) == 1 else out_dir / label for label in labelled}
    sources = [Path(source).resolve() for argument, source in labelled.values() if argument == "results_dir"]
    for folder in (path.resolve() for path in folders.values()):
        for source in sources:
            # The reports of an earlier evaluation in that folder would be replaced.
            is_inside = folder in source.parents and (len(labelled) > 1 or source.name == "restored")
            if folder == source or is_inside:
                raise InputError(f"out_dir={out_dir}: {folder} holds images to score; choose another")
    return {**folders}


def _score_all(
    evaluation: Evaluation,
    opened: Mapping[str, Method],
    out_dirs: Mapping[str, Path | None],
    out_dir: PathLike | None,
    workers: int | None,
    verbose: bool,
) -> Results:
    """Scores one method after the other; reports of each are written before the next one starts."""
    say = print if verbose else lambda text: None
    by_method: dict[str, Scores] = {}
    results = Results(evaluation.dataset, evaluation.protocol, len(evaluation.items), by_method)
    for label, method in opened.items():
        folder = out_dirs[label]
        journal = _open_journal(folder, evaluation.protocol, method)
        threads = default_workers(method) if workers is None else workers
        scores = score_images(evaluation.items, method, evaluation.protocol, journal, verbose, threads)
        by_method[label] = scores
        if scores.scores:
            if folder is not None:
                with _reporting(folder, results):
                    outcome.write_reports(evaluation, method, scores, folder)
            say(outcome.format_outcome(evaluation, method, scores, folder))
        if scores.interrupted:
            break
    if len(opened) > 1 and len(by_method) == len(opened):
        with _reporting(out_dir, results):
            say(
                "\n"
                + outcome.compare(evaluation, opened, by_method, None if out_dir is None else Path(out_dir))
            )
    return results


@contextlib.contextmanager
def _reporting(folder: PathLike | None, results: Results) -> Iterator[None]:
    """Raises `WorkError` if a report cannot be written, with earlier failures and what is kept."""
    try:
        yield
    except OSError as error:
        kept = f"{folder}: reports cannot be written ({error.strerror}); finished scores are kept"
        raise WorkError("\n".join([*results.failures, kept])) from error


def _open_journal(folder: Path | None, protocol: Protocol, method: Method) -> Journal | None:
    """The journal of finished scores; None without `out_dir`, and for methods that cannot be identified."""
    if folder is None or method.settings is None:
        return None
    return Journal(folder, {"version": srn.__version__, **protocol.settings, **method.settings})
