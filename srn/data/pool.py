"""Pools of precomputed crops: what the pipeline would make on the fly, made once and stored uncompressed.

A pool is a folder of

    index.json          settings of the crops, their size, checksums of the shards in order; written last
    NNNNN.pixels        uint8 RGB [SHARD, 2, S, S, 3]: blurry and sharp of each crop

Crops are a function of the settings and of their index: an interrupted pool is resumed, and an enlarged one
keeps its crops. They are read through memory maps, so that a pool may be larger than memory.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from srn.data.sources import ALGORITHM, Source, corner
from srn.errors import InputError
from srn.files import read_json, write_atomically, write_json

FORMAT = 1
INDEX = "index.json"
SHARD = 500  # crops


def make_pool(
    batches: Callable[[int], Iterable],
    pool_dir: str | os.PathLike[str],
    crop_size: int,
    num_shards: int,
    drawn_from: dict,
    progress: bool = True,
) -> int:
    """Makes a pool, or the missing shards of one.

    Args:
      batches: function of the index of a shard that returns an iterable of this and the following shards,
        uint8 [SHARD, 2, crop_size, crop_size, 3].
      pool_dir: the folder, created if it does not exist.
      crop_size: side of the crops, in pixels.
      num_shards: wanted number of shards; a pool with more keeps them.
      drawn_from: all settings that the crops depend on, JSON-serializable.
      progress: whether to show a progress bar on stderr.

    Returns:
      The number of crops made by this call.

    Raises `InputError` for a pool with other settings, and for a folder with other files.
    """
    pool_dir = Path(pool_dir)
    pool_dir.mkdir(parents=True, exist_ok=True)
    checksums = _known_checksums(pool_dir, crop_size, drawn_from)
    begun = len(checksums)
    missing = range(begun, num_shards)
    with tqdm(total=num_shards * SHARD, initial=begun * SHARD, unit="crop", disable=not progress) as bar:
        for shard, crops in zip(missing, batches(begun) if missing else ()):
            checksums.append(_write_shard(pool_dir / _name(shard), crops))
            description = {"crop_size": crop_size, "drawn_from": drawn_from, "checksums": checksums}
            write_json(pool_dir / INDEX, {"format": FORMAT, **description})
            bar.update(SHARD)
    return len(missing) * SHARD


class PoolSource(Source):
    """A pool as a source of training crops.

    Args:
      pool_dir: the folder.
      crop_size: side of the training crops, cut at random positions; the crops of the pool must be at least
        as large.

    Raises `InputError` if the pool is incomplete or its crops are too small.
    """

    def __init__(self, pool_dir: str | os.PathLike[str], crop_size: int):
        pool_dir = Path(pool_dir)
        index = _read_index(pool_dir)
        self._side = index["crop_size"]
        if self._side < crop_size:
            raise InputError(f"{pool_dir}: its crops are of {self._side} pixels, smaller than {crop_size}")
        self._shards = [self._open_shard(pool_dir / _name(n)) for n in range(len(index["checksums"]))]

    def __len__(self):
        return len(self._shards) * SHARD

    def reader(self, crop_size: int, seed: int) -> Callable:
        """See `Source`."""
        size = tf.constant([self._side, self._side])

        def read(sample, index):
            draws = tf.random.stateless_uniform([2], seed=tf.stack([seed, sample]), alg=ALGORITHM)
            top, left = tf.unstack(corner(size, crop_size, draws))
            return tf.numpy_function(
                self._read_window, [index, top, left, crop_size], tf.uint8, stateful=False
            )

        return read

    def describe(self, crop_size: int, seed: int, sample: int, item: int) -> str:
        """See `Source`."""
        shard, crop = divmod(item, SHARD)
        return f"{self._shards[shard].filename}: crop {crop}"

    def read_crop(self, index: int) -> np.ndarray:
        """A whole crop of the pool: uint8 [2, S, S, 3], blurry and sharp."""
        return self._read_window(index, 0, 0, self._side)

    def _read_window(self, index, top, left, size):
        shard, crop = divmod(int(index), SHARD)
        return np.ascontiguousarray(self._shards[shard][crop, :, top : top + size, left : left + size])

    def _open_shard(self, file):
        shape = (SHARD, 2, self._side, self._side, 3)
        if not file.exists() or file.stat().st_size != np.prod(shape):
            raise InputError(f"{file}: missing or truncated; run data/make_pool.py again")
        return np.memmap(file, np.uint8, mode="r", shape=shape)


def verify_pool(pool_dir: str | os.PathLike[str]) -> list[str]:
    """Compares the checksums of all shards; returns a line for each damaged one."""
    lines = []
    for shard, checksum in enumerate(_read_index(Path(pool_dir))["checksums"]):
        file = Path(pool_dir) / _name(shard)
        if not file.exists() or zlib.crc32(file.read_bytes()) != checksum:
            lines.append(f"{file}: damaged; remove the pool and make it again")
    return lines


def _known_checksums(pool_dir, crop_size, drawn_from) -> list:
    """The checksums of the existing shards; an empty list for a folder without a pool."""
    if not (pool_dir / INDEX).exists():
        others = [path.name for path in pool_dir.iterdir() if path.suffix != ".pixels"]
        if others:
            raise InputError(f"{pool_dir}: holds other files ({sorted(others)[0]}); give an empty folder")
        return []
    index = _read_index(pool_dir)
    if (index["crop_size"], index["drawn_from"]) != (crop_size, json.loads(json.dumps(drawn_from))):
        raise InputError(f"{pool_dir}: holds a pool of other settings; choose another --pool_dir")
    return index["checksums"]


def _write_shard(file, crops) -> int:
    """Writes a shard; returns its CRC-32."""
    pixels = np.asarray(crops, np.uint8).tobytes()
    write_atomically(file, pixels)
    return zlib.crc32(pixels)


def _name(shard) -> str:
    return f"{shard:05d}.pixels"


def _read_index(pool_dir) -> dict:
    return read_json(pool_dir / INDEX, FORMAT, "a pool", "data/make_pool.py")
