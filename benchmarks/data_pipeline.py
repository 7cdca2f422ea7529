"""Crops a second of the training pipeline: decoding PNG for every crop, beside the prepared cache.

    python benchmarks/data_pipeline.py --data_dir GOPRO_Large

Both make the same batches; they are timed in turn, and medians are printed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
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


def main() -> None:
    """Measures and prints a table."""
    arguments = parse()
    pairs = find_pairs(arguments.data_dir, smallest=arguments.crop_size)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        prepare(pairs, folder, progress=False)
        prepared = time.perf_counter() - start
        sources = {
            "PNG, decoded": (None, arguments.png_batches),
            "prepared cache": (PreparedCache(folder, pairs), 100),
        }
        rates = {name: [] for name in sources}
        for _ in range(arguments.runs):
            for name, (cache, batches) in sources.items():
                rates[name].append(measure(pairs, arguments, cache, batches))
    report(arguments, pairs, prepared, rates)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_dir", required=True, help="a data set of PNG files")
    parser.add_argument("--crop_size", type=int, default=256)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument(
        "--png_batches", type=int, default=6, help="timed batches of the decoding path in a run"
    )
    parser.add_argument("--runs", type=int, default=5)
    return parser.parse_args()


def measure(pairs, arguments, cache, batches) -> float:
    """Crops a second of a running pipeline, its first two batches left out."""
    stream = iter(stream_crops(pairs, arguments.batch_size, arguments.crop_size, cache=cache))
    for _ in range(2):
        next(stream)
    start = time.perf_counter()
    for _ in itertools.islice(stream, batches):
        pass
    return batches * arguments.batch_size / (time.perf_counter() - start)


def report(arguments, pairs, prepared, rates) -> None:
    """Prints what was measured."""
    print(f"processor        {processor()}, {os.cpu_count()} cores")
    print(f"versions         TensorFlow {tf.__version__}, Python {platform.python_version()}")
    print(f"crops            {arguments.crop_size}x{arguments.crop_size}, batch {arguments.batch_size}")
    print(f"preparing        {len(pairs)} pairs in {prepared:.1f} s")
    for name, values in rates.items():
        print(f"{name:16} {statistics.median(values):7.0f} crops/s ({min(values):.0f} to {max(values):.0f})")
    decoded, cached = (statistics.median(values) for values in rates.values())
    print(f"ratio            {cached / decoded:.1f}")


if __name__ == "__main__":
    main()
