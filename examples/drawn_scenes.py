"""Draws synthetic blurry/sharp training pairs, for machines without photographs.

    python examples/drawn_scenes.py OUT --train 48 --test 4 --size 384x256 --seed 0

writes OUT/{train,test}/{blur,sharp}/0000.png, ... and finally OUT/scenes.json with the arguments. An existing
complete set with the same arguments is kept.

A scene is a background with one to three objects in front of it (`scenery.py`). During the exposure, the
camera shakes and each object moves along its own path. The mean of the sub-frames is the blurry image, the
middle one is the sharp image. Scenes are drawn at twice the size and downscaled by area averaging, so that
edges are as soft as in photographs. A scene is a function of (seed, split, index, size).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import scenery
from tqdm import tqdm

from srn.command import quiet_tensorflow
from srn.files import write_atomically
from srn.images import write_png

SPLITS = ("train", "test")
SIDES = ("blur", "sharp")
SUPERSAMPLING = 2  # drawn pixels for one pixel of the picture, each way

# In pixels of the picture. Strokes that a small network learns to undo in minutes: short, and sideways.
MIN_LENGTH, MAX_LENGTH = 4.0, 9.0
HEADINGS = (-0.35, 0.35)  # in radians from the horizontal
MAX_LENGTH_OF_OBJECTS = 5.0  # on top of the camera's
MARGIN = 24  # drawn around the picture and around objects: no path leads further than the two together

SUB_FRAMES = (13, 15, 17)
NOISE = 1.5 / 255  # standard deviation of the sensor's noise
SMALLEST = 64  # side of a picture, in pixels


def main() -> None:
    """Writes the set that the command line asks for, unless it is there."""
    arguments = parse()
    numbers = {
        "train": arguments.train,
        "test": arguments.test,
        "size": list(arguments.size),
        "seed": arguments.seed,
    }
    note = arguments.out / "scenes.json"
    jobs = [(split, index) for split in SPLITS for index in range(numbers[split])]
    wanted = {picture_path(arguments.out, side, *job) for job in jobs for side in SIDES}
    there = {path for split in SPLITS for path in (arguments.out / split).glob("*/[!.]*.png")}
    if note.exists() and json.loads(note.read_text()) == numbers and wanted <= there:
        print(f"{arguments.out}: these scenes are drawn already")
        return
    if there - wanted:
        print(f"{min(there - wanted)} is not of this set; draw it into another folder", file=sys.stderr)
        sys.exit(2)
    note.unlink(missing_ok=True)  # it vouches for the old pictures, which now give way one by one
    quiet_tensorflow()
    for split, index in tqdm(jobs, unit="scene"):
        blurry, sharp = draw_pair(arguments.seed, split, index, *arguments.size)
        for side, picture in zip(SIDES, (blurry, sharp)):
            write_picture(picture_path(arguments.out, side, split, index), picture)
    write_atomically(note, (json.dumps(numbers) + "\n").encode())


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draws blurry/sharp training pairs.")
    parser.add_argument("out", type=Path, help="folder for the set")
    parser.add_argument("--train", type=pairs, default=48, help="pairs to learn from")
    parser.add_argument("--test", type=pairs, default=4, help="pairs to score")
    parser.add_argument("--size", type=size, default=(384, 256), help="WIDTHxHEIGHT")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def pairs(text: str) -> int:
    """`48` -> 48."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}: a number of pairs is not negative")
    return number


def size(text: str) -> tuple[int, int]:
    """`384x256` -> (384, 256)."""
    width, height = (int(part) for part in text.split("x"))
    if min(width, height) < SMALLEST:
        raise argparse.ArgumentTypeError(f"{text}: each side must be at least {SMALLEST}")
    if height > 2 * width:
        raise argparse.ArgumentTypeError(f"{text}: too narrow; at most twice as high as wide")
    return width, height


def picture_path(folder: Path, side: str, split: str, index: int) -> Path:
    """Path of one image of the set."""
    return folder / split / side / f"{index:04d}.png"


def draw_pair(seed: int, split: str, index: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws one scene: (blurry, sharp), uint8 RGB [H, W, 3]."""
    generator = np.random.default_rng((seed, SPLITS.index(split), index))
    scene = scenery.SCENES[index % len(scenery.SCENES)]
    frames = draw_frames(generator, scene, height, width)
    pictures = (frames.mean(axis=0), frames[len(frames) // 2])
    return tuple(_to_uint8(picture + generator.normal(0, NOISE, picture.shape)) for picture in pictures)


def draw_frames(generator, scene, height, width) -> np.ndarray:
    """Draws the sub-frames of one exposure: float32 [sub-frames, H, W, 3] in [0, 1], odd in number."""
    # TensorFlow takes seconds to import, and neither --help nor a set that is there needs it.
    from srn.synthesis import blur

    def look(image, path):
        return blur.views(image, blur.projective_transforms(path, *image.shape[:2])).numpy()

    count, margin = int(generator.choice(SUB_FRAMES)), SUPERSAMPLING * MARGIN
    height, width = SUPERSAMPLING * height + 2 * margin, SUPERSAMPLING * width + 2 * margin
    camera = blur.camera_path(
        generator, count, SUPERSAMPLING * MAX_LENGTH, SUPERSAMPLING * MIN_LENGTH, headings=HEADINGS
    )
    frames = look(scenery.draw_background(generator, scene, height, width), camera)
    for _ in range(int(generator.integers(1, 4))):
        high = int(generator.uniform(0.15, 0.4) * (height - 2 * margin)) + 2 * margin
        wide = int(generator.uniform(0.2, 0.45) * (height - 2 * margin)) + 2 * margin
        path = blur.camera_path(generator, count, SUPERSAMPLING * MAX_LENGTH_OF_OBJECTS, rotation=0, zoom=0)
        layer = look(scenery.draw_object(generator, high, wide, margin), camera + path)
        top, left = int(generator.integers(height - high)), int(generator.integers(width - wide))
        behind = frames[:, top : top + high, left : left + wide]
        behind *= 1 - layer[..., 3:]
        behind += layer[..., :3]
    inside = frames[:, margin:-margin, margin:-margin]
    size = (inside.shape[2] // SUPERSAMPLING, inside.shape[1] // SUPERSAMPLING)
    reduced = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in inside])
    return np.clip(reduced, 0, 1)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Writes uint8 RGB as PNG, whole or not at all."""
    write_png(path, picture)


def _to_uint8(picture):
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    main()
