"""Restores and scores the images of a data set.

    python evaluate.py --ckpt=runs/gopro --data_dir=GOPRO_Large --out_dir=results/gopro

writes results.csv, summary.json, results.md, report.html, restored/ and sheet.png. `--ckpt identity` scores
the blurry input itself, `--results_dir=FOLDER` the images that another program has restored. Where several
are given (both may be repeated, `NAME=...` names them), each has a folder of its own in --out_dir, beside
comparison.md and comparison.png.

An interrupted evaluation resumes when the same command is given again: finished images are kept.
"""

from absl import flags

import srn
from srn import command
from srn.errors import InputError, WorkError
from srn.evaluation.items import LAYOUTS, SPLITS
from srn.evaluation.run import Results
from srn.inference.tiling import SMALLEST_TILE
from srn.released import WHICH
from srn.zoo import MODELS, PRECISIONS

_FLAGS = [
    flags.DEFINE_multi_string(
        "ckpt",
        [],
        "[NAME=]weights: a model directory, checkpoint prefix, .npz, released name, or `identity`.",
    ),
    flags.DEFINE_multi_string(
        "results_dir",
        [],
        "Restored images of another program, named as those of the data set: [NAME=]FOLDER.",
    ),
    flags.DEFINE_enum("model", None, list(MODELS), "The network, where the weights do not say."),
    flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Of the convolutions."),
    flags.DEFINE_integer(
        "tile", None, "Restore in overlapping tiles of this side, in pixels.", lower_bound=SMALLEST_TILE
    ),
    flags.DEFINE_boolean(
        "self_ensemble", False, "Mean over all eight orientations, in eight times the time."
    ),
    flags.DEFINE_boolean("truncate", False, "Truncate to 8 bits, as the authors' code does, not round."),
    flags.DEFINE_string("data_dir", None, "Folder that holds the data set, or a list of pairs."),
    flags.DEFINE_enum("dataset", "auto", LAYOUTS, "Layout of the data set; see data/README.md."),
    flags.DEFINE_enum("split", "test", SPLITS, "Where the data set has splits."),
    flags.DEFINE_string(
        "blur_folder",
        "blur",
        "Of GOPRO: `blur` (the paper's) or `blur_gamma`. Of REDS: `blur`, `blur_jpeg`, ...",
    ),
    flags.DEFINE_string("sharp_folder", "sharp", "Folder of the sharp images, where it has another name."),
    flags.DEFINE_multi_string("sequence", [], "Score this sequence alone; may be repeated."),
    flags.DEFINE_integer("limit", None, "Score so many images, from the first on.", lower_bound=1),
    flags.DEFINE_integer("crop_border", 0, "Pixels to crop at each border, as BasicSR does.", lower_bound=0),
    flags.DEFINE_boolean("luma", False, "Score Y of YCbCr, as BasicSR's test_y_channel."),
    flags.DEFINE_boolean("lpips", False, "Score LPIPS too; needs the package lpips."),
    flags.DEFINE_integer(
        "workers", None, "Threads that read and score beside the network; 0: none, to time it.", lower_bound=0
    ),
    flags.DEFINE_string("out_dir", "results", "Folder for scores and pictures."),
]


_WHICH = flags.DEFINE_enum("which", None, WHICH, "Weights of a run in --ckpt; short for --ckpt=RUN/best.")


def main() -> int:
    """Scores what the flags name; returns the exit code."""
    arguments = {flag.name: flag.value for flag in _FLAGS}  # they have the names of `evaluate`'s arguments
    if _WHICH.value is not None:
        arguments["ckpt"] = [f"{ckpt}/{_WHICH.value}" for ckpt in arguments["ckpt"]]
    if not arguments["data_dir"]:
        raise InputError("--data_dir is needed")
    return _end(srn.evaluate(**arguments, verbose=True))


def _end(results: Results) -> int:
    """The exit code. Raises `WorkError` with a line for each image that has no score."""
    lines, last = results.failures, list(results.by_method.values())[-1]
    if last.interrupted:
        scored = f"{len(last.scores)} of {results.images} images are scored"
        lines.append(f"interrupted: {scored}; the same command resumes")
        command.print_error("evaluate.py", "\n".join(lines))
        return command.exit_code_of_signal("SIGINT")
    if lines:
        raise WorkError("\n".join(lines))
    return command.DONE


if __name__ == "__main__":
    command.run(main)
