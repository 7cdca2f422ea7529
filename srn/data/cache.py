"""Prepared cache of a data set: every pair is decoded once, so that crops are read without decoding.

A cache is a folder of

    index.json          the names of the shards in order; written last, as the mark of a complete cache
    SHARD.json          name, size, offset and fingerprints of the files of each pair
    SHARD.pixels        uint8 RGB, blurry [H, W, 3] then sharp [H, W, 3], of each pair

with at least one shard per sequence, of at most some 512 MiB of image files. The pixels are those that the
pipeline decodes without a cache, so that batches are the same with and without.
"""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srn.data.pairs import find_damage
from srn.errors import InputError, WorkError
from srn.files import read_json, write_atomically, write_json

FORMAT = 2  # 1 held JPEG files as TensorFlow's fast transform decodes them
INDEX = "index.json"
SHARD_BYTES = 512 * 2**20
_ENDS = 4096  # bytes at both ends of a file that its fingerprint covers


class PreparedCache:
    """Reads crops of the pairs of a data set from a cache written by `prepare`.

    Args:
      cache_dir: the folder.
      pairs: the pairs of the data set, in the order of `find_pairs`.

    Attributes:
      sizes: int32 [pairs, 2], height and width.

    Raises `InputError` if the cache is incomplete, or does not belong to these pairs in their current state.
    """

    def __init__(self, cache_dir: str | os.PathLike[str], pairs: list):
        cache_dir = Path(cache_dir)
        entries: list[dict] = []
        self._pairs: list[np.ndarray] = []
        self._files: list[tuple[Path, int]] = []  # shard of each pair, and its length in bytes
        for shard in _read_json(cache_dir / INDEX)["shards"]:
            description = _read_json(cache_dir / f"{shard}.json")
            pixels = cache_dir / f"{shard}.pixels"
            _check_length(pixels, description["bytes"])
            entries += description["pairs"]
            self._files += [(pixels, description["bytes"])] * len(description["pairs"])
            self._pairs += _views(np.memmap(pixels, np.uint8, mode="r"), description["pairs"])
        _check_entries(cache_dir, entries, pairs)
        self.sizes = np.array([pair.shape[1:3] for pair in self._pairs], np.int32).reshape(-1, 2)

    def read_window(self, index: int, top: int, left: int, size: int) -> np.ndarray:
        """A crop of pair `index` at (top, left): uint8 RGB [2, size, size, 3], blurry and sharp.

        Raises `WorkError` if the file was truncated meanwhile: reading the memory map would crash.
        """
        file, length = self._files[index]
        if os.path.getsize(file) < length:
            raise WorkError(f"{file}: is truncated; prepare the cache again")
        return np.ascontiguousarray(self._pairs[index][:, top : top + size, left : left + size])


def _views(pixels, entries) -> list:
    """The pairs of a shard as views of its file, [2, H, W, 3] each."""
    views = []
    for entry in entries:
        shape = (2, entry["height"], entry["width"], 3)
        views.append(pixels[entry["begin"] : entry["begin"] + math.prod(shape)].reshape(shape))
    return views


def prepare(pairs: list, cache_dir: str | os.PathLike[str], progress: bool = True) -> int:
    """Decodes every pair into `cache_dir`, resuming an interrupted call.

    Args:
      pairs: list of `srn.data.pairs.Pair`.
      cache_dir: the folder, created if it does not exist.
      progress: whether to show a progress bar on stderr.

    Returns:
      The number of pairs decoded by this call.

    Raises `InputError` for a folder with other files, `WorkError` naming an image that cannot be decoded.
    """
    cache_dir = Path(cache_dir)
    cache_dir.mkdir(parents=True, exist_ok=True)
    _refuse_other_files(cache_dir)
    shards = _split_into_shards(pairs)
    (cache_dir / INDEX).unlink(missing_ok=True)  # until all shards are up to date
    decoded = 0
    with tqdm(total=len(pairs), unit="pair", disable=not progress) as bar:
        for name, members in shards.items():
            if _is_done(cache_dir, name, members):
                bar.update(len(members))
                continue
            _write_shard(cache_dir, name, members, bar)
            decoded += len(members)
    write_json(cache_dir / INDEX, {"format": FORMAT, "shards": list(shards)})
    return decoded


def verify_checksums(cache_dir: str | os.PathLike[str]) -> list:
    """Compares the checksums of all shards; returns a line for each damaged one."""
    cache_dir, lines = Path(cache_dir), []
    for shard in _read_json(cache_dir / INDEX)["shards"]:
        pixels = cache_dir / f"{shard}.pixels"
        checksum = 0
        with open(pixels, "rb") as file:
            while block := file.read(2**22):
                checksum = zlib.crc32(block, checksum)
        if checksum != _read_json(cache_dir / f"{shard}.json")["crc32"]:
            lines.append(f"{pixels}: damaged; remove it and prepare the cache again")
    return lines


