r"""Creates the training data of `flags/release.cfg`, and the held-out pairs for validation.

    python tools/release_data.py --pairs=gopro_train --hold_out='*/00009[5-9]' --hold_out='*/0001*' \
        --frames=gopro_240fps/GOPR0477_11_00 --photos=sharp_photos --out_dir=release

writes OUT/train/{blur,sharp}, OUT/held_out/{blur,sharp} and OUT/cache, a prepared cache of OUT/train.
Training pairs are real pairs (eight links to each), means of frames in stored values and in linear light
(three links to each), and photographs with two camera shakes each. The number of links sets the fraction of
the crops. Existing pairs are kept.
"""

import fnmatch
import shutil
import subprocess
import sys
from pathlib import Path

from absl import flags

from srn import command
from srn.data.pairs import find_pairs
from srn.errors import InputError
from srn.images import is_image

ROOT = Path(__file__).resolve().parents[1]
REAL_LINKS, FRAME_LINKS = 8, 3
# (folder, flags of data/make_blur.py): means of stored values as in GOPRO's `blur`, and of linear light.
WINDOWS = (
    ("frames_plain", ("--stride=2", "--seed=1")),
    ("frames_light", ("--stride=3", "--seed=2", "--gamma=2.2")),
)

_PAIRS = flags.DEFINE_string("pairs", None, "Data set of real pairs.", required=True)
_HOLD_OUT = flags.DEFINE_multi_string(
    "hold_out", [], "Pattern of names of pairs that are only used for validation."
)
_FRAMES = flags.DEFINE_string("frames", None, "Folder of consecutive frames.", required=True)
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of sharp photographs.", required=True)
_SHAKEN = flags.DEFINE_integer(
    "shaken", 54, "Number of photographs that get two camera shakes each.", lower_bound=1
)
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Output folder.", required=True)


def main() -> int:
    """Makes the data; returns the exit code."""
    out = Path(_OUT_DIR.value).absolute()
    for folder in (out / "train", out / "held_out"):
        shutil.rmtree(folder, ignore_errors=True)  # only links, perhaps of other settings
    for pair in find_pairs(_PAIRS.value, "auto", "train"):
        is_held_out = any(fnmatch.fnmatch(pair.name, pattern) for pattern in _HOLD_OUT.value)
        name = "real_" + pair.name.replace("/", "_")
        link(pair, out / ("held_out" if is_held_out else "train"), name, 1 if is_held_out else REAL_LINKS)
    for name, words in WINDOWS:
        run("data/make_blur.py", f"--frames={_FRAMES.value}", f"--out_dir={out / name}", *words)
        for pair in find_pairs(out / name, "pairs", "train"):
            link(pair, out / "train", f"{name}_{pair.name}", FRAME_LINKS)
    for pair in shake_photographs(out):
        link(pair, out / "train", f"shaken_{pair.name}", 1)
    run("data/prepare.py", f"--data_dir={out / 'train'}", "--dataset=pairs", f"--cache_dir={out / 'cache'}")
    return command.DONE


def shake_photographs(out: Path) -> list:
    """Pairs with two camera shakes of each of the first photographs by name."""
    files = sorted(path for path in Path(_PHOTOS.value).glob("*") if is_image(path))
    photographs = files[: _SHAKEN.value]
    if not photographs:
        raise InputError(f"--photos={_PHOTOS.value}: no photograph in it")
    chosen = out / "photographs"
    chosen.mkdir(parents=True, exist_ok=True)
    for photograph in photographs:
        make_link(photograph, chosen / photograph.name)
    run(
        "data/make_blur.py",
        f"--photos={chosen}",
        f"--out_dir={out / 'shaken'}",
        "--count_per_photo=2",
        "--seed=3",
    )
    return find_pairs(out / "shaken", "pairs", "train")


def link(pair, folder: Path, name: str, times: int) -> None:
    """Links both sides of a pair into a data set of the layout `pairs`, several times."""
    for number in range(times):
        for side, file in (("blur", pair.blurry), ("sharp", pair.sharp)):
            make_link(file, folder / side / f"{name}_{number}.png")


def make_link(file, target: Path) -> None:
    """Creates a symbolic link, if there is none yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_symlink():
        target.symlink_to(Path(file).absolute())


def run(script: str, *words) -> None:
    """Runs a script of the repository; exits if it fails."""
    done = subprocess.run([sys.executable, str(ROOT / script), *words])
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    command.run(main)
