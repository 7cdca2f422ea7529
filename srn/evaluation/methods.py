"""What is scored: the blurry input itself, a network, or images that another program has restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srn.evaluation.results import find_results
from srn.images import read_rgb

IDENTITY = "identity"


@dataclass(frozen=True)
class Method:
    """One way from a blurry image to a restored one.

    Attributes:
      label: what tables call it.
      restore: (image of a data set, its blurry pixels) -> restored pixels, both uint8 RGB [H, W, 3].
      file_of: image of a data set -> the file with its restored pixels, once it is scored.
      is_network: whether restoring is work: timed, and written to `file_of`.
      settings: plain values on which the restored pixels depend, beside the files that they are made from.
    """

    label: str
    restore: Callable[..., np.ndarray]
    file_of: Callable[..., Path]
    is_network: bool = False
    settings: Mapping = field(default_factory=dict)


def blurry_input() -> Method:
    """Nothing is done: what a data set scores to begin with."""
    return Method(IDENTITY, lambda _, blurry: blurry, lambda item: Path(item.blurry))


def network(restore: Callable[[np.ndarray], np.ndarray], label: str, out_dir, settings: Mapping) -> Method:
    """A `Deblurrer`, whose images are written below `out_dir`."""
    return Method(
        label,
        lambda _, blurry: restore(blurry),
        lambda item: Path(out_dir) / "restored" / f"{item.name}.png",
        is_network=True,
        settings=settings,
    )


def results_of(results_dir, items, label: str) -> Method:
    """The images of another program in `results_dir`, one for each of `items`.

    Raises `InputError` naming images that are missing.
    """
    files = find_results(items, results_dir)
    return Method(label, lambda item, _: read_rgb(files[item.name]), lambda item: files[item.name])
