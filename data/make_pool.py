"""Precomputes training crops, so that training reads them instead of making them on the fly.

    python data/make_pool.py --mix=photos:pictures:0.8,frames:high_speed_frames:0.2 --synthesis=gopro \
        --crop_size=144 --count=60000 --pool_dir=POOL
    python train.py --mix=pool:POOL:1 --crop_size=128 ...

The same command resumes an interrupted one; a larger --count enlarges the pool. --downscale=2 makes crops of
images at half their size, with half the blur. Make the crops somewhat larger than the --crop_size of the
training, which cuts its own crops from them at random positions.
"""

import dataclasses

from absl import flags

from srn import command
from srn.data.mixture import open_sources, parse_mix
from srn.errors import InputError, WorkError
from srn.synthesis.settings import SYNTHESES

_MIX = flags.DEFINE_string("mix", None, "KIND:DIR:WEIGHT,..., as for train.py.", required=True)
_POOL_DIR = flags.DEFINE_string("pool_dir", None, "Output folder of the pool.", required=True)
_COUNT = flags.DEFINE_integer("count", 60000, "Number of crops, rounded up to whole shards.", lower_bound=1)
_CROP_SIZE = flags.DEFINE_integer("crop_size", 144, "Side of the square crops, in pixels.", lower_bound=1)
_BLUR_FOLDER = flags.DEFINE_string(
    "blur_folder", "blur", "GOPRO and REDS: folder of the blurry images, as for train.py."
)
_SYNTHESIS = flags.DEFINE_enum(
    "synthesis", "gopro", list(SYNTHESES), "Preset of blur synthesis; see docs/making_blur.md."
)
_SOFTEN = flags.DEFINE_float(
    "soften",
    0.0,
    "Maximum standard deviation of a Gaussian blur applied to photographs first, in pixels at full size.",
    lower_bound=0.0,
)
_DOWNSCALE = flags.DEFINE_integer(
    "downscale", 1, "Integer factor by which images are downscaled.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", lower_bound=0, upper_bound=2**31 - 1)
_VERIFY = flags.DEFINE_boolean("verify", False, "Only compare the checksums of an existing pool.")


def main() -> int:
    """Makes or verifies the pool; returns the exit code."""
    if _VERIFY.value:
        return _verify()
    from srn.data import pipeline, pool  # imported here, since they load TensorFlow

    settings = dataclasses.replace(SYNTHESES[_SYNTHESIS.value], soften=_SOFTEN.value)
    parts = parse_mix(_MIX.value)
    if any(part.kind == "pool" for part in parts):
        raise InputError("--mix: a pool cannot be made from a pool")
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
