"""`report.html`: one file with every score and picture of an evaluation, to be opened in a browser."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import jinja2
import numpy as np

from srn.evaluation.methods import Method
from srn.evaluation.protocols import Protocol
from srn.evaluation.reports import encode
from srn.evaluation.scores import Score, rank
from srn.evaluation.sheet import scale_to_width
from srn.files import write_atomically
from srn.images import read_picture

EXTREMES = 3  # images under "worst" and under "best"
JPEG_QUALITY = 85
# Pictures are as large as the size of a report allows: 960 pixels wide for a few images, some 330 for the
# 1111 of GOPRO.
_BYTES_OF_PICTURES = 40e6
_BYTES_PER_PIXEL = 0.2  # of a photograph at this quality
_MIN_WIDTH, _MAX_WIDTH = 240, 960


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
    """Writes the report; pictures are read one after the other: memory does not grow with their number.

    Args:
      path: of the HTML file, which needs no other.
      title: its heading.
      scores: at least one.
      summary: their means.
      items: among them, those of `scores`.
      method: that restored them.
      protocol: that they were scored by.
      facts: name -> text, listed below the table.

    Raises `WorkError` naming an image that cannot be read.
    """
    item_of = {item.name: item for item in items}
    ranked = rank(scores)
    some = min(EXTREMES, len(ranked) // 2)
    environment = jinja2.Environment(loader=jinja2.PackageLoader("srn.evaluation"), autoescape=True)
    chunks = environment.get_template("report.html").stream(
        title=title,
        scores=scores,
        summary=summary,
        protocol=protocol,
        facts=facts,
        groups=[group for group in protocol.groups if any(group in score.groups for score in scores)],
        has_gain=any(score.gain is not None for score in scores),
        worst=ranked[: some or 1],
        best=ranked[::-1][:some],
        thumbnail=lambda name, width: _embed(read_picture(method.file_of(item_of[name])), width),
        pictures=lambda name: _pictures(item_of[name], method, protocol, _picture_width(len(scores))),
    )
    write_atomically(path, map(encode, chunks))


def _pictures(item, method: Method, protocol: Protocol, width: int) -> Iterator[tuple[str, str]]:
    """Yields (what it is, its data) for each version of an image; the first two are compared at first."""
    restored = method.file_of(item)
    versions = {"blurry": item.blurry, "restored": restored, "sharp": protocol.picture_of_truth(item)}
    if os.fspath(restored) == os.fspath(item.blurry):
        del versions["restored"]
    for name, path in versions.items():
        if path is not None:
            yield name, _embed(read_picture(path), width)


def _picture_width(images: int) -> int:
    """Such that three pictures of each image fit."""
    pixels = _BYTES_OF_PICTURES / (3 * images) / _BYTES_PER_PIXEL
    return int(np.clip(math.sqrt(pixels * 16 / 9), _MIN_WIDTH, _MAX_WIDTH))


def _embed(image: np.ndarray, width: int) -> str:
    """An image as a `data:` address, scaled down to `width` pixels where it is wider."""
    if image.shape[1] > width:
        image = scale_to_width(image, width)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
