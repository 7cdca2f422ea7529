"""Evaluation protocols: how a restored image is compared with the ground truth.

`Protocol` is the base class and the plain protocol (GOPRO, HIDE, REDS and other pairs): pixel by pixel,
without cropping, alignment or gain. `srn.evaluation.realblur` aligns first;
`srn.evaluation.kohler` compares with every frame of a trajectory.

A metric is one `Column` in the table of its protocol.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srn import metrics
from srn.data.pairs import find_pairs, layout_of
from srn.errors import InputError, WorkError
from srn.evaluation import perceptual
from srn.evaluation.intervals import interval_of
from srn.evaluation.scores import Score, summarise
from srn.images import read_rgb

_LUMA = "Y of YCbCr (BT.601, 16 to 235, not rounded; BasicSR's test_y_channel)"
_LUMA_WEIGHTS = np.array([65.481, 128.553, 24.966])  # of R, G, B in 0..1; they sum to 219


@dataclass(frozen=True)
class Column:
    """A metric of an image.

    Attributes:
      title: heading in tables.
      definition: description of the metric.
      digits: number of decimals shown.
      function: result of the protocol's `compare` -> value.
    """

    title: str
    definition: str
    digits: int
    function: Callable[[Any], float]

    def format(self, value: float) -> str:
        """Formats a value for tables."""
        return f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class ImagePair:
    """A restored image and the ground truth as the columns of `PAIRS` compare them.

    Attributes:
      restored, sharp: RGB [H, W, 3], uint8 or uint16, or luma [H, W], float64.
      peak: the difference between black and white.
    """

    restored: np.ndarray
    sharp: np.ndarray
    peak: int = 255


class Protocol:
    """The plain protocol, and base class of the others.

    Args:
      bits: 8, or 16 for 16-bit images; the peak is 255 or 65535.
      crop_border: number of pixels excluded at each border (BasicSR's `crop_border`).
      luma: whether to compare Y of YCbCr instead of RGB (BasicSR's `test_y_channel`).
      lpips: whether to add a column of LPIPS, which needs the package lpips.

    Attributes:
      name: of the protocol.
      columns: metrics that are averaged over a data set, `psnr` first.
      details: values that are listed for each image, but not averaged.
      groups: attribute of an image for further means -> name of these means in a summary.
      cluster: the group that is resampled for confidence intervals.
      takes_options: whether `Args` may differ from their defaults.
    """

    name = "pairs"
    takes_options = True
    columns: Mapping[str, Column] = {
        "psnr": Column(
            "PSNR",
            metrics.DEFINITIONS["psnr"],
            2,
            lambda pair: metrics.psnr(pair.restored, pair.sharp, data_range=pair.peak),
        ),
        "ssim_matlab": Column(
            "SSIM MATLAB",
            metrics.DEFINITIONS["ssim_matlab"],
            4,
            lambda pair: metrics.ssim_matlab(pair.restored, pair.sharp, data_range=pair.peak),
        ),
        "ssim_channel": Column(
            "SSIM channel",
            metrics.DEFINITIONS["ssim_channel"],
            4,
            lambda pair: metrics.ssim_channel(pair.restored, pair.sharp, data_range=pair.peak),
        ),
    }
    details: Mapping[str, Column] = {}
    groups: Mapping[str, str] = {"sequence": "sequences"}
    cluster = "sequence"

    def __init__(self, bits: int = 8, crop_border: int = 0, luma: bool = False, lpips: bool = False):
        self.bits, self.crop_border, self.luma = bits, crop_border, luma
        if crop_border < 0:
            raise InputError(f"crop_border={crop_border} is below 0")
        if self.takes_options:
            self.columns = {
                name: dataclasses.replace(column, definition=self._define(column.definition))
                for name, column in self.columns.items()
            }
        if lpips:
            if luma:
                raise InputError("lpips: compares colours; leave `luma` out")
            distance = perceptual.open_lpips()
            definition = f"version 0.1 ({perceptual.NETWORK}), lower is better, 8-bit RGB, no border cropped"
            self.columns = {**self.columns, "lpips": Column("LPIPS", self._define(definition), 4, distance)}

    def _define(self, definition: str) -> str:
        """The definition of a column, including the options."""
        if self.bits != 8:
            definition = definition.replace("8-bit", f"{self.bits}-bit").replace("255", str(self._peak))
        if self.luma:
            colours = ("8-bit RGB", "16-bit RGB", "each RGB channel", "RGB as a volume")
            for words in colours:
                definition = definition.replace(words, _LUMA)
            definition = definition.replace("11x11x11", "11x11")
        if self.crop_border:
            definition = definition.replace(", no border cropped", "")
            definition += f", after a border of {self.crop_border} is cropped (BasicSR's crop_border)"
        return definition

    @property
    def _peak(self) -> int:
        return 2**self.bits - 1

    @property
    def min_size(self) -> int:
        """Minimum height and width of an image."""
        return metrics.WINDOW_SIZE + 2 * self.crop_border

    @property
    def definitions(self) -> dict[str, str]:
        """The definition of each column."""
        return {name: column.definition for name, column in self.columns.items()}

    @property
    def settings(self) -> dict[str, Any]:
        """Plain values on which the scores depend."""
        return {"protocol": self.name, "columns": {**self.definitions, **dict.fromkeys(self.details)}}

    def find_items(
        self,
        data_dir: str | os.PathLike[str],
        dataset: str,
        split: str,
        blur_folder: str,
        sharp_folder: str,
    ) -> tuple[str, Sequence]:
        """(layout, images) of a data set; arguments and errors as in `srn.data.pairs.find_pairs`."""
        pairs = find_pairs(
            data_dir, dataset, split, blur_folder, self.min_size, sharp_folder, deep=self.takes_options
        )
        return layout_of(pairs), pairs

    def truth_files(self, item: Any) -> list[Path]:
        """The files of the ground truth of an image."""
        return [Path(item.sharp)]

    def picture_of_truth(self, item: Any) -> Path | None:
        """The ground truth to show next to a restored image; None if it is not a single image."""
        return Path(item.sharp)

    def read(self, item: Any) -> tuple[np.ndarray, Any]:
        """Reads the blurry image and its ground truth, both RGB [H, W, 3].

        Both are uint8, or uint16 for protocols with 16 bits.

        Raises `WorkError` naming the file that cannot be read, or two that differ in size.
        """
        blurry, sharp = (read_rgb(path, deep=self.bits > 8) for path in (item.blurry, item.sharp))
        if sharp.shape != blurry.shape:
            raise WorkError(
                f"{item.blurry} and {item.sharp} differ in size: {blurry.shape[1]}x{blurry.shape[0]} "
                f"and {sharp.shape[1]}x{sharp.shape[0]} (width x height)."
            )
        return blurry, sharp

    def compare(self, restored: np.ndarray, truth: Any) -> Any:
        """The arguments of the columns' functions. Raises ValueError for images that cannot be compared."""
        border = slice(self.crop_border, -self.crop_border or None)
        restored, truth = restored[border, border], truth[border, border]
        if self.luma:
            restored, truth = (_luma(image, self._peak) for image in (restored, truth))
        return ImagePair(restored, truth, self._peak)

    def score(self, restored: np.ndarray, truth: Any) -> dict[str, float]:
        """Computes the values of `columns` and `details`.

        Args:
          restored: RGB [H, W, 3], of the type of the blurry pixels.
          truth: from `read`; it may be consumed.

        Raises ValueError for images that cannot be compared.
        """
        comparison = self.compare(restored, truth)
        return {name: column.function(comparison) for name, column in self._all_columns().items()}

    def psnr_of_blurry(self, blurry: np.ndarray, truth: Any) -> float | None:
        """`psnr` of the blurry input; None if it is not available or too expensive."""
        try:
            return self.columns["psnr"].function(self.compare(blurry, truth))
        except ValueError:  # the blurry image cannot be aligned, but the restored one may be
            return None

    def departures(self, scores: Sequence[Score]) -> list[str]:
        """Notes on differences between the ground truth and the official data set."""
        return []

    def summarise(self, scores: Sequence[Score]) -> dict[str, Any]:
        """The means over the columns and groups of this protocol, with confidence intervals.

        The result of `srn.evaluation.scores.summarise`, with `intervals`: [low, high] of each mean, or None,
        from `srn.evaluation.intervals`.
        """
        intervals = {column: interval_of(scores, column, self.cluster) for column in self.columns}
        return {**summarise(scores, self.columns, self.groups), "intervals": intervals}

    def format_table(self, scores: Sequence[Score], summary: Mapping[str, Any]) -> str:
        """A text table with a line for each group, and the mean over all images.

        Args:
          scores: at least one.
          summary: their means.
        """
        rows = [(name, means) for title in self.groups.values() for name, means in summary[title].items()]
        rows.append(("mean over images", summary))
        first = max(len(label) for label, _ in rows)
        widths = {name: max(len(column.title), 6) for name, column in self.columns.items()}
        titles = [f"{column.title:>{widths[name]}}" for name, column in self.columns.items()]
        lines = ["  ".join([" " * first, "images", *titles])]
        for label, means in rows:
            cells = [f"{column.format(means[name]):>{widths[name]}}" for name, column in self.columns.items()]
            lines.append("  ".join([f"{label:{first}}", f"{means['images']:6d}", *cells]))
        return "\n".join(lines)

    def _all_columns(self) -> dict[str, Column]:
        return {**self.columns, **self.details}


def _luma(image: np.ndarray, peak: int) -> np.ndarray:
    """Y of YCbCr (BT.601, black at 16 and white at 235 of 255) as in MATLAB's rgb2ycbcr; not rounded."""
    return (image.astype(np.float64) @ _LUMA_WEIGHTS + 16 * peak) / 255


PAIRS = Protocol()
