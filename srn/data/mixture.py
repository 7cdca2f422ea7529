"""Several kinds of training data at once: `--mix=gopro:DIR:0.5,photos:DIR:0.3,frames:DIR:0.2`."""

from __future__ import annotations

import dataclasses
import math

from srn.data.layouts import DATASETS
from srn.data.listing import DEFAULT_SIDES
from srn.data.pairs import find_pairs
from srn.errors import InputError

SYNTHETIC = ("photos", "frames")
KINDS = (*DATASETS, *SYNTHETIC)


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a mixture.

    Attributes:
      kind: a layout of pairs, "photos" (shaken) or "frames" (averaged).
      folder: where it lies.
      weight: of its crops among all; the weights of a mixture need not sum to 1.
    """

    kind: str
    folder: str
    weight: float = 1.0


def parse_mix(text: str) -> list[Part]:
    """`KIND:DIR:WEIGHT,...` -> its parts. Raises `InputError` naming the one that is wrong."""
    return [_parse_part(part) for part in text.split(",")]


def _parse_part(text):
    form = "each part is KIND:DIR:WEIGHT, such as photos:pictures:0.3"
    kind, _, rest = text.partition(":")
    folder, _, weight = rest.rpartition(":")  # a folder may have colons of its own
    if not (kind and folder and weight):
        raise InputError(f"mix: {text!r} cannot be understood; {form}")
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
    cache_dir=None,
    sharp_folder: str = DEFAULT_SIDES[1],
) -> list:
    """Opens the source (`srn.data.sources`) of each part; everything is checked.

    Args:
      parts: of the mixture.
      crop_size: pairs and frames must be at least as large.
      blur_folder, sharp_folder: see `find_pairs`.
      cache_dir: prepared cache of the one part that is of pairs, or None.

    Raises `InputError` with a line for each thing that is wrong with a part.
    """
    of_pairs = [part for part in parts if part.kind not in SYNTHETIC]
    if cache_dir is not None and len(of_pairs) != 1:
        raise InputError(f"cache_dir: is the cache of one data set of pairs; there are {len(of_pairs)}")
    return [_open_source(part, crop_size, (blur_folder, sharp_folder), cache_dir) for part in parts]


def _open_source(part, crop_size, sides, cache_dir):
    if part.kind not in SYNTHETIC:
        pairs = find_pairs(part.folder, part.kind, "train", sides[0], crop_size, sides[1])
    # After the pairs are found good: these load TensorFlow.
    from srn.data.cache import PreparedCache
    from srn.data.sources import FrameSource, PairSource, PhotoSource

    if part.kind == "photos":
        return PhotoSource(part.folder)
    if part.kind == "frames":
        return FrameSource(part.folder, crop_size)
    return PairSource(pairs, None if cache_dir is None else PreparedCache(cache_dir, pairs))
