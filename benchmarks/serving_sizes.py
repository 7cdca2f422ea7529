"""Memory of a served model over photographs of ever other sizes, and what they cost beside those of one size.

    python benchmarks/serving_sizes.py --server localhost:8500 --pid PID

625 sizes, 16i x 16j with i and j from 1 to 25, in random order, `--passes` times, by `--clients` callers.
After each 125 of them come 40 photographs of one size, the mean of them all: both meet the same load of the
machine.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor

from serving import encode, memory
from srn.provenance import processor
from srn.serving.client import connect

SIZES = [(16 * i, 16 * j) for i, j in itertools.product(range(1, 26), repeat=2)]
ONE_SIZE = (208, 208)  # the mean number of pixels
BLOCK, BLOCK_OF_ONE_SIZE = 125, 40
SETTLED = 300  # photographs after which memory should have what it needs


def main() -> None:
    """Measures and prints."""
    arguments = parse()
    print(f"{processor()}, model of {arguments.server}")
    sizes = [size for _ in range(arguments.passes) for size in random.Random(0).sample(SIZES, len(SIZES))]
    rates: dict[str, list[tuple[int, float]]] = {"mixed": [], "one size": []}
    settled = None
    with connect(arguments.server, timeout=600) as server, ThreadPoolExecutor(arguments.clients) as callers:
        for done in range(0, len(sizes), BLOCK):
            rates["mixed"].append(restore(server, callers, sizes[done : done + BLOCK]))
            now = memory(arguments.pid)["VmRSS"]
            print(f"{done + BLOCK} photographs: {now:.0f} MiB", flush=True)
            rates["one size"].append(restore(server, callers, [ONE_SIZE] * BLOCK_OF_ONE_SIZE))
            if settled is None and done + BLOCK >= SETTLED:
                settled = now
    print(f"growth after the first {SETTLED}: {now / settled - 1:+.1%}")
    speeds = {name: sum(p for p, _ in all_of) / sum(s for _, s in all_of) for name, all_of in rates.items()}
    print(", ".join(f"{name}: {speed / 1e6:.3f} megapixels/s" for name, speed in speeds.items()))


def restore(server, callers, sizes) -> tuple[int, float]:
    """(pixels, seconds) of photographs of these sizes."""
    files = [encode(size, seed) for seed, size in enumerate(sizes)]
    start = time.perf_counter()
    for _ in callers.map(lambda file: server.restore_files([file]), files):
        pass
    return sum(height * width for height, width in sizes), time.perf_counter() - start


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="localhost:8500")
    parser.add_argument("--pid", type=int, required=True, help="of the server's process on this machine")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--passes", type=int, default=2, help="through all sizes (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
