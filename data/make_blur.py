"""Synthesizes blurry/sharp pairs from video frames or from sharp photographs.

    python data/make_blur.py --frames=VIDEO_OR_FOLDER --out_dir=OUT                    high frame rate video
    python data/make_blur.py --frames=VIDEO_OR_FOLDER --out_dir=OUT --interpolate=7    ordinary video
    python data/make_blur.py --photos=FOLDER --out_dir=OUT --count_per_photo=4         camera shake

writes OUT/{blur,sharp}/NAME.png. Existing pairs are kept, so that the same command resumes an interrupted
one. OUT/make_blur.json stores the settings; use another folder for pairs with other settings.
docs/making_blur.md shows examples of each method.
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

_FRAMES = flags.DEFINE_string("frames", None, "Video file, or folder of frames in the order of their names.")
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of sharp photographs.")
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Output folder: blur/NAME.png and sharp/NAME.png.")
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", lower_bound=0)
_GAMMA = flags.DEFINE_float(
    "gamma",
    None,
    "1: average stored values (default for frames); 2.2: linear light. Photos: random by default.",
)
_WINDOW = flags.DEFINE_string(
    "window",
    f"{frames.MIN_FRAMES}-{frames.MAX_FRAMES}",
    "Frames: range of the number of averaged frames, odd, including interpolated ones.",
)
_STRIDE = flags.DEFINE_integer(
    "stride",
    0,
    "Frames: distance between the starts of consecutive windows; 0: windows do not overlap.",
    lower_bound=0,
)
_INTERPOLATE = flags.DEFINE_integer(
    "interpolate",
    0,
    "Frames: number of frames to interpolate between neighbours by optical flow.",
    lower_bound=0,
)
_COUNT_PER_PHOTO = flags.DEFINE_integer(
    "count_per_photo", 1, "Photos: number of pairs per photograph.", lower_bound=1
)
_SYNTHESIS = flags.DEFINE_enum(
    "synthesis", "handheld", list(SYNTHESES), "Photos: preset of the camera shake; see docs/making_blur.md."
)
_SOFTEN = flags.DEFINE_float(
    "soften",
    0.0,
    "Photos: maximum standard deviation of a Gaussian blur applied first, in pixels.",
    lower_bound=0.0,
)
_MAX_LENGTH = flags.DEFINE_float(
    "max_length", 40.0, "Photos: maximum length of the camera path, in pixels.", lower_bound=2.0
)

NOTE = "make_blur.json"
ELSEWHERE = "choose another --out_dir"


def main() -> int:
    """Makes the pairs; returns the exit code."""
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
    """Makes the missing pairs; returns (their number, a line for each that failed).

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
                    failures[str(error)] = True  # one line per photograph, whatever its number of pairs
                    continue
                for file, picture in zip(files, pictures):
                    write_png(file, picture)
                made += 1
            bar.update()
    # Raised by the jobs: too few frames, or a frame that cannot be read.
    except (InputError, WorkError) as error:
        if not made:
            raise
        failures[str(error)] = True
    return made, list(failures)


def _jobs_of_frames() -> tuple:
    """Returns (settings, approximate number of pairs, jobs)."""
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
    """Returns (settings, number of pairs, jobs)."""
    photos = _find_photos(Path(_PHOTOS.value))
    sound = [photo for photo in photos if _is_sound(photo)]  # to cut foregrounds from
    if not sound:
        raise InputError(f"{_PHOTOS.value}: none of its photographs can be read")
    from srn.synthesis import shake  # imported here, since it loads TensorFlow

    settings = dataclasses.replace(
        SYNTHESES[_SYNTHESIS.value], max_length=_MAX_LENGTH.value, soften=_SOFTEN.value
    )
    if _GAMMA.value is not None:
        settings = dataclasses.replace(settings, gamma=_GAMMA.value, gamma_probability=1.0)

    def make(photo, number):
        # Seeded by the name, not the index, so that adding photographs does not change existing pairs.
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
    """The photographs of a folder, sorted by name."""
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
    """Stores the settings in `out_dir`; raises `InputError` if its pairs were made with other settings."""
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
        raise InputError(f"{path}: is not valid; {ELSEWHERE}")
    return held


def _difference(held, wanted) -> str:
    """`seed=0 where 1 is asked for`."""
    keys = [key for key in {**held, **wanted} if held.get(key) != wanted.get(key)]
    return ", ".join(f"{key}={held.get(key)} where {wanted.get(key)} is asked for" for key in keys[:3])


if __name__ == "__main__":
    command.run(main)
