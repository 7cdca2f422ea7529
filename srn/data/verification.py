"""Verification of data sets: comparison with official counts, and decoding of every file.

The official numbers of GOPRO_Large were counted from the training list of SRN-DeblurNet's authors and from
two published lists of the test set, which agree; its files are numbered without gaps. Those of HIDE are from
its README, those of RealBlur from its lists, those of REDS from BasicSR; for Köhler's see `srn.data.kohler`.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from srn.data.kohler import check_kohler, find_kohler
from srn.data.layouts import LayoutNotFoundError, list_data_set
from srn.data.listing import DEFAULT_SIDES, Listing, Pair
from srn.data.pairs import are_swapped, problems_of
from srn.errors import InputError, list_some
from srn.images import require_whole, size_of

SPLITS = ("train", "test")
# First and last number of the files of each sequence.
GOPRO_FILES = {
    "train": {
        "GOPR0372_07_00": (47, 146),
        "GOPR0372_07_01": (601, 675),
        "GOPR0374_11_00": (1, 150),
        "GOPR0374_11_01": (203, 282),
        "GOPR0374_11_02": (541, 640),
        "GOPR0374_11_03": (2481, 2528),
        "GOPR0378_13_00": (41, 150),
        "GOPR0379_11_00": (188, 287),
        "GOPR0380_11_00": (134, 193),
        "GOPR0384_11_01": (951, 1050),
        "GOPR0384_11_02": (1301, 1400),
        "GOPR0384_11_03": (2101, 2200),
        "GOPR0384_11_04": (2801, 2900),
        "GOPR0385_11_00": (101, 200),
        "GOPR0386_11_00": (247, 346),
        "GOPR0477_11_00": (1, 80),
        "GOPR0857_11_00": (1, 100),
        "GOPR0868_11_01": (221, 320),
        "GOPR0868_11_02": (681, 780),
        "GOPR0871_11_01": (181, 280),
        "GOPR0881_11_00": (1, 100),
        "GOPR0884_11_00": (186, 285),
    },
    "test": {
        "GOPR0384_11_00": (1, 100),
        "GOPR0384_11_05": (4001, 4100),
        "GOPR0385_11_01": (3011, 3110),
        "GOPR0396_11_00": (1, 100),
        "GOPR0410_11_00": (101, 234),
        "GOPR0854_11_00": (1, 100),
        "GOPR0862_11_00": (1, 77),
        "GOPR0868_11_00": (1, 100),
        "GOPR0869_11_00": (1, 100),
        "GOPR0871_11_00": (1, 100),
        "GOPR0881_11_01": (201, 300),
    },
}
# Pairs and sequences (HIDE has none); "all" for RealBlur without lists of the splits.
OFFICIAL_COUNTS: dict[str, dict[str, tuple[int, int | None]]] = {
    "gopro": {"train": (2103, 22), "test": (1111, 11)},
    "reds": {"train": (24000, 240), "test": (3000, 30)},
    "hide": {"train": (6397, None), "test": (2025, None)},
    "realblur": {"train": (3758, 182), "test": (980, 50), "all": (4738, 232)},
    "kohler": {"test": (48, 4)},
}
OFFICIAL_SIZES = {"gopro": (1280, 720), "reds": (1280, 720)}


@dataclasses.dataclass
class Verification:
    """The result of a verification.

    Attributes:
      layout: the layout, a key of `srn.data.layouts.LAYOUTS`, or "kohler".
      counts: {split: {sequence: pairs}}; the split is "all" for layouts without splits.
      compared: whether the data set was compared with official counts.
      problems: a line for each problem.
      extent: what was checked, for the message without problems.
    """

    layout: str
    counts: Mapping[str, Mapping[str, int]]
    compared: bool = False
    problems: list[str] = dataclasses.field(default_factory=list)
    extent: str = "every file is whole"


def verify(
    data_dir: str | os.PathLike[str],
    dataset: str = "auto",
    splits: Sequence[str] = SPLITS,
    blur_folder: str = DEFAULT_SIDES[0],
    official: bool = True,
    progress: bool = False,
    sharp_folder: str = DEFAULT_SIDES[1],
) -> Verification:
    """Lists a data set, compares it with official counts, and decodes all files.

    Args:
      data_dir, dataset, blur_folder, sharp_folder: see `srn.data.pairs.find_pairs`; `dataset` may also be
        "kohler", which has neither splits nor a blur folder.
      splits: some of `SPLITS`.
      official: compare with the official counts and sizes. A folder with the layout of GOPRO
        but without any of its sequences is not compared.
      progress: whether to show a progress bar on stderr.

    Raises `InputError` if there is no data set, or none of its splits.
    """
    if dataset == "kohler":
        return _verify_kohler(data_dir, official, progress)
    listings = _list_splits(data_dir, dataset, splits, blur_folder, sharp_folder)
    layout = next(iter(listings.values())).layout
    pairs = {split: listing.pairs for split, listing in listings.items()}
    counts = {split: collections.Counter(pair.sequence for pair in found) for split, found in pairs.items()}
    compared = official and layout in OFFICIAL_COUNTS and (layout != "gopro" or _is_gopro(pairs))
    result = Verification(layout, counts, compared)
    for listing in listings.values():
        result.problems += listing.problems
        if not listing.pairs:
            result.problems.append(f"{', '.join(map(str, listing.folders))}: no pairs")
    for split in splits if "all" not in listings else ("all",):
        if compared:
            result.problems += compare_with_official(layout, split, pairs.get(split, []))
    size = OFFICIAL_SIZES.get(layout) if compared else None
    result.problems += check_pairs([pair for found in pairs.values() for pair in found], size, progress)
    return result


def _verify_kohler(data_dir: str | os.PathLike[str], official: bool, progress: bool) -> Verification:
    images = find_kohler(data_dir)
    counts = {"test": collections.Counter(f"Image{image.image}" for image in images)}
    problems = check_kohler(images, progress, official)
    extent = "blurry images are whole; of truths, PNG headers were read and .mat files are not empty"
    return Verification("kohler", counts, official, problems, extent)


def _list_splits(
    data_dir: str | os.PathLike[str], dataset: str, splits: Sequence[str], blur_folder: str, sharp_folder: str
) -> dict[str, Listing]:
    """{split: `Listing`} of the existing splits; {"all": `Listing`} for layouts without splits."""
    listings, absent = {}, []
    for split in splits:
        try:
            listing = list_data_set(data_dir, dataset, split, blur_folder, sharp_folder)
        except LayoutNotFoundError as error:
            absent.append(error)
            continue
        if not listing.has_splits:
            return {"all": listing}
        listings[split] = listing
    if not listings:
        raise absent[0]
    return listings


def _is_gopro(pairs: Mapping[str, Sequence[Pair]]) -> bool:
    official = {sequence for files in GOPRO_FILES.values() for sequence in files}
    return any(pair.sequence in official for found in pairs.values() for pair in found)


def compare_with_official(layout: str, split: str, pairs: list[Pair]) -> list[str]:
    """A line for each difference from the official data set; for GOPRO, for each missing file."""
    if layout == "gopro":
        return _compare_with_gopro(split, pairs)
    official, official_sequences = OFFICIAL_COUNTS[layout][split]
    lines, sequences = [], {pair.sequence for pair in pairs}
    if official_sequences and len(sequences) < official_sequences:
        lines.append(f"{split}: {len(sequences)} sequences; the official data set has {official_sequences}")
    if len(pairs) < official:
        lines.append(f"{split}: {len(pairs)} pairs; the official data set has {official}")
    return lines


def _compare_with_gopro(split: str, pairs: Sequence[Pair]) -> list[str]:
    found = collections.defaultdict(set)
    for pair in pairs:
        found[pair.sequence].add(pair.blurry.stem)
    lines = []
    for sequence, (first, last) in GOPRO_FILES[split].items():
        expected = {f"{number:06d}" for number in range(first, last + 1)}
        missing, surplus = sorted(expected - found[sequence]), sorted(found[sequence] - expected)
        if len(missing) == len(expected):
            lines.append(f"{split}/{sequence}: missing, {len(missing)} pairs")
        elif missing:
            lines.append(
                f"{split}/{sequence}: {len(missing)} of {len(expected)} missing: {list_some(missing)}"
            )
        if surplus:
            lines.append(f"{split}/{sequence}: {len(surplus)} not of GOPRO_Large: {list_some(surplus)}")
    other = "test" if split == "train" else "train"
    for sequence in sorted(found.keys() - GOPRO_FILES[split].keys()):
        what = f"belongs to {other}/" if sequence in GOPRO_FILES[other] else "is not of GOPRO_Large"
        lines.append(f"{split}/{sequence}: {what}")
    return lines


def check_pairs(
    pairs: Sequence[Pair], size: tuple[int, int] | None = None, progress: bool = False
) -> list[str]:
    """`check_pair` for all pairs in parallel; lines are in the order of the pairs."""
    # Threads suffice, since the decoders and OpenCV release the GIL.
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        checks = pool.map(lambda pair: check_pair(pair, size), pairs)
        bar = tqdm(checks, desc="decoding", total=len(pairs), unit="pair", disable=not progress)
        return [line for lines in bar for line in lines]
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest


def check_pair(pair: Pair, size: tuple[int, int] | None = None) -> list[str]:
    """Decodes both files of a pair.

    Args:
      pair: the pair.
      size: expected (width, height) of both.

    Returns a line for each file that is missing, truncated, undecodable or of the wrong size, and one if
    blurry and sharp image seem to be swapped.
    """
    wrong_sizes = []

    def measure(path: Path) -> tuple[int, int]:
        if not path.exists():
            raise InputError(f"{path}: is not there")
        found = size_of(path)
        if size is not None and found != size:
            wrong_sizes.append("{}: {}x{}, officially {}x{}".format(path, *found, *size))
        require_whole(path)
        return found

    problems = problems_of(pair, measure=measure) + wrong_sizes
    if not problems and are_swapped(pair):
        problems.append(f"{pair.blurry}: sharper than {pair.sharp}; they seem to be swapped")
    return problems


def format_counts(result: Verification) -> str:
    """A table of the number of pairs per sequence and split, with the official ones."""
    lines = []
    for split, counts in result.counts.items():
        official, official_sequences = OFFICIAL_COUNTS.get(result.layout, {}).get(split, (None, None))
        total = f"{split}: {sum(counts.values())} pairs"
        if result.compared:
            total += f" (official: {official})"
        if any(counts):
            total += f", {len(counts)} sequences"
            total += f" (official: {official_sequences})" if result.compared and official_sequences else ""
            lines += [f"{count:7d}  {split}/{sequence}" for sequence, count in sorted(counts.items())]
        lines.append(total)
    return "\n".join(lines)
