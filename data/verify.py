"""Tells whether a copy of a data set is whole and sound.

    python data/verify.py --dataset=gopro --data_dir=GOPRO_Large

counts the pairs of each sequence, compares them with the official counts where those are known, decodes
every file, and names each that is missing, truncated, undecodable, mis-sized or exchanged with its partner.
Of the truths of `kohler` only the headers are read (PNG frames), or whether they are there and not empty
(.mat files).
Exit code 0: all is well; 1: something is wrong, a line each.
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
_SPLIT = flags.DEFINE_enum("split", "all", ["all", *verification.SPLITS], "What to verify.")
_BLUR_FOLDER = flags.DEFINE_string(
    "blur_folder", "blur", "Of GOPRO: `blur` or `blur_gamma`. Of REDS: `blur`, `blur_jpeg`, ..."
)
_SHARP_FOLDER = flags.DEFINE_string(
    "sharp_folder", "sharp", "Folder of the sharp images, if of another name."
)
_OFFICIAL = flags.DEFINE_boolean(
    "official", True, "Compare with the official counts and sizes; --noofficial for a part of a data set."
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
