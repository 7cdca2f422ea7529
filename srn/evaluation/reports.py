"""What an evaluation leaves behind: a table to print, `results.csv`, `summary.json`, a sheet of pictures."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srn import metrics
from srn.evaluation.scoring import Score, read_image, restored_path
from srn.files import write_atomically

if TYPE_CHECKING:
    from srn.data.pairs import Pair

CSV_COLUMNS = ("name", "sequence", "psnr", "ssim_channel", "ssim_matlab", "seconds")

# The sheet, in pixels, and its colours.
MARGIN = 20
GAP = 8
TITLE_SIZE = 20
CAPTION_SIZE = 17
LINE_HEIGHT = 30
PAPER, INK, QUIET_INK = "white", "#1a1a1a", "#6b6b6b"
COLUMN_TITLES = ("blurry", "restored", "sharp")


def write_csv(path: str | os.PathLike[str], scores: Iterable, columns: Sequence[str] = CSV_COLUMNS) -> None:
    """Writes one line for each image under the names in `columns`; infinite PSNR is spelt `inf`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for score in scores:
        values = [getattr(score, column) for column in columns]
        writer.writerow(f"{value:.6f}" if isinstance(value, float) else value for value in values)
    write_atomically(path, text.getvalue().encode())


def write_summary(path: str | os.PathLike[str], summary: Mapping, **facts) -> None:
    """Writes the summary and what else is to be known about it as strict JSON.

    Args:
      path: of the file, usually `summary.json`.
      summary: from `scoring.summarise`.
      **facts: such as `dataset` and `ckpt`: strings, numbers, paths, lists or dicts of them.

    Numbers that JSON does not know, such as the infinite PSNR of identical images, become null.

    Raises ValueError when a fact has the name of a key of `summary`.
    """
    clashes = sorted(summary.keys() & facts.keys())
    if clashes:
        raise ValueError(f"The summary has its own values for {', '.join(clashes)}.")
    merged = _without_infinities({**summary, **facts})
    text = json.dumps(merged, indent=2, ensure_ascii=False, allow_nan=False, default=os.fspath)
    write_atomically(path, f"{text}\n".encode())


def _without_infinities(value):
    """Returns `value` with every number that is not finite, however deep inside, replaced by None."""
    if isinstance(value, Mapping):
        return {key: _without_infinities(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinities(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def format_table(summary: Mapping) -> str:
    """Returns the table that `evaluate.py` prints: a line for each sequence, the mean, what the columns are.

    Args:
      summary: from `scoring.summarise`.
    """
    rows = [(sequence, means) for sequence, means in summary["sequences"].items()]
    rows.append(("mean over images", summary))
    width = max(len(label) for label, _ in rows)
    lines = [f"{'':{width}}  images   PSNR  SSIM MATLAB  SSIM channel"]
    for label, means in rows:
        lines.append(
            f"{label:{width}}  {means['images']:6d}  {means['psnr']:5.2f}"
            f"  {means['ssim_matlab']:11.4f}  {means['ssim_channel']:12.4f}"
        )
    if summary["identical"]:
        lines.append(f"{summary['identical']} identical to the truth, left out of the mean of PSNR.")
    lines += [
        "",
        f"PSNR: {metrics.DEFINITIONS['psnr']}.",
        f"SSIM MATLAB: {metrics.DEFINITIONS['ssim_matlab']}; the paper's.",
        f"SSIM channel: {metrics.DEFINITIONS['ssim_channel']}.",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class SheetRow:
    """One row of the sheet.

    Attributes:
      title: why this image is shown.
      score: of the restored image.
      blurry: file of the input.
      restored: file of the output.
      sharp: file of the truth.
    """

    title: str
    score: Score
    blurry: Path
    restored: Path
    sharp: Path


def choose_rows(
    scores: Sequence[Score], pairs: Iterable[Pair], out_dir: str | os.PathLike[str]
) -> list[SheetRow]:
    """Chooses the images that gained least, middling and most in PSNR; all of them if they are fewer.

    Args:
      scores: at least one, of images that `score_pairs` restored and wrote.
      pairs: among them, those of `scores`.
      out_dir: as given to `score_pairs`.
    """
    ranked = sorted(scores, key=lambda score: (score.gain, score.psnr))
    # Of positions that coincide, as they do in a set of one or two, the last title stays.
    titles = {len(ranked) // 2: "median gain", 0: "smallest gain", len(ranked) - 1: "largest gain"}
    pair_of = {pair.name: pair for pair in pairs}
    rows = []
    for position, title in sorted(titles.items()):
        score = ranked[position]
        pair = pair_of[score.name]
        rows.append(SheetRow(title, score, pair.blurry, restored_path(out_dir, score.name), pair.sharp))
    return rows


def write_sheet(path: str | os.PathLike[str], rows: Sequence[SheetRow], picture_width: int = 420) -> None:
    """Writes one PNG with a row of blurry, restored and sharp for each of `rows`.

    Args:
      path: of the PNG.
      rows: at least one, from top to bottom.
      picture_width: to which every picture is scaled, in pixels.

    Raises WorkError when one of the images cannot be read.
    """
    blocks = [_draw_titles(picture_width)]
    blocks += [_draw_row(row, picture_width) for row in rows]
    sheet = np.concatenate(blocks)
    sheet = np.pad(sheet, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=255)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    write_atomically(path, encoded.tobytes())


def _draw_titles(picture_width: int) -> np.ndarray:
    """Returns the line with the titles of the columns, uint8 RGB [LINE_HEIGHT, W, 3]."""
    line, draw = _blank_line(picture_width)
    font = ImageFont.load_default(size=TITLE_SIZE)
    for column, title in enumerate(COLUMN_TITLES):
        centre = column * (picture_width + GAP) + picture_width // 2
        draw.text((centre, 0), title, INK, font, anchor="ma")
    return np.asarray(line)


def _draw_row(row: SheetRow, picture_width: int) -> np.ndarray:
    """Returns the caption, the three pictures under it and a gap, uint8 RGB [height, W, 3]."""
    caption, draw = _blank_line(picture_width)
    font = ImageFont.load_default(size=CAPTION_SIZE)
    name = f"{row.score.name}  "
    baseline = LINE_HEIGHT - 9
    draw.text((0, baseline), name, INK, font, anchor="ls")
    draw.text((draw.textlength(name, font), baseline), row.title, QUIET_INK, font, anchor="ls")
    draw.text((caption.width, baseline), _describe_score(row.score), INK, font, anchor="rs")

    files = (row.blurry, row.restored, row.sharp)
    pictures = [_scale_to_width(read_image(file), picture_width) for file in files]
    gap = np.full((len(pictures[0]), GAP, 3), 255, np.uint8)
    strip = np.concatenate([pictures[0], gap, pictures[1], gap, pictures[2]], axis=1)
    return np.concatenate([np.asarray(caption), strip, np.full_like(strip[:GAP], 255)])


def _blank_line(picture_width: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    line = Image.new("RGB", (3 * picture_width + 2 * GAP, LINE_HEIGHT), PAPER)
    return line, ImageDraw.Draw(line)


def _describe_score(score: Score) -> str:
    return (
        f"PSNR {score.psnr_blurry:.2f} to {score.psnr:.2f} dB ({score.gain:+.2f}),  "
        f"SSIM {score.ssim_matlab:.4f} MATLAB, {score.ssim_channel:.4f} channel"
    )


def _scale_to_width(image: np.ndarray, width: int) -> np.ndarray:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    # Area averaging shrinks without aliasing, but enlarges into blocks.
    interpolation = cv2.INTER_AREA if width <= image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation)