# Writing


def _split_into_shards(pairs) -> dict:
    """{name of a shard: its pairs}: consecutive pairs of one sequence, at most some SHARD_BYTES of files."""
    shards: dict[str, list] = {}
    numbers: dict[str, int] = {}
    used = 0
    for pair in pairs:
        size = os.path.getsize(pair.blurry) + os.path.getsize(pair.sharp)
        sequence = pair.sequence or "pairs"
        used += size
        if sequence not in numbers or used > SHARD_BYTES:
            numbers[sequence] = numbers.get(sequence, -1) + 1
            used = size
        shards.setdefault(f"{sequence}-{numbers[sequence]:04d}", []).append(pair)
    return shards


def _is_done(cache_dir, shard, pairs) -> bool:
    """Whether the shard is complete and was made from these pairs in their current state."""
    try:
        description = _read_json(cache_dir / f"{shard}.json")
        _check_length(cache_dir / f"{shard}.pixels", description["bytes"])
        _check_entries(cache_dir, description["pairs"], pairs)
    except InputError:
        return False
    return True


def _write_shard(cache_dir, shard, pairs, bar) -> None:
    """Writes the pixels, then the description."""
    (cache_dir / f"{shard}.json").unlink(missing_ok=True)
    entries, length, checksum = [], 0, 0

    def pixels():
        nonlocal length, checksum
        for pair, both in zip(pairs, _decode_all(pairs)):
            yield both.tobytes()
            entries.append(_describe(pair, both.shape, length))
            length, checksum = length + both.nbytes, zlib.crc32(both, checksum)
            bar.update()

    write_atomically(cache_dir / f"{shard}.pixels", pixels())
    description = {"format": FORMAT, "bytes": length, "crc32": checksum, "pairs": entries}
    write_json(cache_dir / f"{shard}.json", description)


def _decode_all(pairs):
    """Yields uint8 [2, H, W, 3] of each pair, decoded in parallel as the pipeline decodes."""
    import tensorflow as tf

    from srn.images import decode_in_graph

    files = [[str(pair.blurry), str(pair.sharp)] for pair in pairs]
    decoded = tf.data.Dataset.from_tensor_slices(files).map(
        lambda both: tf.stack([decode_in_graph(both[0]), decode_in_graph(both[1])]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    done = 0
    try:
        for both in decoded.prefetch(4).as_numpy_iterator():
            yield both
            done += 1
    except tf.errors.OpError as error:
        lines = find_damage(pairs[done:]) or [str(error).splitlines()[0]]
        raise WorkError("\n".join(lines)) from error


def _describe(pair, shape, begin) -> dict:
    return {
        "name": pair.name,
        "height": shape[1],
        "width": shape[2],
        "begin": begin,
        "fingerprints": [_fingerprint(pair.blurry), _fingerprint(pair.sharp)],
    }


def _fingerprint(path) -> list:
    """[length, CRC-32 of both ends] of a file; independent of where the data set is stored."""
    length = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(_ENDS)
        file.seek(max(length - _ENDS, 0))
        return [length, zlib.crc32(file.read(_ENDS), zlib.crc32(head))]


# Checking


def _check_entries(cache_dir, entries, pairs) -> None:
    again = "prepare it again, or leave `cache_dir` out"
    if [entry["name"] for entry in entries] != [pair.name for pair in pairs]:
        raise InputError(f"{cache_dir}: not the cache of these {len(pairs)} pairs; {again}")
    for entry, pair in zip(entries, pairs):
        if entry["fingerprints"] != [_fingerprint(pair.blurry), _fingerprint(pair.sharp)]:
            raise InputError(f"{cache_dir}: {pair.blurry} or its ground truth has changed; {again}")


def _check_length(pixels, length) -> None:
    if not pixels.exists() or pixels.stat().st_size != length:
        raise InputError(f"{pixels}: missing or truncated; run data/prepare.py again")


def _refuse_other_files(cache_dir) -> None:
    known = (".pixels", ".json")
    others = [path.name for path in cache_dir.iterdir() if path.suffix not in known]
    if others:
        raise InputError(f"{cache_dir}: holds other files ({sorted(others)[0]}); choose another folder")


def _read_json(path) -> dict:
    return read_json(path, FORMAT, "a cache", "data/prepare.py")
