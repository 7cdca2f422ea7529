"""The command `srn-deblur`, which restores photographs."""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from concurrent.futures import Executor, ThreadPoolExecutor

import cv2
import numpy as np
from tqdm import tqdm

import srn
from srn.command import DONE, FAILED, exit_code_of, quiet_tensorflow
from srn.errors import InputError
from srn.inference.machine import has_fast_bfloat16
from srn.inference.memory import choose_tile
from srn.inference.photographs import (
    Parser,
    Reporter,
    add_arguments,
    add_naming_arguments,
    naming_of,
    open_jobs,
    settings_of,
)
from srn.inference.planning import STANDARD, Job, make_plan
from srn.inference.restoring import restore_all
from srn.inference.tiling import SMALLEST_TILE, count_tiles
from srn.inference.video import is_video, restore_video
from srn.released import DEFAULT, WHICH
from srn.zoo import PRECISIONS

NAME = "srn-deblur"
AUTO = "auto"
_SMALLER_TILES = (512, 256)  # if memory runs out nevertheless


def main(argv: list[str] | None = None) -> int:
    """Restores the photographs given on the command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    quiet_tensorflow()
    _quiet_decoders()
    return exit_code_of(lambda: _run(arguments), NAME)


def _quiet_decoders() -> None:
    """Warnings about files are shown in one line each."""
    warnings.filterwarnings("ignore", module="PIL")
    cv2.setLogLevel(0)


def _run(arguments: argparse.Namespace) -> int:
    plan = make_plan(arguments.input, naming_of(arguments), arguments.recursive)
    to_stdout = any(str(job.target) == STANDARD for job in plan.jobs)
    if to_stdout and arguments.compare:
        raise InputError("--compare writes a second picture, and standard output takes one; give -o FILE")
    reporter = Reporter(NAME, arguments, to_stdout)
    reporter.plan(plan)
    if arguments.dry_run:
        for job in plan.jobs:
            reporter.planned(job)
        return FAILED if reporter.counts["failed"] else DONE
    jobs = open_jobs(plan, arguments.overwrite, reporter)
    if jobs:
        _restore(jobs, arguments, reporter)
    reporter.summary()
    return FAILED if reporter.counts["failed"] else DONE


def _restore(jobs: list[Job], arguments: argparse.Namespace, reporter: Reporter) -> None:
    # The first photograph is read while TensorFlow is loaded, which takes seconds.
    with ThreadPoolExecutor(1) as loader:
        _restore_with(_Restorer(loader, arguments, reporter), jobs, arguments, reporter)


def _restore_with(
    restore: _Restorer, jobs: list[Job], arguments: argparse.Namespace, reporter: Reporter
) -> None:
    hidden = len(jobs) < 2 or arguments.quiet or arguments.json
    settings = settings_of(arguments)
    photographs = [job for job in jobs if not is_video(job.source)]
    # None: shown on a terminal only.
    with tqdm(photographs, unit="photo", disable=hidden or None) as bar:
        for outcome in restore_all(restore, photographs, settings):
            reporter.outcome(outcome)
            bar.update()
    identity = {
        name: getattr(arguments, name) for name in ("ckpt", "which", "precision", "tile", "self_ensemble")
    }
    for job in jobs:
        if is_video(job.source):
            hidden = arguments.quiet or arguments.json
            reporter.outcome(restore_video(restore, job, settings, identity, hidden or None))


class _Restorer:
    """Restores arrays with the network given on the command line, in tiles if memory requires it."""

    def __init__(self, loader: Executor, arguments: argparse.Namespace, reporter: Reporter):
        precision = arguments.precision
        if precision == AUTO:
            precision = "bfloat16" if has_fast_bfloat16() else "float32"
            reporter.detail(f"precision: {precision}, chosen by the processor")
        ckpt = arguments.ckpt if arguments.which is None else f"{arguments.ckpt}/{arguments.which}"
        self._deblurrer = loader.submit(
            lambda: srn.Deblurrer(
                ckpt, precision=precision, self_ensemble=arguments.self_ensemble, keep_graph=True
            )
        )
        self._tile, self._reporter, self._quiet = arguments.tile, reporter, arguments.quiet

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        chosen = self._choose_tile(pixels)
        tiles = [chosen, *(side for side in _SMALLER_TILES if chosen is None or side < chosen)]
        for tile, smaller in itertools.zip_longest(tiles, tiles[1:]):
            try:
                return self._restore(pixels, tile)
            except Exception as error:
                if smaller is None or not _is_out_of_memory(error):
                    raise
                self._reporter.warn(f"out of memory; trying tiles of {smaller} pixels")
        raise AssertionError("the last tile returns or raises")

    def _restore(self, pixels: np.ndarray, tile: int | None) -> np.ndarray:
        number = count_tiles(pixels.shape[0], pixels.shape[1], tile)
        hidden = self._quiet or number == 1
        with tqdm(total=number, unit="tile", leave=False, disable=hidden or None) as bar:
            return self._deblurrer.result()(pixels, tile=tile, on_tile=bar.update)

    def _choose_tile(self, pixels: np.ndarray) -> int | None:
        if self._tile != AUTO:
            return self._tile or None
        network = self._deblurrer.result()
        tile = choose_tile(pixels.shape[0], pixels.shape[1], network.config, network.compute_dtype)
        if tile is not None:
            self._reporter.detail(f"tiles of {tile} pixels, chosen by the free memory")
        return tile


def _is_out_of_memory(error: Exception) -> bool:
    # Compared by name, so that TensorFlow need not be imported here.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _parser() -> Parser:
    parser = Parser(prog=NAME, description="Restores blurry photographs.")
    add_arguments(parser)
    add_naming_arguments(parser)
    parser.add_argument(
        "--ckpt", default=DEFAULT, help=f"weights: a released name or a path (default: {DEFAULT})"
    )
    parser.add_argument(
        "--which", choices=WHICH, help="which weights of a training run; short for --ckpt RUN/best etc."
    )
    parser.add_argument(
        "--precision",
        choices=(AUTO, *PRECISIONS),
        default=AUTO,
        help="precision of the convolutions; auto (default): bfloat16 on processors with fast bfloat16",
    )
    parser.add_argument(
        "--tile",
        type=_tile,
        default=AUTO,
        metavar="SIDE",
        help="side of tiles in pixels; 0: no tiles; auto (default): if memory requires it",
    )
    parser.add_argument(
        "--self_ensemble",
        action="store_true",
        help="mean over all eight orientations, which takes eight times as long",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {srn.__version__}")
    return parser


def _tile(text: str) -> int | str:
    if text == AUTO or text == "0":
        return AUTO if text == AUTO else 0
    if not text.isdecimal() or int(text) < SMALLEST_TILE:
        raise argparse.ArgumentTypeError(f"{text}: at least {SMALLEST_TILE} pixels are needed")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
