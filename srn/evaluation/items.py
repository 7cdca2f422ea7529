"""The images of an evaluation, all or some of a data set, and the protocol to score them by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from srn import provenance
from srn.data.layouts import DATASETS
from srn.data.listing import DEFAULT_SIDES, Pair
from srn.data.pairs import require_usable
from srn.errors import InputError
from srn.evaluation.kohler import KOHLER
from srn.evaluation.protocols import PAIRS, Protocol
from srn.evaluation.realblur import REALBLUR
from srn.images import kind_of

LAYOUTS = (*DATASETS, KOHLER.name)  # that can be scored
SPLITS = ("test", "train")
_PROTOCOLS = {protocol.name: protocol for protocol in (PAIRS, REALBLUR, KOHLER)}

PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Evaluation:
    """The images of an evaluation, the same for all methods.

    Attributes:
      dataset: name of the data set's layout.
      items: its images.
      protocol: how they are scored.
      departures: deviations from the paper, such as "the folder blur_gamma".
      facts: plain values about this run for summaries, including `processor`.
    """

    dataset: str
    items: Sequence
    protocol: Protocol
    departures: Sequence[str]
    facts: Mapping[str, Any]


def protocol_of(dataset: str) -> Protocol:
    """The usual protocol of a data set, one of `LAYOUTS`."""
    return _PROTOCOLS.get(dataset, PAIRS)


def describe_evaluation(
    data_dir: PathLike | Sequence,
    dataset: str,
    split: str,
    sides: tuple[str, str],
    protocol: Protocol | None,
    options: Mapping[str, Any],
    sequences: Sequence[str] = (),
    limit: int | None = None,
) -> Evaluation:
    """Finds and checks the images, and chooses how to score them.

    Args:
      data_dir, dataset, split, protocol, limit: see `srn.evaluate`.
      sides: its `blur_folder` and `sharp_folder`.
      options: its `crop_border`, `luma` and `lpips`.
      sequences: its `sequence`.

    Raises `InputError` for data or arguments that cannot be used.
    """
    for argument, value, choices in (("dataset", dataset, LAYOUTS), ("split", split, SPLITS)):
        if value not in choices:
            raise InputError(f"{argument}={value} is not one of {', '.join(choices)}")
    wanted = protocol or _choose_protocol(dataset, 8, options)
    if isinstance(data_dir, (str, os.PathLike)):
        dataset, items = wanted.find_items(data_dir, dataset, split, *sides)
    else:
        dataset, items = "pairs", _as_pairs(data_dir, wanted.min_size)
    protocol = protocol or _choose_protocol(dataset, _bits_of(items), options)
    departures: list[str] = []
    if dataset == "gopro" and sides[0] != DEFAULT_SIDES[0]:
        departures.append(f"the folder {sides[0]}")
    if dataset == "gopro" and split != "test":
        departures.append(f"the split {split}")
    facts = {
        "data_dir": os.fspath(data_dir) if isinstance(data_dir, (str, os.PathLike)) else None,
        "split": split,
        "blur_folder": sides[0],
        "sharp_folder": sides[1],
        **provenance.describe_run(),
    }
    items, left_out = _select(items, sequences, limit)
    return Evaluation(dataset, items, protocol, [*departures, *left_out], facts)


def _choose_protocol(dataset: str, bits: int, options: Mapping[str, Any]) -> Protocol:
    """The protocol of a data set with options. Raises `InputError` if it does not support them."""
    protocol, chosen = protocol_of(dataset), [name for name, value in options.items() if value]
    if not protocol.takes_options and bits != 8:
        raise InputError(f"{dataset} is scored by its official script, which takes images of 8 bits")
    if not protocol.takes_options and chosen:
        raise InputError(
            f"{chosen[0]}: {dataset} is scored by its official script, which knows no such option"
        )
    return Protocol(bits, **options) if chosen or bits != 8 else protocol


def _bits_of(items: Sequence) -> int:
    """The bit depth, 8 or 16. Raises `InputError` naming an image that differs from the first."""
    bits = [kind_of(item.blurry)[0] if item.blurry else 8 for item in items]
    others = [item for item, some in zip(items, bits) if some != bits[0]]
    if others:
        raise InputError(
            f"{others[0].blurry}: does not have {bits[0]} bits like {items[0].blurry}; score them separately"
        )
    return bits[0]


def _select(items: Sequence, sequences: Sequence[str], limit: int | None) -> tuple[Sequence, list[str]]:
    """The selected images, and a description of the selection. Raises `InputError` for unknown sequences."""
    chosen, words = items, []
    if sequences:
        there = sorted({getattr(item, "sequence", "") for item in items} - {""})
        for name in sequences:
            if name not in there:
                known = f"not one of {', '.join(there)}" if there else "not there: the data set has none"
                raise InputError(f"sequence={name} is {known}")
        chosen = [item for item in items if item.sequence in sequences]
        words.append(f"the sequence{'s' if len(sequences) > 1 else ''} {', '.join(sequences)}")
    if limit is not None and limit < 1:
        raise InputError(f"limit={limit} is below 1")
    if limit is not None and limit < len(chosen):
        words.append(f"the first {limit} of {len(chosen)} images")
        chosen = chosen[:limit]
    return chosen, words


def _as_pairs(items: Iterable[Any], min_size: int) -> list[Pair]:
    """Returns `Pair`s unchanged; converts (blurry, sharp) to a `Pair` with the name of the blurry file."""
    pairs = []
    for item in items:
        if not isinstance(item, Pair):
            blurry, sharp = map(Path, item)
            item = Pair(blurry, sharp, blurry.stem)
        pairs.append(item)
    require_usable(pairs, min_size, deep=True)
    return pairs
