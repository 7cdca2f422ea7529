"""Packs photographs, frames and pairs for training on another machine, in parts of limited size.

    python -m tools.stablehlo.pack --out_dir=PACKED --photos=PICTURES --frames=SEQUENCES --pairs=GOPRO_Large \
        --hold_out='GOPR0372_07_00/00009[5-9]' --hold_out='GOPR0372_07_00/0001*'

writes PACKED/part_0, part_1, ..., which are to be merged into one folder, the archive that train.py reads.
JPEG files are copied, others are converted to JPEG of quality 97 without chroma subsampling. Pairs whose NAME
matches --hold_out are used for validation only.
"""

import fnmatch
import json
from pathlib import Path

import cv2
from absl import flags

from srn import command
from srn.data.layouts import LAYOUTS
from srn.data.pairs import find_pairs
from srn.errors import InputError

from . import archive

_OUT_DIR = flags.DEFINE_string("out_dir", None, "Output folder of the parts.", required=True)
_PHOTOS = flags.DEFINE_multi_string("photos", [], "Folder of sharp photographs.")
_FRAMES = flags.DEFINE_multi_string(
    "frames", [], "Folder of one sequence of frames, or of several such folders."
)
_PAIRS = flags.DEFINE_multi_string("pairs", [], "Data set of real pairs; its training split.")
_DATASET = flags.DEFINE_enum("dataset", "auto", ["auto", *LAYOUTS], "Layout of --pairs; see data/README.md.")
_HOLD_OUT = flags.DEFINE_multi_string("hold_out", [], "Pattern of names of pairs for validation.")
_PART_MIB = flags.DEFINE_float("part_mib", 30.0, "Maximum size of a part, in MiB.", lower_bound=1.0)


def main() -> int:
    """Packs what the flags name; returns the exit code."""
    items = [*_photo_items(), *_frame_items(), *_pair_items()]
    if not items:
        raise InputError("nothing to pack: give --photos, --frames or --pairs")
    out_dir = Path(_OUT_DIR.value)
    if any(out_dir.glob("part_*")):
        raise InputError(f"--out_dir={out_dir}: holds parts already; remove it or choose another")
    require_different_targets(items)
    if _HOLD_OUT.value and not any(target.startswith("held_out") for item in items for _, target in item):
        raise InputError(f"--hold_out={', '.join(_HOLD_OUT.value)}: no pair has such a name")
    parts = write_parts(items, out_dir, _PART_MIB.value)
    print(f"{sum(map(len, items))} images in {parts} parts in {out_dir}")
    return command.DONE


def require_different_targets(items: list) -> None:
    """Raises `InputError` for two files that would get the same name."""
    known = {}
    for item in items:
        for source, target in item:
            if target in known:
                raise InputError(
                    f"{source} and {known[target]} would have the same name; rename a file or folder"
                )
            known[target] = source


def write_parts(items: list, out_dir: Path, part_mib: float) -> int:
    """Writes items, each a list of (source, target) that stay together; returns the number of parts."""
    part, used = 0, 0
    for item in items:
        made = [(_encoded(source), target) for source, target in item]
        size = sum(len(data) for data, _ in made)
        if used and used + size > part_mib * 2**20:
            part, used = part + 1, 0
        used += size
        for data, target in made:
            path = out_dir / f"part_{part}" / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    counts = archive.count_files(target for item in items for _, target in item)
    (out_dir / "part_0" / archive.COUNTS_FILE).write_text(json.dumps(counts) + "\n")
    return part + 1


def _encoded(source) -> bytes:
    picture = archive.read_image(source)  # also of JPEG files, to find damaged ones here
    if source.suffix.lower() in (".jpg", ".jpeg"):
        return source.read_bytes()
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), archive.JPEG)[1].tobytes()


def _images_in(folder) -> list:
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: there is no such folder")
    return sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in archive.SUFFIXES)


def _photo_items():
    return [
        [(path, f"photos/{Path(folder).name}_{path.stem}.jpg")]
        for folder in _PHOTOS.value
        for path in _images_in(folder)
    ]


def _frame_items():
    """Each frame is an item of its own: a sequence may span several parts."""
    items = []
    for folder in _FRAMES.value:
        inside = sorted(path for path in Path(folder).glob("*") if path.is_dir())
        for sequence in [Path(folder)] if _images_in(folder) else inside:
            items += [[(path, f"frames/{sequence.name}/{path.stem}.jpg")] for path in _images_in(sequence)]
    return items


def _pair_items():
    items = []
    for folder in _PAIRS.value:
        for pair in find_pairs(folder, _DATASET.value, "train"):
            held_out = any(fnmatch.fnmatch(pair.name, pattern) for pattern in _HOLD_OUT.value)
            name = f"{Path(folder).name}_{pair.name}".replace("/", "_")
            sides = zip(("blur", "sharp"), (pair.blurry, pair.sharp))
            use = "held_out" if held_out else "pairs"
            items.append([(Path(file), f"{use}/{side}/{name}.jpg") for side, file in sides])
    return items


if __name__ == "__main__":
    command.run(main)
