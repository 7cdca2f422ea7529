"""Verifies a copy of a data set.

    python data/verify.py --dataset=gopro --data_dir=GOPRO_Large

counts the pairs of each sequence, compares them with the official counts where these are known, decodes every
file, and lists those that are missing, truncated, undecodable, of the wrong size, or swapped within a pair.
For the ground truth of `kohler`, only the headers of PNG frames are read; .mat files must exist and not be
empty. Exit code 0: no problems; 1: problems, one line each.
"""

import sys

from absl import flags

from srn import command
from srn.data import verification
from srn.data.layouts import DATASETS
from srn.errors import InputError, WorkError

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder that holds the data set, or a list of pairs.")
_DATASET = flags.DEFINE_enum(
    "dataset", "auto", (*DATASETS, "kohler"), "Layout of the data set; see data/README.md."
)
_SPLIT = flags.DEFINE_enum("split", "all", ["all", *verification.SPLITS], "Split to verify.")
_BLUR_FOLDER = flags.DEFINE_string(
    "blur_folder",
    "blur",
    "Folder of the blurry images. GOPRO: `blur` or `blur_gamma`; REDS: `blur`, `blur_jpeg`, ...",
)
_SHARP_FOLDER = flags.DEFINE_string("sharp_folder", "sharp", "Name of the folder of the sharp images.")
_OFFICIAL = flags.DEFINE_boolean(
    "official", True, "Compare with the official counts and sizes; --noofficial for a subset."
)


def main() -> int:
    """Verifies what the flags name; returns the exit code."""
    if _DATA_DIR.value is None:
        raise InputError("--data_dir is needed: the folder that holds the data set")
    splits = verification.SPLITS if _SPLIT.value == "all" else (_SPLIT.value,)
    result = verification.verify(
        _DATA_DIR.value,
        _DATASET.value,
        splits,
        _BLUR_FOLDER.value,
        _OFFICIAL.value,
        progress=sys.stderr.isatty(),
        sharp_folder=_SHARP_FOLDER.value,
    )
    print(verification.format_counts(result))
    if result.problems:
        points = f"{len(result.problems)} point{'s' if len(result.problems) > 1 else ''}"
        raise WorkError("\n".join([*result.problems, f"wrong in {points}"]))
    compared = "as official" if result.compared else "no official counts to compare with"
    print(f"{result.layout}: all is well; {result.extent}; {compared}")
    return command.DONE


if __name__ == "__main__":
    command.run(main)
