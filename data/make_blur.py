"""Makes blurry/sharp pairs, from frames that follow each other or from sharp photographs.

    python data/make_blur.py --frames=VIDEO_OR_FOLDER --out_dir=OUT                    many frames a second
    python data/make_blur.py --frames=VIDEO_OR_FOLDER --out_dir=OUT --interpolate=7    ordinary video
    python data/make_blur.py --photos=FOLDER --out_dir=OUT --count_per_photo=4         camera shake

writes OUT/{blur,sharp}/NAME.png. Pairs that are there already are kept, so the same call resumes where it was
interrupted. OUT/make_blur.json notes the settings; pairs of other settings belong into another folder.
docs/making_blur.md shows what each way makes.
"""

import dataclasses
import functools
import json
import zlib
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from srn import command
from srn.errors import InputError, WorkError
from srn.files import require_writable, write_atomically
from srn.images import SUFFIXES, is_image, read_rgb, size_of, write_png
from srn.synthesis import frames
from srn.synthesis.settings import SYNTHESES

_FRAMES = flags.DEFINE_string("frames", None, "A video, or a folder of frames in the order of their names.")
_PHOTOS = flags.DEFINE_string("photos", None, "A folder of sharp photographs.")
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Folder for the pairs: blur/NAME.png and sharp/NAME.png.")
_SEED = flags.DEFINE_integer("seed", 0, "Of everything that is drawn.", lower_bound=0)
_GAMMA = flags.DEFINE_float(
    "gamma", None, "1 averages stored values (frames: the default), 2.2 light. Photos: drawn for each."
)
_WINDOW = flags.DEFINE_string(
    "window",
    f"{frames.SHORTEST}-{frames.LONGEST}",
    "Frames: how many make a blurry image, made ones included; odd, drawn from this range.",
)
_STRIDE = flags.DEFINE_integer(
    "stride",
    0,
    "Frames: from one window's beginning to the next one's; 0: no frame in common.",
    lower_bound=0,
)
_INTERPOLATE = flags.DEFINE_integer(
    "interpolate", 0, "Frames: how many to make between neighbours, by optical flow.", lower_bound=0
)
_COUNT_PER_PHOTO = flags.DEFINE_integer("count_per_photo", 1, "Photos: pairs of each.", lower_bound=1)
_SYNTHESIS = flags.DEFINE_enum(
    "synthesis", "handheld", list(SYNTHESES), "Photos: what shakes are drawn; see docs/making_blur.md."
)
_SOFTEN = flags.DEFINE_float(
    "soften",
    0.0,
    "Photos: seen through a Gaussian of up to this standard deviation first, in pixels.",
    lower_bound=0.0,
)
_LONGEST = flags.DEFINE_float("longest", 40.0, "Photos: the longest stroke, in pixels.", lower_bound=2.0)

NOTE = "make_blur.json"
ELSEWHERE = "choose another --out_dir"


def main() -> int:
    """Makes the pairs that the flags ask for; returns the exit code."""
    if (_FRAMES.value is None) == (_PHOTOS.value is None):
        raise InputError("one of --frames and --photos is needed")
    if _OUT_DIR.value is None:
        raise InputError("--out_dir is needed")
    if _GAMMA.value is not None and _GAMMA.value <= 0:
        raise InputError(f"--gamma={_GAMMA.value}: must be above 0")
    out_dir = Path(_OUT_DIR.value)
    settings, count, jobs = _jobs_of_frames() if _PHOTOS.value is None else _jobs_of_photos()
    _claim(out_dir, settings)
    with tqdm(total=count, unit="pair", disable=None) as bar:
        made, failures = _make(jobs, out_dir, bar)
    print(f"pairs made: {made}; in {out_dir} now: {len(list((out_dir / 'blur').glob('[!.]*.png')))}")
    if failures:
        raise WorkError("\n".join(failures))
    return command.DONE


def _make(jobs, out_dir, bar) -> tuple:
    """Makes the pairs that are not there -> (how many, a line for each that failed).

    A job is (name, function without arguments that returns blurry and sharp, uint8 RGB).
    """
    made, failures = 0, {}
    try:
        for name, make in jobs:
            files = [out_dir / side / f"{name}.png" for side in ("blur", "sharp")]
            if not all(file.exists() for file in files):
                try:
                    pictures = make()
                except (InputError, WorkError) as error:
                    failures[str(error)] = True  # once for a photograph, however many pairs it was to give
                    continue
                for file, picture in zip(files, pictures):
                    write_png(file, picture)
                made += 1
            bar.update()
    # Of the jobs: too few frames, or one among many that cannot be read.
    except (InputError, WorkError) as error:
        if not made:
            raise
        failures[str(error)] = True
    return made, list(failures)


