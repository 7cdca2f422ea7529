"""Crops a second of the training pipeline: PNG decoded for every crop, prepared cache, shaken photographs.

    python benchmarks/data_pipeline.py --data_dir GOPRO_Large --photos PHOTOGRAPHS

The first two make the same batches and are timed in turn. Camera shake is timed at 128 and 256 pixels.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import statistics
import tempfile
import time

from inference_ceiling import processor

from srn.command import quiet_tensorflow

quiet_tensorflow()

import tensorflow as tf  # noqa: E402

from srn.data.cache import PreparedCache, prepare  # noqa: E402
from srn.data.pairs import find_pairs  # noqa: E402
from srn.data.pipeline import stream_crops  # noqa: E402
from srn.data.sources import PairSource, PhotoSource  # noqa: E402


def main() -> None:
    """Measures and prints tables."""
    arguments = parse()
    print(f"processor        {processor()}, {os.cpu_count()} cores")
    print(f"versions         TensorFlow {tf.__version__}, Python {platform.python_version()}")
    compare_cache(arguments)
    if arguments.photos:
        measure_shake(arguments)


def compare_cache(arguments) -> None:
    """PNG beside the prepared cache."""
    pairs = find_pairs(arguments.data_dir, min_size=arguments.crop_size)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        prepare(pairs, folder, progress=False)
        print(f"preparing        {len(pairs)} pairs in {time.perf_counter() - start:.1f} s")
        sources = {
            "PNG, decoded": (PairSource(pairs), 6),
            "prepared cache": (PairSource(pairs, PreparedCache(folder, pairs)), 100),
        }
        rates = {name: [] for name in sources}
        for _ in range(arguments.runs):
            for name, (source, batches) in sources.items():
                rates[name].append(measure(source, arguments.crop_size, arguments.batch_size, batches))
    for name, values in rates.items():
        report(name, arguments.crop_size, values)
    decoded, cached = (statistics.median(values) for values in rates.values())
    print(f"ratio            {cached / decoded:.1f}")


def measure_shake(arguments) -> None:
    """Camera shake made on the fly, and the memory that this process has taken by then."""
    source = PhotoSource(arguments.photos)
    for crop_size in (128, 256):
        rates = [measure(source, crop_size, 8, 4) for _ in range(arguments.runs)]
        report("camera shake", crop_size, rates)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory      {peak:.2f} GiB of the process, TensorFlow included")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_dir", required=True, help="a data set of PNG files")
    parser.add_argument("--photos", help="a folder of sharp photographs")
    parser.add_argument("--crop_size", type=int, default=256)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--runs", type=int, default=5)
    return parser.parse_args()


def measure(source, crop_size, batch_size, batches) -> float:
    """Crops a second of a running pipeline, its first two batches left out."""
    stream = iter(stream_crops([source], batch_size, crop_size))
    for _ in range(2):
        next(stream)
    start = time.perf_counter()
    for _ in itertools.islice(stream, batches):
        pass
    return batches * batch_size / (time.perf_counter() - start)


def report(name, crop_size, rates) -> None:
    """Prints one line."""
    median = statistics.median(rates)
    print(f"{name:16} {crop_size}: {median:.0f} crops/s ({min(rates):.0f} to {max(rates):.0f})")


if __name__ == "__main__":
    main()
