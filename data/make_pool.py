"""Draws training crops in advance, so that a run reads them instead of making them.

    python data/make_pool.py --mix=photos:pictures:0.8,frames:high_speed_frames:0.2 --synthesis=gopro \
        --crop_size=144 --count=60000 --pool_dir=POOL
    python train.py --mix=pool:POOL:1 --crop_size=128 ...

An interrupted call goes on when it is given again; a larger --count adds to the pool. --downscale=2 makes
crops of pictures at half their size, and of half the blur. Make crops somewhat larger than --crop_size of the
run, which then places its own in them at random.
"""

import dataclasses

from absl import flags

from srn import command
from srn.data.mixture import open_sources, parse_mix
from srn.errors import InputError, WorkError
from srn.synthesis.settings import SYNTHESES

_MIX = flags.DEFINE_string("mix", None, "KIND:DIR:WEIGHT,... as for train.py.", required=True)
_POOL_DIR = flags.DEFINE_string("pool_dir", None, "Folder of the pool.", required=True)
_COUNT = flags.DEFINE_integer("count", 60000, "Crops; rounded up to whole shards.", lower_bound=1)
_CROP_SIZE = flags.DEFINE_integer("crop_size", 144, "Side of the square crops, in pixels.", lower_bound=1)
_BLUR_FOLDER = flags.DEFINE_string("blur_folder", "blur", "Of GOPRO and REDS, as for train.py.")
_SYNTHESIS = flags.DEFINE_enum(
    "synthesis", "gopro", list(SYNTHESES), "What blur is made: docs/making_blur.md."
)
_SOFTEN = flags.DEFINE_float(
    "soften",
    0.0,
    "Photographs are seen through a Gaussian of up to this standard deviation, in pixels of their own size.",
    lower_bound=0.0,
)
_DOWNSCALE = flags.DEFINE_integer(
    "downscale", 1, "Whole factor by which pictures are reduced first.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Of all draws.", lower_bound=0, upper_bound=2**31 - 1)
_VERIFY = flags.DEFINE_boolean("verify", False, "Compare checksums of the pool that is there; make nothing.")


def main() -> int:
    """Makes the pool that the flags describe, or verifies it; returns the exit code."""
    if _VERIFY.value:
        return _verify()
    from srn.data import pipeline, pool  # not above: they load TensorFlow

    settings = dataclasses.replace(SYNTHESES[_SYNTHESIS.value], soften=_SOFTEN.value)
    parts = parse_mix(_MIX.value)
    if any(part.kind == "pool" for part in parts):
        raise InputError("--mix: a pool is made of pictures, not of a pool")
    sources = open_sources(
        parts, _CROP_SIZE.value, _BLUR_FOLDER.value, settings=settings, downscale=_DOWNSCALE.value
    )
    weights = [part.weight for part in parts]

    def batches(first):
        first_crop = first * pool.SHARD
        stream = pipeline.stream_bytes(sources, _CROP_SIZE.value, _SEED.value, first_crop, weights=weights)
        return stream.batch(pool.SHARD, drop_remainder=True).as_numpy_iterator()

    drawn_from = {
        "parts": [[part.kind, len(source), part.weight] for part, source in zip(parts, sources)],
        "settings": dataclasses.asdict(settings),
        "downscale": _DOWNSCALE.value,
        "seed": _SEED.value,
    }
    num_shards = -(-_COUNT.value // pool.SHARD)
    made = pool.make_pool(batches, _POOL_DIR.value, _CROP_SIZE.value, num_shards, drawn_from)
    print(f"crops made: {made}; in {_POOL_DIR.value} now: {len(pool.PoolSource(_POOL_DIR.value, 1))}")
    return command.DONE


def _verify() -> int:
    from srn.data import pool

    damaged = pool.verify_pool(_POOL_DIR.value)
    if damaged:
        raise WorkError("\n".join(damaged))
    print(f"{_POOL_DIR.value}: whole")
    return command.DONE


if __name__ == "__main__":
    command.run(main)
