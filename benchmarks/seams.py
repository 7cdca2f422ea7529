"""Receptive field of the network and error of tiling: differences from whole images, in 1/255.

    python benchmarks/seams.py --images GOPRO_Large/train/GOPR0372_07_00/blur --tiles 256,512,1024

First cuts each image in two and compares the left half, restored alone, with the same columns of the whole:
by distance from the cut, that is how much context a pixel needs. Then compares tiled with whole images.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import srn
from srn.images import is_image, read_rgb
from srn.inference import tiling


def percentiles(difference):
    """The 99.9th percentile and the maximum, as text."""
    return f"{np.percentile(difference, 99.9):8.3f} {difference.max():8.3f}"


def main():
    """Measures and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", required=True, type=Path, help="a folder")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--ckpt", default="srn")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--tiles", default="256,512,1024")
    arguments = parser.parse_args()
    files = sorted(file for file in arguments.images.rglob("*") if is_image(file))
    files = files[:: max(len(files) // arguments.count, 1)][: arguments.count]
    restore = srn.Deblurrer(arguments.ckpt, precision=arguments.precision)
    images = [read_rgb(file).astype(np.float32) / 255 for file in files]
    whole = [restore(image) for image in images]

    print("distance from the cut, 99.9th percentile, maximum (1/255)")
    halves = []
    for image, expected in zip(images, whole):
        cut = image.shape[1] // 2 // tiling.GRID * tiling.GRID
        halves.append(255 * np.abs(restore(image[:, :cut]) - expected[:, :cut])[:, ::-1])
    for distance in (0, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256):
        strips = [half[:, distance : distance + 16] for half in halves]
        print(f"{distance:5d} {percentiles(np.concatenate(strips))}")

    print(f"tile, 99.9th percentile, maximum (1/255), at {tiling.CONTEXT} pixels of context")
    for tile in map(int, arguments.tiles.split(",")):
        differences = [
            255 * np.abs(restore(image, tile=tile) - expected) for image, expected in zip(images, whole)
        ]
        print(f"{tile:5d} {percentiles(np.concatenate(differences))}", flush=True)


if __name__ == "__main__":
    main()
