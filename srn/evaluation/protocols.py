"""The three ways in which deblurring papers compare a restored image with the truth.

* `PAIRS` (GOPRO, HIDE, REDS, pairs of one's own): pixel by pixel, no crop, no alignment, no gain.
* `REALBLUR`: aligned first (`srn.evaluation.realblur`).
* `KOHLER`: against every frame of a trajectory (`srn.evaluation.kohler`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srn import metrics
from srn.errors import WorkError
from srn.evaluation import kohler_set
from srn.evaluation.realblur import score_aligned
from srn.images import read_rgb


@dataclass(frozen=True)
class Column:
    """One number of an image: its title in tables, what it means, and the digits shown after the point."""

    title: str
    definition: str
    digits: int = 4

    def format(self, value: float) -> str:
        """The number as tables show it."""
        return f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class Protocol:
    """How an image is scored.

    Attributes:
      name: what it is called.
      columns: the numbers of an image that are averaged over a data set, `psnr` first.
      groups: attribute of an image by which means are taken too -> name of these means in a summary.
      read_truth: image of a data set -> its truth.
      compare: (restored uint8 RGB [H, W, 3], truth) -> the numbers under `columns` and `details`.
      truth_files: image of a data set -> the files that its truth is read from.
      psnr_of_blurry: (blurry, truth) -> `psnr` of the blurry input; None where that would cost too much.
      details: numbers that are listed for each image and not averaged.
    """

    name: str
    columns: Mapping[str, Column]
    groups: Mapping[str, str]
    read_truth: Callable
    compare: Callable[..., dict]
    truth_files: Callable[..., list[Path]]
    psnr_of_blurry: Callable[..., float] | None = None
    details: tuple[str, ...] = field(default=())

    @property
    def definitions(self) -> dict:
        """What each column means."""
        return {name: column.definition for name, column in self.columns.items()}


def protocol_of(dataset: str) -> Protocol:
    """The protocol by which the field scores a data set: a key of `srn.data.layouts.LAYOUTS`, or `kohler`."""
    return {"kohler": KOHLER, "realblur": REALBLUR}.get(dataset, PAIRS)


def _read_sharp(pair) -> np.ndarray:
    return read_rgb(pair.sharp)


def _sharp_file(pair) -> list:
    return [Path(pair.sharp)]


def _compare_pixels(restored, sharp) -> dict:
    return {
        "psnr": metrics.psnr(restored, sharp),
        "ssim_matlab": metrics.ssim_matlab(restored, sharp),
        "ssim_channel": metrics.ssim_channel(restored, sharp),
    }


def _compare_aligned(restored, sharp) -> dict:
    aligned = score_aligned(restored, sharp)
    return {
        "psnr": aligned.psnr,
        "ssim_channel": aligned.ssim,
        "psnr_unaligned": metrics.psnr(restored, sharp),
        "ssim_channel_unaligned": metrics.ssim_channel(restored, sharp),
        "ssim_matlab": metrics.ssim_matlab(restored, sharp),
    }


def _compare_with_frames(restored, frames) -> dict:
    psnr, mssim, count = kohler_set.score_against(restored, frames)
    return {"psnr": psnr, "mssim": mssim, "frames": count}


def _read_frames(image):
    if image.blurry is None or not image.truths:
        raise WorkError("has no blurry image, or no truths; see data/verify.py")
    return kohler_set.read_frames(image)


_ALIGNED = "after a gain, aligned by a homography (ECC), covered pixels only (official script)"

PAIRS = Protocol(
    name="pairs",
    columns={
        "psnr": Column("PSNR", metrics.DEFINITIONS["psnr"], 2),
        "ssim_matlab": Column("SSIM MATLAB", metrics.DEFINITIONS["ssim_matlab"]),
        "ssim_channel": Column("SSIM channel", metrics.DEFINITIONS["ssim_channel"]),
    },
    groups={"sequence": "sequences"},
    read_truth=_read_sharp,
    compare=_compare_pixels,
    truth_files=_sharp_file,
    psnr_of_blurry=metrics.psnr,
)

REALBLUR = Protocol(
    name="realblur",
    columns={
        "psnr": Column("PSNR", f"dB, RGB, peak 1, {_ALIGNED}", 2),
        "ssim_channel": Column("SSIM", f"each RGB channel, {_ALIGNED}"),
        "psnr_unaligned": Column("PSNR unaligned", "dB, 8-bit RGB, as the images lie", 2),
        "ssim_channel_unaligned": Column("SSIM unaligned", "each RGB channel, as the images lie"),
        "ssim_matlab": Column("SSIM MATLAB unaligned", f"{metrics.DEFINITIONS['ssim_matlab']}, unaligned"),
    },
    groups={"sequence": "sequences"},
    read_truth=_read_sharp,
    compare=_compare_aligned,
    truth_files=_sharp_file,
    psnr_of_blurry=lambda blurry, sharp: score_aligned(blurry, sharp).psnr,
)

_BEST_FRAME = "luma, after gain and whole-pixel shift; the best frame of the trajectory (official script)"

KOHLER = Protocol(
    name="kohler",
    columns={
        "psnr": Column("PSNR", f"dB, {_BEST_FRAME}", 2),
        "mssim": Column("MSSIM", f"five scales, {_BEST_FRAME}"),
    },
    groups={"image": "by_image", "kernel": "by_kernel"},
    read_truth=_read_frames,
    compare=_compare_with_frames,
    truth_files=lambda image: list(image.truths),
    details=("frames",),
)
