"""A prepared data set: every pair decoded once, as bytes from which a crop's rows are read directly.

A cache is a folder of

    index.json          the shards in order; written last, so that it stands for a whole cache
    SHARD.json          of each pair: its name, its size, where it begins, and what its files looked like
    SHARD.pixels        uint8 RGB, blurry [H, W, 3] then sharp [H, W, 3], pair after pair

with a shard for each sequence, or several of some 512 MiB. Pixels are those that the pipeline decodes without
a cache, so that batches are the same with and without.
"""

from __future__ import annotations

import json
import math
import os
import uuid
import zlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srn.data.pairs import find_damage
from srn.errors import InputError, WorkError
from srn.files import write_atomically

FORMAT = 2  # 1 held JPEG files as TensorFlow's fast transform decodes them
INDEX = "index.json"
SHARD_BYTES = 512 * 2**20
_ENDS = 4096  # bytes at both ends of a file that its fingerprint looks at


class PreparedCache:
    """Windows of the pairs of a data set, read from a cache that `prepare` has written.

    Args:
      cache_dir: the folder.
      pairs: the data set's pairs now, in the order of `find_pairs`.

    Attributes:
      sizes: int32 [pairs, 2], height and width.

    Raises `InputError` if the cache is not whole, or is not of exactly these pairs as they are now.
    """

    def __init__(self, cache_dir, pairs: list):
        cache_dir = Path(cache_dir)
        entries: list[dict] = []
        self._pairs: list[np.ndarray] = []
        self._files: list[tuple[Path, int]] = []  # of each pair: its shard, and the bytes that must be there
        for shard in _read_json(cache_dir / INDEX)["shards"]:
            description = _read_json(cache_dir / f"{shard}.json")
            pixels = cache_dir / f"{shard}.pixels"
            _check_length(pixels, description["bytes"])
            entries += description["pairs"]
            self._files += [(pixels, description["bytes"])] * len(description["pairs"])
            self._pairs += _views(np.memmap(pixels, np.uint8, mode="r"), description["pairs"])
        _check_entries(cache_dir, entries, pairs)
        self.sizes = np.array([pair.shape[1:3] for pair in self._pairs], np.int32).reshape(-1, 2)

    def read_window(self, place: int, top: int, left: int, size: int) -> np.ndarray:
        """uint8 [2, size, size, 3]: blurry and sharp RGB of pair number `place`, from (top, left) on.

        Raises `WorkError` if the file was cut short since: reading on would end the process.
        """
        file, length = self._files[place]
        if os.path.getsize(file) < length:
            raise WorkError(f"{file}: was cut short; prepare the cache again")
        return np.ascontiguousarray(self._pairs[place][:, top : top + size, left : left + size])


def _views(pixels, entries) -> list:
    """The pairs of a shard, [2, H, W, 3] each, as views on its file."""
    views = []
    for entry in entries:
        shape = (2, entry["height"], entry["width"], 3)
        views.append(pixels[entry["begin"] : entry["begin"] + math.prod(shape)].reshape(shape))
    return views


def prepare(pairs: list, cache_dir: str | os.PathLike[str], progress: bool = True) -> int:
    """Decodes every pair into `cache_dir`; what an earlier, interrupted call has finished is kept.

    Args:
      pairs: `srn.data.pairs.Pair`s.
      cache_dir: the folder, made if need be; one that holds something else is refused.
      progress: whether to show a bar on stderr.

    Returns:
      How many pairs were decoded by this call.

    Raises `InputError` for a folder of other things, `WorkError` naming the image that cannot be decoded.
    """
    cache_dir = Path(cache_dir)
    cache_dir.mkdir(parents=True, exist_ok=True)
    _refuse_other_things(cache_dir)
    shards = _split_into_shards(pairs)
    (cache_dir / INDEX).unlink(missing_ok=True)  # until every shard is of these pairs
    decoded = 0
    with tqdm(total=len(pairs), unit="pair", disable=not progress) as bar:
        for name, members in shards.items():
            if _is_done(cache_dir, name, members):
                bar.update(len(members))
                continue
            _write_shard(cache_dir, name, members, bar)
            decoded += len(members)
    write_atomically(cache_dir / INDEX, _json({"format": FORMAT, "shards": list(shards)}))
    return decoded


def verify_checksums(cache_dir: str | os.PathLike[str]) -> list:
    """Reads a cache whole; a line for each shard whose pixels are not what was written."""
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
    """{shard: its pairs}: consecutive pairs of one sequence, some SHARD_BYTES of files at most."""
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
    """Whether the shard was written whole, from these pairs as they are now."""
    try:
        description = _read_json(cache_dir / f"{shard}.json")
        _check_length(cache_dir / f"{shard}.pixels", description["bytes"])
        _check_entries(cache_dir, description["pairs"], pairs)
    except InputError:
        return False
    return True


def _write_shard(cache_dir, shard, pairs, bar) -> None:
    """Writes the pixels under a temporary name, renames them, then writes the description."""
    (cache_dir / f"{shard}.json").unlink(missing_ok=True)
    temporary = cache_dir / f".partial-{uuid.uuid4().hex}.pixels"
    entries, length, checksum = [], 0, 0
    try:
        with open(temporary, "wb") as file:
            for pair, both in zip(pairs, _decode_all(pairs)):
                entries.append(_describe(pair, both.shape, length))
                file.write(both)
                length, checksum = length + both.nbytes, zlib.crc32(both, checksum)
                bar.update()
        os.replace(temporary, cache_dir / f"{shard}.pixels")
    finally:
        temporary.unlink(missing_ok=True)
    description = {"format": FORMAT, "bytes": length, "crc32": checksum, "pairs": entries}
    write_atomically(cache_dir / f"{shard}.json", _json(description))


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
    """[bytes, CRC-32 of both ends] of a file: tells another file at once, wherever the data set lies."""
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
            raise InputError(f"{cache_dir}: {pair.blurry} or its truth has changed since; {again}")


def _check_length(pixels, length) -> None:
    if not pixels.exists() or pixels.stat().st_size != length:
        raise InputError(f"{pixels}: missing or cut short; run data/prepare.py again")


def _refuse_other_things(cache_dir) -> None:
    known = (".pixels", ".json")
    others = [path.name for path in cache_dir.iterdir() if path.suffix not in known]
    if others:
        raise InputError(f"{cache_dir}: holds other things ({sorted(others)[0]}); give a folder of its own")


def _read_json(path) -> dict:
    try:
        description = json.loads(Path(path).read_text())
        if description["format"] == FORMAT:
            return description
    except FileNotFoundError:
        raise InputError(f"{path}: not there; run data/prepare.py (again)") from None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: not of a cache of this version; run data/prepare.py again")


def _json(description) -> bytes:
    return (json.dumps(description) + "\n").encode()
