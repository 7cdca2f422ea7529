"""`report.html`: a single HTML file with all scores and images of an evaluation.

The page decodes images when they become visible, and stores each only once: those of the worst and best
sections are taken from the table.
"""

from __future__ import annotations

import base64
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from srn.evaluation.methods import Method
from srn.evaluation.protocols import Protocol
from srn.evaluation.reports import encode, format_intervals
from srn.evaluation.scores import Score, rank
from srn.evaluation.sheet import scale_to_width
from srn.files import write_atomically
from srn.images import read_picture

EXTREMES = 3  # images under "worst" and under "best"
THUMBNAIL_WIDTH = 96
JPEG_QUALITY = 85
# The size of the images is limited by that of the report: 960 pixels wide for a few images, some 300 for the
# 1111 of GOPRO. The compression ratio is estimated from some of them.
_BYTES_OF_PICTURES = 40e6
_MIN_WIDTH, _MAX_WIDTH = 240, 960
_TRIED = 8
# Of the curve, in SVG units.
_PLOT_WIDTH, _PLOT_HEIGHT, _PLOT_MARGIN = 720, 260, 44
_MAX_BINS = 12


@dataclass(frozen=True)
class Row:
    """A row of the table: an image with its score and its versions as `data:` URLs.

    Attributes:
      score: of the image.
      thumbnail: of the restored image.
      pictures: (title, URL) of each version; the first two are compared initially.
    """

    score: Score
    thumbnail: str
    pictures: list[tuple[str, str]]


def write_page(
    path: str | os.PathLike[str],
    title: str,
    scores: Sequence[Score],
    summary: Mapping[str, Any],
    items: Sequence,
    method: Method,
    protocol: Protocol,
    facts: Mapping[str, str],
) -> None:
    """Writes the report; memory does not grow with the number of images.

    Args:
      path: of the HTML file.
      title: heading.
      scores: at least one.
      summary: their means.
      items: images, including those of `scores`.
      method: that restored them.
      protocol: that scored them.
      facts: name -> text, listed below the table.

    Raises `WorkError` naming an image that cannot be read.
    """
    item_of = {item.name: item for item in items}

    def versions_of(score: Score) -> dict[str, Path]:
        return _versions(item_of[score.name], method, protocol)

    width = _picture_width(scores, versions_of)

    def make_row(score: Score) -> Row:
        return _make_row(score, versions_of(score), width)

    ranked = rank(scores)
    some = min(EXTREMES, len(ranked) // 2)
    environment = jinja2.Environment(loader=jinja2.PackageLoader("srn.evaluation"), autoescape=True)
    chunks = environment.get_template("report.html").stream(
        title=title,
        rows=_in_parallel(make_row, scores),
        summary=summary,
        intervals=format_intervals(summary, protocol),
        protocol=protocol,
        facts=facts,
        groups=[group for group in protocol.groups if any(group in score.groups for score in scores)],
        has_gain=any(score.gain is not None for score in scores),
        plot=_plot_gain(scores),
        worst=ranked[: some or 1],
        best=ranked[::-1][:some],
        index_of={score.name: index for index, score in enumerate(scores)},
    )
    chunks.enable_buffering(16)
    write_atomically(path, map(encode, chunks))


def _in_parallel(function: Callable[[Score], Row], scores: Iterable[Score]) -> Iterator[Row]:
    """`map` with one thread per processor, which run only a few results ahead."""
    threads = os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Row]] = deque()
    try:
        for score in scores:
            waiting.append(pool.submit(function, score))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _versions(item, method: Method, protocol: Protocol) -> dict[str, Path]:
    """{title: file} of the versions of an image."""
    versions = {
        "blurry": item.blurry,
        "restored": method.file_of(item),
        "sharp": protocol.picture_of_truth(item),
    }
    if os.fspath(versions["restored"]) == os.fspath(item.blurry):
        del versions["restored"]
    return {name: Path(path) for name, path in versions.items() if path is not None}


def _make_row(score: Score, versions: Mapping[str, Path], width: int) -> Row:
    images = {name: read_picture(path) for name, path in versions.items()}
    thumbnail = images.get("restored", images["blurry"])
    pictures = [(name, _embed(image, width)) for name, image in images.items()]
    return Row(score, _embed(thumbnail, THUMBNAIL_WIDTH), pictures)


def _plot_gain(scores: Sequence[Score]) -> dict[str, Any] | None:
    """Plot of the gain over the PSNR of the blurry input, for SVG; None if it was not measured.

    Returns `points` (x, y, name), the `curve` of medians of images with similar blur, and the ticks
    `across` and `up`, each (position, label).
    """
    known = [
        (score.psnr_blurry, score.gain, score.name)
        for score in scores
        if score.psnr_blurry is not None and score.gain is not None
        if math.isfinite(score.psnr_blurry) and math.isfinite(score.gain)
    ]
    if len(known) < 2 or not any(gain for _, gain, _ in known):
        return None
    known.sort()
    blurs, gains = (np.array([point[axis] for point in known]) for axis in (0, 1))
    x, across = _axis(blurs, _PLOT_MARGIN, _PLOT_WIDTH - 8)
    y, up = _axis(np.append(gains, 0.0), _PLOT_HEIGHT - _PLOT_MARGIN, 8)
    bins = np.array_split(np.arange(len(known)), min(_MAX_BINS, max(len(known) // 5, 1)))
    curve = [(x(np.median(blurs[some])), y(np.median(gains[some]))) for some in bins]
    return {
        "width": _PLOT_WIDTH,
        "height": _PLOT_HEIGHT,
        "margin": _PLOT_MARGIN,
        "points": [(x(blur), y(gain), name) for blur, gain, name in known],
        "curve": " ".join(f"{left:.1f},{top:.1f}" for left, top in curve) if len(curve) > 1 else "",
        "across": across,
        "up": up,
        "zero": y(0.0),
    }


def _axis(
    values: np.ndarray, start: float, end: float
) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    """(value -> position between `start` and `end`, ticks at round values)."""
    low, high = float(values.min()), float(values.max())
    step = 10 ** math.floor(math.log10(max(high - low, 1e-6)))
    step = next(step * factor for factor in (0.2, 0.5, 1, 2, 5) if (high - low) / (step * factor) <= 8)
    low, high = math.floor(low / step) * step, max(math.ceil(high / step), math.floor(low / step) + 1) * step

    def position(value: float) -> float:
        return start + (float(value) - low) / (high - low) * (end - start)

    ticks = [low + step * index for index in range(round((high - low) / step) + 1)]
    return position, [(position(tick), f"{tick:g}" if step >= 1 else f"{tick:.1f}") for tick in ticks]


def _picture_width(scores: Sequence[Score], versions_of: Callable[[Score], Mapping[str, Path]]) -> int:
    """The width of the images such that the report has the intended size.

    Args:
      scores: of the images.
      versions_of: score -> the files of its image.
    """
    if len(scores) <= _TRIED:
        return _MAX_WIDTH
    some = scores[:: len(scores) // _TRIED][:_TRIED]
    images = [read_picture(path) for score in some for path in versions_of(score).values()]
    width = _MAX_WIDTH
    for _ in range(3):  # small images take more bytes per pixel
        size = sum(len(_embed(image, width)) for image in images) / len(some) * len(scores)
        width = int(np.clip(width * math.sqrt(_BYTES_OF_PICTURES / size), _MIN_WIDTH, _MAX_WIDTH))
    return width


def _embed(image: np.ndarray, width: int) -> str:
    """An image as a `data:` URL, downscaled to at most `width` pixels."""
    if image.shape[1] > width:
        image = scale_to_width(image, width)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
