"""Scores of checkpoints: gains in dB on held-out pairs and on pools, as a table.

    python benchmarks/progress.py --set=held_out:HELD_OUT:2 --set=gopro:POOL:1 --csv=progress.csv \
        runs/long/step-1000 runs/long/step-2000 sr_edrb1

A set is NAME:FOLDER:FACTOR, a data set of pairs or a pool of crops (data/make_pool.py), downscaled by FACTOR.
What the CSV file holds already is not measured again. `gain` is the mean over the images of the PSNR of the
restored less that of the blurry one (8 bits); `pooled` is the gain of the PSNR over all pixels, in which
heavily blurred images count most; `minimum` is the smallest gain of an image. docs/draw/progress.py plots it.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

import numpy as np

from srn.data.pairs import find_pairs
from srn.images import read_rgb

COLUMNS = ("checkpoint", "step", "set", "images", "blurry", "restored", "gain", "pooled", "minimum")
POOL_CROPS = 256  # of a pool are measured
PIXELS_AT_ONCE = 480 * 1280


def main() -> None:
    """Measures what is asked for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoints", nargs="*", help="as --ckpt of evaluate.py")
    parser.add_argument("--set", action="append", default=[], metavar="NAME:FOLDER:FACTOR", dest="sets")
    parser.add_argument("--csv", required=True, help="file of all results; lines are added to it")
    arguments = parser.parse_args()
    rows = read_rows(arguments.csv)
    sets = {text.split(":")[0]: load_set(*text.split(":")[1:]) for text in arguments.sets}
    for checkpoint in arguments.checkpoints:
        known = {row["set"] for row in rows if row["checkpoint"] == checkpoint}
        missing = {name: images for name, images in sets.items() if name not in known}
        for row in measure(checkpoint, missing) if missing else ():
            rows.append(row)
            print(*row.values(), flush=True)
            write_rows(arguments.csv, rows)


def load_set(folder: str, factor: str = "1") -> list:
    """Blurry and sharp, uint8 [H, W, 3] each, of every image of a set."""
    from srn.data import pool
    from srn.data.sources import downscale_image

    if (Path(folder) / pool.INDEX).exists():
        crops = pool.PoolSource(folder, 1)
        images = [crops.read_crop(index) for index in range(min(len(crops), POOL_CROPS))]
    else:
        images = [(read_rgb(pair.blurry), read_rgb(pair.sharp)) for pair in find_pairs(folder)]
    return [[downscale_image(side, int(factor)) for side in pair] for pair in images]


def measure(checkpoint: str, sets: dict):
    """Yields a row for each set."""
    from srn import weights

    model = weights.load_model(checkpoint, precision="bfloat16")
    step = re.search(r"-(\d+)$", checkpoint)
    for name, images in sets.items():
        before, after = [], []
        for blurry, sharp, restored in restore(model, images):
            before.append(mean_squared_error(blurry, sharp))
            after.append(mean_squared_error(restored, sharp))
        gains = psnr(after) - psnr(before)
        numbers = {
            "blurry": psnr(before).mean(),
            "restored": psnr(after).mean(),
            "gain": gains.mean(),
            "pooled": psnr(np.mean(after)) - psnr(np.mean(before)),
            "minimum": gains.min(),
        }
        yield {
            **{"checkpoint": checkpoint, "step": step.group(1) if step else "", "set": name},
            **{"images": len(images), **{key: f"{value:.3f}" for key, value in numbers.items()}},
        }


def restore(model, images):
    """Yields (blurry, sharp, restored), uint8 [H, W, 3]; images of one size together."""
    at_once = max(PIXELS_AT_ONCE // (images[0][0].shape[0] * images[0][0].shape[1]), 1)
    if len({blurry.shape for blurry, _ in images}) > 1:
        at_once = 1
    for first in range(0, len(images), at_once):
        pairs = images[first : first + at_once]
        restored = model.restore(np.float32([blurry for blurry, _ in pairs]) / 255)
        for (blurry, sharp), image in zip(pairs, np.asarray(restored)):
            yield blurry, sharp, np.rint(np.clip(image, 0, 1) * 255)


def mean_squared_error(image: np.ndarray, sharp: np.ndarray) -> float:
    """In grey levels squared."""
    return float(np.mean((np.float64(image) - sharp) ** 2))


def psnr(errors) -> np.ndarray:
    """PSNR in dB of mean squared errors of 8-bit images."""
    return 10 * np.log10(255**2 / np.maximum(errors, 1e-3))


def read_rows(path: str) -> list[dict]:
    """The rows of a CSV file, none where there is no file yet."""
    if not Path(path).exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: str, rows: list[dict]) -> None:
    """Writes all rows."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
