"""Decodes a data set once, so that training reads crops without decoding images.

    python data/prepare.py --data_dir=GOPRO_Large --cache_dir=GOPRO_cache
    python train.py --flagfile=flags/gopro.cfg --data_dir=GOPRO_Large --cache_dir=GOPRO_cache

GOPRO's 2103 training pairs of 1280x720 take 11 GiB. The same command resumes an interrupted one. With
--record_dir instead of --cache_dir, the pairs are written as TFRecord files, to copy them to another machine.
"""

import sys

from absl import flags

from srn import command
from srn.data.layouts import DATASETS
from srn.data.pairs import find_pairs
from srn.errors import InputError, WorkError
from srn.files import require_writable

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder that holds the data set.")
_DATASET = flags.DEFINE_enum("dataset", "auto", DATASETS, "Layout of the data set; see data/README.md.")
_SPLIT = flags.DEFINE_enum(
    "split", "train", ["train", "test"], "Split to prepare, for data sets with splits."
)
_BLUR_FOLDER = flags.DEFINE_string(
    "blur_folder", "blur", "GOPRO: folder of the blurry images, `blur` (the paper's) or `blur_gamma`."
)
_SHARP_FOLDER = flags.DEFINE_string("sharp_folder", "sharp", "Name of the folder of the sharp images.")
_CACHE_DIR = flags.DEFINE_string("cache_dir", None, "Output folder of the cache; must not hold other files.")
_RECORD_DIR = flags.DEFINE_string("record_dir", None, "Output folder for TFRecord files instead of a cache.")
_VERIFY = flags.DEFINE_boolean("verify", False, "Compare the checksums of the whole cache.")


def main() -> int:
    """Makes the cache or the records; returns the exit code."""
    if _DATA_DIR.value is None or (_CACHE_DIR.value is None) == (_RECORD_DIR.value is None):
        raise InputError("--data_dir is needed, and either --cache_dir or --record_dir")
    pairs = find_pairs(
        _DATA_DIR.value,
        _DATASET.value,
        _SPLIT.value,
        _BLUR_FOLDER.value,
        sharp_folder=_SHARP_FOLDER.value,
    )
    require_writable(_CACHE_DIR.value or _RECORD_DIR.value)
    return _write_records(pairs) if _CACHE_DIR.value is None else _write_cache(pairs)


def _write_records(pairs) -> int:
    from srn.data.records import write_records

    files = write_records(pairs, _RECORD_DIR.value, _SPLIT.value)
    print(f"{len(pairs)} pairs in {len(files)} files, {files[0]} the first")
    return command.DONE


def _write_cache(pairs) -> int:
    from srn.data import cache

    decoded = cache.prepare(pairs, _CACHE_DIR.value, progress=sys.stderr.isatty())
    print(f"{len(pairs)} pairs in {_CACHE_DIR.value}; {decoded} of them decoded now")
    if _VERIFY.value:
        damaged = cache.verify_checksums(_CACHE_DIR.value)
        if damaged:
            raise WorkError("\n".join(damaged))
        print("checksums agree")
    return command.DONE


if __name__ == "__main__":
    command.run(main)