def _jobs_of_frames() -> tuple:
    """-> (settings, about how many pairs, the jobs)."""
    source = frames.open_frames(_FRAMES.value)
    gamma = 1.0 if _GAMMA.value is None else _GAMMA.value
    settings = frames.WindowSettings(*_window(), _STRIDE.value, _INTERPOLATE.value, gamma, _SEED.value)
    jobs = (
        (f"{source.name}_{exposure.middle:06d}", functools.partial(frames.make_pair, exposure, settings))
        for exposure in frames.exposures(source, settings)
    )
    return settings, len(source) // settings.step or None, jobs


def _window() -> tuple:
    """`7-13` -> (7, 13), `9` -> (9, 9)."""
    parts = _WINDOW.value.split("-")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise InputError(f"--window={_WINDOW.value}: a number or a range is needed, such as 9 or 7-13")
    return int(parts[0]), int(parts[-1])


def _jobs_of_photos() -> tuple:
    """-> (settings, how many pairs, the jobs)."""
    photos = _find_photos(Path(_PHOTOS.value))
    sound = [photo for photo in photos if _is_sound(photo)]  # what foregrounds can be cut from
    if not sound:
        raise InputError(f"{_PHOTOS.value}: none of its photographs can be read")
    from srn.synthesis import shake  # not above: it loads TensorFlow

    settings = dataclasses.replace(SYNTHESES[_SYNTHESIS.value], longest=_LONGEST.value, soften=_SOFTEN.value)
    if _GAMMA.value is not None:
        settings = dataclasses.replace(settings, gamma=_GAMMA.value, gamma_probability=1.0)

    def make(photo, number):
        # Keyed by the name, not the index: a pair keeps its shake when photographs are added.
        generator = np.random.default_rng((_SEED.value, zlib.crc32(photo.stem.encode()), number))
        other = sound[int(generator.integers(len(sound)))]
        sharp, foreground = (read_rgb(path, upright=True) for path in (photo, other))
        pair = shake.shake(sharp, generator, settings, foreground)
        return [np.rint(picture * 255).astype(np.uint8) for picture in pair]

    source, numbers = Path(_PHOTOS.value).resolve().name, range(_COUNT_PER_PHOTO.value)
    jobs = [
        (f"{source}_{photo.stem}_{number:03d}", functools.partial(make, photo, number))
        for photo in photos
        for number in numbers
    ]
    return settings, len(jobs), jobs


def _find_photos(folder) -> list:
    """The photographs of a folder, in the order of their names."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; --photos takes a folder of sharp photographs")
    photos = {path.stem: path for path in sorted(folder.iterdir()) if is_image(path)}
    if not photos:
        raise InputError(f"{folder}: no photograph ({', '.join(SUFFIXES)}) in it")
    return list(photos.values())


def _is_sound(photo) -> bool:
    try:
        size_of(photo)
    except InputError:
        return False
    return True


def _claim(out_dir, settings) -> None:
    """Notes in `out_dir` what its pairs are made of; refuses a folder whose pairs are made otherwise."""
    require_writable(out_dir)
    path = Path(_FRAMES.value or _PHOTOS.value).resolve()
    wanted = {"from": "photos" if _FRAMES.value is None else "frames", "seed": _SEED.value}
    wanted = json.loads(json.dumps({**wanted, **dataclasses.asdict(settings)}))
    name = path.name if path.is_dir() else path.stem
    note, held = out_dir / NOTE, {"settings": wanted, "sources": {}}
    if note.exists():
        held = _read_note(note)
        if held["settings"] != wanted:
            raise InputError(
                f"{out_dir}: holds pairs of {_difference(held['settings'], wanted)}; {ELSEWHERE}"
            )
    elif any((out_dir / side).exists() for side in ("blur", "sharp")):
        raise InputError(f"{out_dir}: holds pairs without {NOTE}; {ELSEWHERE}")
    if held["sources"].setdefault(name, str(path)) != str(path):
        raise InputError(f"{out_dir}: holds pairs of another source named {name}; {ELSEWHERE}")
    write_atomically(note, f"{json.dumps(held, indent=2)}\n".encode())


def _read_note(path) -> dict:
    """{"settings": ..., "sources": {name: path}}."""
    try:
        held = json.loads(path.read_text())
    except ValueError:
        held = None
    if not isinstance(held, dict) or not all(
        isinstance(held.get(key), dict) for key in ("settings", "sources")
    ):
        raise InputError(f"{path}: cannot be understood; {ELSEWHERE}")
    return held


def _difference(held, wanted) -> str:
    """`seed=0 where 1 is asked for`."""
    keys = [key for key in {**held, **wanted} if held.get(key) != wanted.get(key)]
    return ", ".join(f"{key}={held.get(key)} where {wanted.get(key)} is asked for" for key in keys[:3])


if __name__ == "__main__":
    command.run(main)
