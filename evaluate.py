"""Restores and scores the pairs of a data set.

    python evaluate.py --ckpt=runs/gopro --data_dir=GOPRO_Large --out_dir=results/gopro

writes results.csv, summary.json, restored/ and sheet.png. `--ckpt identity` scores the blurry input itself,
`--results_dir=FOLDER` in place of --ckpt the images that another program has restored (both write the first
two).
"""

import sys
from pathlib import Path

from absl import flags

from srn import command, metrics
from srn.data.pairs import DATASETS, find_pairs, layout_of
from srn.errors import InputError, WorkError
from srn.evaluation import reports, scoring
from srn.evaluation.results import pair_with_results
from srn.files import require_writable
from srn.zoo import MODELS, PRECISIONS

IDENTITY = "identity"

_CKPT = flags.DEFINE_string(
    "ckpt", None, "Weights: a model directory, checkpoint prefix, .npz, released name, or `identity`."
)
_RESULTS_DIR = flags.DEFINE_string(
    "results_dir", None, "Restored images of another program, named as the pairs; in place of --ckpt."
)
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "The network, where the weights do not say.")
_PRECISION = flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Of the convolutions.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder that holds the data set, or a list of pairs.")
_DATASET = flags.DEFINE_enum("dataset", "auto", DATASETS, "Layout of the data set; see data/README.md.")
_SPLIT = flags.DEFINE_enum("split", "test", ["test", "train"], "Where the data set has splits.")
_BLUR_FOLDER = flags.DEFINE_string(
    "blur_folder", "blur", "Of GOPRO: `blur` (the paper's) or `blur_gamma`. Of REDS: `blur`, `blur_jpeg`, ..."
)
_OUT_DIR = flags.DEFINE_string("out_dir", "results", "Folder for scores and pictures.")


def main() -> int:
    """Scores what the flags name; returns the exit code."""
    if _DATA_DIR.value is None:
        raise InputError("--data_dir is needed")
    if (_CKPT.value is None) == (_RESULTS_DIR.value is None):
        raise InputError("--ckpt is needed, or --results_dir in its place, not both")
    pairs = find_pairs(
        _DATA_DIR.value, _DATASET.value, _SPLIT.value, _BLUR_FOLDER.value, smallest=metrics.WINDOW_SIZE
    )
    restore = None
    if _RESULTS_DIR.value is not None:
        pairs = pair_with_results(pairs, _RESULTS_DIR.value)
    elif _CKPT.value != IDENTITY:
        restore = _load_restorer()
    out_dir = Path(_OUT_DIR.value)
    require_writable(out_dir)
    # Those of an earlier evaluation must not stand beside the scores of this one.
    for name in ("results.csv", "summary.json", "sheet.png"):
        (out_dir / name).unlink(missing_ok=True)

    result = scoring.score_pairs(pairs, restore, out_dir, progress=sys.stderr.isatty())
    if result.scores:
        _report(result.scores, pairs, restore, out_dir)
    if result.interrupted:
        scored = f"{len(result.scores)} of {len(pairs)} pairs are scored"
        command.print_error("evaluate.py", f"interrupted: {scored}")
        return command.exit_code_of_signal("SIGINT")
    if result.failures:
        missing = f"{len(result.failures)} of {len(pairs)} pairs have no score"
        raise WorkError("\n".join([*result.failures, missing]))
    return command.DONE


def _load_restorer():
    """The `Deblurrer` that --ckpt names."""
    from srn.inference.deblurrer import Deblurrer  # not above: it loads TensorFlow

    return Deblurrer(_CKPT.value, _MODEL.value, _PRECISION.value)


def _report(scores, pairs, restore, out_dir) -> None:
    """Writes results.csv, summary.json and the sheet, and prints the table."""
    summary = scoring.summarise(scores)
    reports.write_csv(out_dir / "results.csv", scores)
    reports.write_summary(
        out_dir / "summary.json",
        summary,
        ckpt=_CKPT.value,
        results_dir=_RESULTS_DIR.value,
        model=restore.model.name if restore else _CKPT.value,
        precision=_PRECISION.value,
        dataset=layout_of(pairs),
        data_dir=_DATA_DIR.value,
        blur_folder=_BLUR_FOLDER.value,
        metrics=metrics.DEFINITIONS,
    )
    print(reports.format_table(summary))
    if restore is not None:
        reports.write_sheet(out_dir / "sheet.png", reports.choose_rows(scores, pairs, out_dir))
    source = (
        f"weights {_CKPT.value}, {_PRECISION.value}" if _CKPT.value else f"images of {_RESULTS_DIR.value}"
    )
    print(
        f"{source}, folder {_BLUR_FOLDER.value}; "
        f"{summary['images']} images, {summary['identical']} identical; written to {out_dir}"
    )


if __name__ == "__main__":
    command.run(main)
