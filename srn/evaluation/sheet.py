"""Overview images of an evaluation: `sheet.png`, and `comparison.png` for several methods."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srn.evaluation.methods import Method
from srn.evaluation.protocols import Protocol
from srn.evaluation.scores import Score, rank
from srn.images import read_picture, write_png

# In pixels, and colours.
MARGIN = 20
GAP = 8
TITLE_SIZE = 20
CAPTION_SIZE = 17
LINE_HEIGHT = 30
PAPER, INK, QUIET_INK = "white", "#1a1a1a", "#6b6b6b"
FRAME = (230, 57, 53)  # of the detail, RGB
COLUMN_TITLES = ("blurry", "restored", "sharp")
DETAIL_PARTS = 5  # a detail is a fifth of the image's width


@dataclass(frozen=True)
class SheetRow:
    """One row of the sheet: a title, the score, and the files of the three images."""

    title: str
    score: Score
    blurry: Path
    restored: Path
    sharp: Path


def choose_rows(scores: Sequence[Score], items: Sequence, method: Method) -> list[SheetRow]:
    """Chooses the images with the smallest, median and largest gain in PSNR, or all if there are fewer.

    Args:
      scores: at least one.
      items: images, including those of `scores`.
      method: that restored them.
    """
    ranked = rank(scores)
    # For one or two images, indices coincide, and the last title is used.
    titles = {len(ranked) // 2: "median gain", 0: "smallest gain", len(ranked) - 1: "largest gain"}
    item_of = {item.name: item for item in items}
    rows = []
    for index, title in sorted(titles.items()):
        item = item_of[ranked[index].name]
        restored = method.file_of(item)
        assert restored is not None  # reports are of images in files
        rows.append(SheetRow(title, ranked[index], item.blurry, restored, item.sharp))
    return rows


def write_sheet(
    path: str | os.PathLike[str], rows: Sequence[SheetRow], protocol: Protocol, picture_width: int = 420
) -> None:
    """Writes one PNG with a row of blurry, restored and sharp for each of `rows`.

    Args:
      path: of the PNG.
      rows: at least one, from top to bottom.
      protocol: of the scores.
      picture_width: width of every image, in pixels.

    Raises WorkError if an image cannot be read.
    """
    blocks = [_draw_titles(COLUMN_TITLES, picture_width)]
    for row in rows:
        pictures = [read_picture(file) for file in (row.blurry, row.restored, row.sharp)]
        caption = _draw_caption(
            row.score.name, row.title, _describe_score(row.score, protocol), 3, picture_width
        )
        blocks.append(_stack(caption, pictures, picture_width))
    _write(path, blocks)


def write_comparison(
    path: str | os.PathLike[str],
    items: Sequence,
    methods: Mapping[str, Method],
    scores: Mapping[str, Mapping[str, Score]],
    picture_width: int = 300,
) -> None:
    """Writes a PNG like Fig. 5 of the paper: the blurry image, and the same detail restored by every method.

    The detail is the region where blurry and sharp image differ most.

    Args:
      path: of the PNG.
      items: with `name`, `blurry` and `sharp`, from top to bottom.
      methods: label -> method.
      scores: label -> name of an image -> its score.
      picture_width: width of every image, in pixels.

    Raises WorkError if an image cannot be read.
    """
    titles = ["blurry", "detail", *methods, "sharp"]
    blocks = [_draw_titles(titles, picture_width)]
    for item in items:
        blurry, sharp = read_picture(item.blurry), read_picture(item.sharp)
        detail = find_detail(blurry, sharp)
        files = [method.file_of(item) for method in methods.values()]
        restored = [read_picture(file) for file in files if file is not None]
        pictures = [_framed(blurry, detail), *(image[detail] for image in (blurry, *restored, sharp))]
        numbers = ", ".join(f"{label} {scores[label][item.name].psnr:.2f}" for label in methods)
        caption = _draw_caption(item.name, "", f"PSNR in dB: {numbers}", len(titles), picture_width)
        blocks.append(_stack(caption, pictures, picture_width))
    _write(path, blocks)


def find_detail(blurry: np.ndarray, sharp: np.ndarray) -> tuple[slice, slice]:
    """(rows, columns) of the window in which two images, uint8 [H, W, 3], differ most.

    It has a fifth of the width and height of the image.
    """
    height, width = (max(size // DETAIL_PARTS, 1) for size in sharp.shape[:2])
    difference = np.square(blurry.astype(np.float32) - sharp).mean(axis=-1)
    sums = cv2.integral(difference, sdepth=cv2.CV_64F)
    strips = sums[height:] - sums[:-height]
    windows = strips[:, width:] - strips[:, :-width]
    top, left = np.unravel_index(np.argmax(windows), windows.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


def _framed(image: np.ndarray, detail: tuple[slice, slice]) -> np.ndarray:
    rows, columns = detail
    thickness = max(2, image.shape[1] // 200)
    corners = (columns.start, rows.start), (columns.stop - 1, rows.stop - 1)
    return cv2.rectangle(image.copy(), *corners, FRAME, thickness)


def _write(path: str | os.PathLike[str], blocks: Sequence[np.ndarray]) -> None:
    sheet = np.concatenate(blocks)
    sheet = np.pad(sheet, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=255)
    write_png(path, sheet)


def _stack(caption: np.ndarray, pictures: Sequence[np.ndarray], picture_width: int) -> np.ndarray:
    """Caption, images side by side below it, and a gap: uint8 RGB [height, W, 3]."""
    pictures = [scale_to_width(picture, picture_width) for picture in pictures]
    height = max(len(picture) for picture in pictures)
    gap = np.full((height, GAP, 3), 255, np.uint8)
    cells = []
    for picture in pictures:
        cells += [np.pad(picture, ((0, height - len(picture)), (0, 0), (0, 0)), constant_values=255), gap]
    strip = np.concatenate(cells[:-1], axis=1)
    return np.concatenate([caption, strip, np.full_like(strip[:1], 255).repeat(GAP, axis=0)])


def _draw_titles(titles: Sequence[str], picture_width: int) -> np.ndarray:
    """The line with the titles of the columns, uint8 RGB [LINE_HEIGHT, W, 3]."""
    line, draw = _blank_line(len(titles), picture_width)
    font = ImageFont.load_default(size=TITLE_SIZE)
    for column, title in enumerate(titles):
        centre = column * (picture_width + GAP) + picture_width // 2
        draw.text((centre, 0), title, INK, font, anchor="ma")
    return np.asarray(line)


def _draw_caption(name: str, title: str, numbers: str, columns: int, picture_width: int) -> np.ndarray:
    """The line above a row: name and title at the left, numbers at the right."""
    caption, draw = _blank_line(columns, picture_width)
    font = ImageFont.load_default(size=CAPTION_SIZE)
    baseline = LINE_HEIGHT - 9
    draw.text((0, baseline), f"{name}  ", INK, font, anchor="ls")
    draw.text((draw.textlength(f"{name}  ", font), baseline), title, QUIET_INK, font, anchor="ls")
    draw.text((caption.width, baseline), numbers, INK, font, anchor="rs")
    return np.asarray(caption)


def _blank_line(columns: int, picture_width: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    line = Image.new("RGB", (columns * picture_width + (columns - 1) * GAP, LINE_HEIGHT), PAPER)
    return line, ImageDraw.Draw(line)


def _describe_score(score: Score, protocol: Protocol) -> str:
    psnr = f"PSNR {score.psnr:.2f} dB"
    if score.gain is not None:
        psnr = f"PSNR {score.psnr_blurry:.2f} to {score.psnr:.2f} dB ({score.gain:+.2f})"
    others = [
        f"{column.title} {column.format(score.values[name])}"
        for name, column in list(protocol.columns.items())[1:3]
    ]
    return ",  ".join([psnr, *others])


def scale_to_width(image: np.ndarray, width: int) -> np.ndarray:
    """Scales an image [H, W, 3] to a width in pixels."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    # Area averaging avoids aliasing for downscaling, but gives blocks for upscaling.
    interpolation = cv2.INTER_AREA if width <= image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation)
