"""How deblurring papers compare a restored image with the ground truth.

`Protocol` is what all ways have in common and, as it is, the plain one (GOPRO, HIDE, REDS, pairs of one's
own): pixel by pixel, no crop, no alignment, no gain. `srn.evaluation.realblur` aligns first;
`srn.evaluation.kohler` compares with every frame of a trajectory.

A metric is one `Column` in the table of its protocol.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srn import metrics
from srn.data.pairs import find_pairs, layout_of
from srn.errors import WorkError
from srn.evaluation.scores import Score, summarise
from srn.images import read_rgb


@dataclass(frozen=True)
class Column:
    """One number of an image.

    Attributes:
      title: in tables.
      definition: what the number means.
      digits: shown after the point.
      function: what the protocol's `compare` returns -> the number.
    """

    title: str
    definition: str
    digits: int
    function: Callable[[Any], float]

    def format(self, value: float) -> str:
        """The number as tables show it."""
        return f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class ImagePair:
    """A restored image and the ground truth, uint8 RGB [H, W, 3]: what the columns of `PAIRS` look at."""

    restored: np.ndarray
    sharp: np.ndarray


class Protocol:
    """The plain protocol, and what the others have in common with it.

    Attributes:
      name: what it is called.
      columns: the numbers of an image that are averaged over a data set, `psnr` first.
      details: numbers that are listed for each image and not averaged.
      groups: attribute of an image by which means are taken too -> name of these means in a summary.
    """

    name = "pairs"
    columns: Mapping[str, Column] = {
        "psnr": Column(
            "PSNR", metrics.DEFINITIONS["psnr"], 2, lambda pair: metrics.psnr(pair.restored, pair.sharp)
        ),
        "ssim_matlab": Column(
            "SSIM MATLAB",
            metrics.DEFINITIONS["ssim_matlab"],
            4,
            lambda pair: metrics.ssim_matlab(pair.restored, pair.sharp),
        ),
        "ssim_channel": Column(
            "SSIM channel",
            metrics.DEFINITIONS["ssim_channel"],
            4,
            lambda pair: metrics.ssim_channel(pair.restored, pair.sharp),
        ),
    }
    details: Mapping[str, Column] = {}
    groups: Mapping[str, str] = {"sequence": "sequences"}

    @property
    def definitions(self) -> dict[str, str]:
        """What each column means."""
        return {name: column.definition for name, column in self.columns.items()}

    @property
    def settings(self) -> dict[str, Any]:
        """Plain values that change when the numbers of an image do."""
        return {"protocol": self.name, "columns": {**self.definitions, **dict.fromkeys(self.details)}}

    def find_items(
        self,
        data_dir: str | os.PathLike[str],
        dataset: str,
        split: str,
        blur_folder: str,
        sharp_folder: str,
    ) -> tuple[str, Sequence]:
        """(layout, images) of a data set; arguments and errors as of `srn.data.pairs.find_pairs`."""
        pairs = find_pairs(data_dir, dataset, split, blur_folder, metrics.WINDOW_SIZE, sharp_folder)
        return layout_of(pairs), pairs

    def truth_files(self, item) -> list[Path]:
        """The files that the ground truth of an image is read from."""
        return [Path(item.sharp)]

    def picture_of_truth(self, item) -> Path | None:
        """The one image to show beside a restored one; None where no single image is the ground truth."""
        return Path(item.sharp)

    def read(self, item) -> tuple[np.ndarray, Any]:
        """The blurry pixels of an image, uint8 RGB [H, W, 3], and its ground truth: here the same.

        Raises `WorkError` naming the file that cannot be read, or two that differ in size.
        """
        blurry, sharp = read_rgb(item.blurry), read_rgb(item.sharp)
        if sharp.shape != blurry.shape:
            raise WorkError(
                f"{item.blurry} and {item.sharp} differ in size: {blurry.shape[1]}x{blurry.shape[0]} "
                f"and {sharp.shape[1]}x{sharp.shape[0]} (width x height)."
            )
        return blurry, sharp

    def compare(self, restored: np.ndarray, truth: Any) -> Any:
        """What the functions of the columns take. Raises ValueError for images that cannot be compared."""
        return ImagePair(restored, truth)

    def score(self, restored: np.ndarray, truth: Any) -> dict[str, float]:
        """The numbers under `columns` and `details`.

        Args:
          restored: uint8 RGB [H, W, 3].
          truth: from `read`; it may be used up.

        Raises ValueError for images that cannot be compared.
        """
        comparison = self.compare(restored, truth)
        return {name: column.function(comparison) for name, column in self._all_columns().items()}

    def psnr_of_blurry(self, blurry: np.ndarray, truth: Any) -> float | None:
        """`psnr` of the blurry input; None where it cannot be had, or would cost too much."""
        try:
            return self.columns["psnr"].function(self.compare(blurry, truth))
        except ValueError:  # it cannot be aligned, which is no reason to leave out the restored image
            return None

    def departures(self, scores: Sequence[Score]) -> list[str]:
        """What of the ground truth differs from the official data set, in words."""
        return []

    def summarise(self, scores: Sequence[Score]) -> dict[str, Any]:
        """`srn.evaluation.scores.summarise` by this protocol's columns and groups."""
        return summarise(scores, self.columns, self.groups)

    def format_table(self, scores: Sequence[Score], summary: Mapping[str, Any]) -> str:
        """The table to print: a line for each group, and the mean over all images.

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


PAIRS = Protocol()
