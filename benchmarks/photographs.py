"""What `srn-deblur` takes beyond the bare network, measured in one run; and where its start goes.

    python benchmarks/photographs.py --runs 5

The command runs as a process of its own each time; the bare network in this one, after a first run. Both take
the same drawn photographs. Times are on the clock, and of the processor (user and system, all threads), which
say more where others use the machine too.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import srn
from srn.inference.machine import has_fast_bfloat16
from srn.provenance import processor

SIZES = ((1280, 720), (640, 360))
OF_FOLDER = (1280, 720)
# Each begins as the one before it and does one thing more.
START = {
    "Python, NumPy, OpenCV, Pillow": "import cv2, numpy, PIL.Image",
    "the command's own modules": "import srn.inference.command, srn.inference.stored_graph",
    "TensorFlow's session, the graph, its weights": (
        "restore = srn.Deblurrer({ckpt!r}, precision={precision!r}, keep_graph=True)"
    ),
    "first run, 64x64": "restore(numpy.zeros((64, 64, 3), 'uint8'))",
}
WHOLE = "import cv2, numpy, PIL.Image; import tensorflow"


class Seconds(NamedTuple):
    """On the clock, and of the processor."""

    clock: float
    processor: float

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.clock - other.clock, self.processor - other.processor)

    def __str__(self) -> str:
        return f"{self.clock:.2f} / {self.processor:.2f}"


def measure(call: Callable[[], object]) -> Seconds:
    """What `call` takes, with the processes that it starts and waits for."""

    def now() -> Seconds:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return Seconds(time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in used))

    start = now()
    call()
    return now() - start


def median(calls: dict[str, Callable[[], object]], runs: int) -> dict[str, Seconds]:
    """The medians of `runs` rounds, in each of which every call has its turn."""
    rounds = [{name: measure(call) for name, call in calls.items()} for _ in range(runs)]
    return {
        name: Seconds(*(statistics.median(values) for values in zip(*(each[name] for each in rounds))))
        for name in calls
    }


def draw(path: Path, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Writes a JPEG with smooth colours; returns its pixels."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 8, size[0] // 8, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC))
    return cv2.imread(str(path))


def python(*words: str) -> None:
    """Runs Python as a process; ends the benchmark where that fails."""
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measures and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ckpt", default="srn")
    parser.add_argument("--precision", default="bfloat16" if has_fast_bfloat16() else "float32")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=int, default=20, help="photographs in a folder; 0: not measured")
    arguments = parser.parse_args()
    ckpt, precision = arguments.ckpt, arguments.precision
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        restore = srn.Deblurrer(ckpt, precision=precision)
        options = ("--ckpt", ckpt, "--precision", precision, "--overwrite", "-o", str(folder / "out"))

        def command(*inputs: Path) -> None:
            python("-m", "srn.inference.command", *map(str, inputs), *options)

        load = os.getloadavg()[0]
        print(f"{processor()}, {os.cpu_count()} cores, load {load:.1f}; Python {platform.python_version()}")
        print(f"{ckpt}, {precision}, medians of {arguments.runs}; seconds on the clock / of the processor")
        small = folder / "small.jpg"
        draw(small, (64, 64))
        print(f"first start, 64x64: {measure(lambda: command(small))}", flush=True)

        calls: dict[str, Callable[[], object]] = {}
        for width, height in SIZES:
            file = folder / f"{width}x{height}.jpg"
            pixels = draw(file, (width, height))
            restore(pixels)  # the first run is slower
            calls[f"bare {width}x{height}"] = lambda pixels=pixels: restore(pixels)
            calls[f"command {width}x{height}"] = lambda file=file: command(file)
        times = median(calls, arguments.runs)
        print("photograph | bare network | the command | beyond the network")
        for width, height in SIZES:
            bare, whole = (times[f"{what} {width}x{height}"] for what in ("bare", "command"))
            print(f"one of {width}x{height} | {bare} | {whole} | {whole - bare}", flush=True)
        if arguments.folder:
            (folder / "many").mkdir()
            width, height = OF_FOLDER
            for number in range(arguments.folder):
                draw(folder / "many" / f"{number}.jpg", OF_FOLDER, number)
            pixels = cv2.imread(str(folder / "many/0.jpg"))
            bare = measure(lambda: [restore(pixels) for _ in range(arguments.folder)])
            whole = measure(lambda: command(folder / "many"))
            print(f"{arguments.folder} of {width}x{height} | {bare} | {whole} | {whole - bare}", flush=True)

        code, starts = "import srn", {}
        for what, line in START.items():
            code += "\n" + line.format(ckpt=ckpt, precision=precision)
            starts[what] = lambda code=code: python("-c", code)
        starts["whole"] = lambda: python("-c", WHOLE)
        times = median(starts, arguments.runs)
        print("where the start goes")
        before = Seconds(0, 0)
        for what in START:
            print(f"{what} | {times[what] - before}")
            before = times[what]
        print(f"(import of the whole of TensorFlow | {times['whole'] - times[next(iter(START))]})")


if __name__ == "__main__":
    main()
