"""Mixtures of training data: `--mix=gopro:DIR:0.5,photos:DIR:0.3,frames:DIR:0.2`."""

from __future__ import annotations

import dataclasses
import math
import os

from srn.data.layouts import DATASETS
from srn.data.listing import DEFAULT_SIDES
from srn.data.pairs import find_pairs
from srn.errors import InputError
from srn.synthesis.settings import HANDHELD, ShakeSettings

POOL = "pool"
SYNTHETIC = ("photos", "frames", "video")
# Ordinary video: frames interpolated between neighbours, and range of averaged frames (up to 3 intervals).
VIDEO_BETWEEN, VIDEO_LENGTHS = 7, (7, 25)
# Names of the items of a source other than pairs.
UNITS = {**{kind: kind for kind in SYNTHETIC}, POOL: "crops"}
KINDS = (*DATASETS, *SYNTHETIC, POOL)


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a mixture.

    Attributes:
      kind: a layout of pairs, "photos" (camera shake), "frames" (averaged), "video" (interpolated and
        averaged) or "pool" (precomputed crops).
      folder: of the data.
      weight: relative number of crops; the weights of a mixture need not sum to 1.
    """

    kind: str
    folder: str
    weight: float = 1.0


def parse_mix(text: str) -> list[Part]:
    """Parses `KIND:DIR:WEIGHT,...`. Raises `InputError` naming the part that is wrong."""
    return [_parse_part(part) for part in text.split(",")]


def _parse_part(text):
    form = "each part is KIND:DIR:WEIGHT, such as photos:pictures:0.3"
    kind, _, rest = text.partition(":")
    folder, _, weight = rest.rpartition(":")  # the folder may contain colons
    if not (kind and folder and weight):
        raise InputError(f"mix: {text!r} is not valid; {form}")
    if kind not in KINDS:
        raise InputError(f"mix: there is no kind {kind!r}; choose one of {', '.join(KINDS)}")
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise InputError(f"mix: the weight {weight!r} is not above 0; {form}")
    return Part(kind, folder, number)


def open_sources(
    parts: list[Part],
    crop_size: int,
    blur_folder: str = DEFAULT_SIDES[0],
    cache_dir: str | os.PathLike[str] | None = None,
    sharp_folder: str = DEFAULT_SIDES[1],
    settings: ShakeSettings = HANDHELD,
    downscale: int = 1,
) -> list:
    """Opens and checks the source (`srn.data.sources`) of each part.

    Args:
      parts: of the mixture.
      crop_size: minimum size of pairs and frames after downscaling, in pixels.
      blur_folder, sharp_folder: see `find_pairs`.
      cache_dir: prepared cache of the only part with pairs, or None.
      settings: of blur synthesis for photographs; `gamma_probability` applies to frames as well.
      downscale: integer factor by which all images are downscaled, except pools.

    Raises `InputError` with a line for each problem.
    """
    of_pairs = [part for part in parts if part.kind not in (*SYNTHETIC, POOL)]
    if cache_dir is not None and len(of_pairs) != 1:
        raise InputError(f"cache_dir: is the cache of one data set of pairs; there are {len(of_pairs)}")
    sides = blur_folder, sharp_folder
    return [_open_source(part, crop_size, sides, cache_dir, settings, downscale) for part in parts]


def _open_source(part, crop_size, sides, cache_dir, settings, downscale):
    if part.kind not in (*SYNTHETIC, POOL):
        pairs = find_pairs(part.folder, part.kind, "train", sides[0], crop_size * downscale, sides[1])
    # Imported after the pairs are checked, since these load TensorFlow.
    from srn.data.cache import PreparedCache
    from srn.data.pool import PoolSource
    from srn.data.sources import FrameSource, PairSource, PhotoSource

    if part.kind == POOL:
        return PoolSource(part.folder, crop_size)
    if part.kind == "photos":
        return PhotoSource(part.folder, settings, downscale)
    if part.kind in ("frames", "video"):
        options = {"linear_light": settings.gamma_probability, "downscale": downscale}
        if part.kind == "video":
            options.update(min_frames=VIDEO_LENGTHS[0], max_frames=VIDEO_LENGTHS[1], between=VIDEO_BETWEEN)
        return FrameSource(part.folder, crop_size * downscale, **options)
    return PairSource(pairs, None if cache_dir is None else PreparedCache(cache_dir, pairs), downscale)
