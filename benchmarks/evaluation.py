"""Time and memory of `evaluate.py --results_dir` for a test set, compared with scikit-image.

    python benchmarks/evaluation.py --draw 1111 --folder /tmp/pairs

Draws pairs of 1280x720 and simulated results, unless they exist (4 GB for 1111 pairs). Both programs read the
same PNG files, in as many processes. evaluate.py computes PSNR, two SSIMs, and PSNR of the blurry images, and
writes its report; scikit-image computes the two PSNRs and one SSIM. Memory is the proportional set size of
all processes, every three seconds.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from srn.provenance import processor

ROOT = Path(__file__).resolve().parents[1]
HEIGHT, WIDTH = 720, 1280
PER_SEQUENCE = 101


def draw(folder: Path, index: int) -> None:
    """Writes a sharp image of random texture, the same blurred along a line, and their mixture as result."""
    generator = np.random.default_rng(index)
    sharp = np.zeros((HEIGHT, WIDTH, 3))
    for cell in (4, 16, 64):
        noise = generator.random((HEIGHT // cell + 1, WIDTH // cell + 1, 3))
        sharp += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * 85
    sharp = np.clip(sharp, 0, 255).astype(np.uint8)
    length = int(generator.integers(3, 25))
    kernel = np.zeros((length, length))
    cv2.line(kernel, (0, int(generator.integers(length))), (length - 1, int(generator.integers(length))), 1)
    blurry = cv2.filter2D(sharp, -1, kernel / kernel.sum())
    name = f"{index:06d}.png"
    sequence = f"drawn{index // PER_SEQUENCE:02d}"
    images = {
        f"data/test/{sequence}/blur": blurry,
        f"data/test/{sequence}/sharp": sharp,
        f"results/{sequence}": cv2.addWeighted(blurry, 0.6, sharp, 0.4, 0),
    }
    for subfolder, image in images.items():
        (folder / subfolder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / subfolder / name), image, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def score(result: Path) -> tuple[float, float, float]:
    """PSNR, PSNR of the blurry image, and channel-wise SSIM by scikit-image."""
    sequence = result.parents[2] / "data/test" / result.parent.name
    files = (result, sequence / "sharp" / result.name, sequence / "blur" / result.name)
    restored, sharp, blurry = (cv2.imread(str(file)) for file in files)
    ssim = structural_similarity(
        sharp,
        restored,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    psnr, psnr_blurry = (
        peak_signal_noise_ratio(sharp, image, data_range=255) for image in (restored, blurry)
    )
    return psnr, psnr_blurry, ssim


def score_all(folder: Path, processes: int) -> np.ndarray:
    """The means of `score` over a folder."""
    cv2.setNumThreads(1)
    with multiprocessing.Pool(processes) as pool:
        return np.mean(pool.map(score, sorted((folder / "results").rglob("*.png")), chunksize=8), axis=0)


def evaluate(folder: Path) -> None:
    """Runs evaluate.py from the beginning."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "evaluate.py"),
            f"--results_dir={folder}/results",
            f"--data_dir={folder}/data",
            f"--out_dir={folder}/out",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def memory_of_children() -> int:
    """Proportional set size of all processes that this one has started, in MiB."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:  # has ended
                continue
            children.setdefault(parent, []).append(int(entry.name))
    total, todo = 0, list(children.get(os.getpid(), []))
    while todo:
        process = todo.pop()
        todo += children.get(process, [])
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total // 1024


def measure(call: Callable[[], object]) -> str:
    """Seconds, and memory over time, of a call that starts processes."""
    samples, ended = [], threading.Event()

    def sample() -> None:
        while not ended.wait(3):
            samples.append(memory_of_children())

    sampler = threading.Thread(target=sample)
    start = time.perf_counter()
    sampler.start()
    try:
        call()
    finally:
        ended.set()
        sampler.join()
    seconds = time.perf_counter() - start
    quarters = [max(part, default=0) for part in np.array_split(samples, 4)]
    return f"{seconds:.1f} s, peak memory by quarters of the time {', '.join(map(str, quarters))} MiB"


def main() -> None:
    """Draws, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draw", type=int, default=1111, help="number of pairs")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="of scikit-image")
    arguments = parser.parse_args()
    folder = arguments.folder
    for index in range(arguments.draw):
        if not (folder / f"results/drawn{index // PER_SEQUENCE:02d}/{index:06d}.png").exists():
            draw(folder, index)
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"evaluate.py: {measure(lambda: evaluate(folder))}")
    with open(folder / "out/results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    ours = [np.mean([float(row[name]) for row in rows]) for name in ("psnr", "psnr_blurry", "ssim_channel")]
    means: list[np.ndarray] = []
    took = measure(lambda: means.append(score_all(folder, arguments.processes)))
    print(f"scikit-image {skimage.__version__}, {arguments.processes} processes: {took}")
    print(f"largest difference of the means: {np.max(np.abs(ours - means[0])):.1e}")
    print(f"report.html: {(folder / 'out/report.html').stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
