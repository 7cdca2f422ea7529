"""Restores and scores the images of a data set.

    python evaluate.py --ckpt=runs/gopro --data_dir=GOPRO_Large --out_dir=results/gopro

writes results.csv, summary.json, results.md, report.html, restored/ and sheet.png. `--ckpt=identity` scores
the blurry input, `--results_dir=FOLDER` images restored by another program. Both may be repeated; each method
then gets its own folder in --out_dir, next to comparison.md and comparison.png.

An interrupted evaluation is resumed by the same command; finished scores are kept.
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

# Named as the arguments of `srn.evaluate`.
_FLAGS = [
    flags.DEFINE_multi_string(
        "ckpt",
        [],
        "[NAME=]weights: a model directory, checkpoint prefix, .npz, released name, or `identity`.",
    ),
    flags.DEFINE_multi_string(
        "results_dir",
        [],
        "Images restored by another program, named as those of the data set: [NAME=]FOLDER.",
    ),
    flags.DEFINE_enum("model", None, list(MODELS), "The network, for weights that do not name it."),
    flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Precision of the convolutions."),
    flags.DEFINE_integer(
        "tile",
        None,
        "Side of overlapping tiles, in pixels. Default: whole images.",
        lower_bound=SMALLEST_TILE,
    ),
    flags.DEFINE_boolean(
        "self_ensemble", False, "Mean over all eight orientations, which takes eight times as long."
    ),
    flags.DEFINE_boolean(
        "truncate", False, "Truncate to 8 bits as the authors' code does, instead of rounding."
    ),
    flags.DEFINE_string("data_dir", None, "Folder that holds the data set, or a list of pairs."),
    flags.DEFINE_enum("dataset", "auto", LAYOUTS, "Layout of the data set; see data/README.md."),
    flags.DEFINE_enum("split", "test", SPLITS, "Split to score, for data sets with splits."),
    flags.DEFINE_string(
        "blur_folder",
        "blur",
        "Folder of blurry images. GOPRO: `blur` (the paper's), `blur_gamma`. REDS: `blur`, `blur_jpeg`, ...",
    ),
    flags.DEFINE_string("sharp_folder", "sharp", "Name of the folder of the sharp images."),
    flags.DEFINE_multi_string("sequence", [], "Score only this sequence; may be repeated."),
    flags.DEFINE_integer(
        "limit", None, "Maximum number of images; the first ones are scored.", lower_bound=1
    ),
    flags.DEFINE_integer(
        "crop_border", 0, "Pixels to crop at each border (BasicSR's crop_border).", lower_bound=0
    ),
    flags.DEFINE_boolean("luma", False, "Score Y of YCbCr (BasicSR's test_y_channel)."),
    flags.DEFINE_boolean("lpips", False, "Also compute LPIPS; needs the package lpips."),
    flags.DEFINE_integer(
        "workers",
        None,
        "Threads that read and score in parallel to the network; 0: none, for timing.",
        lower_bound=0,
    ),
    flags.DEFINE_string("out_dir", "results", "Folder for scores and images."),
]
_WHICH = flags.DEFINE_enum(
    "which", None, WHICH, "Which weights of a training run; short for --ckpt=RUN/best etc."
)


def main() -> int:
    """Scores what the flags name; returns the exit code."""
    arguments = {flag.name: flag.value for flag in _FLAGS}
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
