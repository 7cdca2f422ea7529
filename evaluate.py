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
from srn.data.kohler import find_kohler
from srn.data.pairs import DATASETS, find_pairs, layout_of
from srn.errors import InputError, WorkError
from srn.evaluation import kohler_set, reports, scoring
from srn.evaluation.results import pair_with_results
from srn.files import require_writable
from srn.zoo import MODELS, PRECISIONS

IDENTITY = "identity"
KOHLER = "kohler"

_CKPT = flags.DEFINE_string(
    "ckpt", None, "Weights: a model directory, checkpoint prefix, .npz, released name, or `identity`."
)
_RESULTS_DIR = flags.DEFINE_string(
    "results_dir", None, "Restored images of another program, named as the pairs; in place of --ckpt."
)
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "The network, where the weights do not say.")
_PRECISION = flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Of the convolutions.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder that holds the data set, or a list of pairs.")
_DATASET = flags.DEFINE_enum(
    "dataset", "auto", [*DATASETS, KOHLER], "Layout of the data set; see data/README.md."
)
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
    if _DATASET.value == KOHLER:
        return _evaluate_kohler()
    pairs = find_pairs(
        _DATA_DIR.value, _DATASET.value, _SPLIT.value, _BLUR_FOLDER.value, smallest=metrics.WINDOW_SIZE
    )
    restore = None
    if _RESULTS_DIR.value is not None:
        pairs = pair_with_results(pairs, _RESULTS_DIR.value)
    elif _CKPT.value != IDENTITY:
        restore = _load_restorer()
    out_dir = _prepare_out_dir()
    result = scoring.score_pairs(pairs, restore, out_dir, progress=sys.stderr.isatty())
    if result.scores:
        _report(result.scores, pairs, restore, out_dir)
    return _end(len(pairs), len(result.scores), result.failures, result.interrupted)


def _evaluate_kohler() -> int:
    """The protocol of Köhler et al.; returns the exit code."""
    if _RESULTS_DIR.value is not None:
        raise InputError(
            "--results_dir: not with --dataset=kohler; name the images Blurry1_1.png, ... instead"
        )
    images = find_kohler(_DATA_DIR.value)
    restore = None if _CKPT.value == IDENTITY else _load_restorer()
    out_dir = _prepare_out_dir()
    scores, failures, interrupted = kohler_set.score_images(images, restore, out_dir, sys.stderr.isatty())
    if scores:
        summary = kohler_set.summarise(scores)
        reports.write_csv(out_dir / "results.csv", scores, kohler_set.CSV_COLUMNS)
        reports.write_summary(
            out_dir / "summary.json",
            summary,
            ckpt=_CKPT.value,
            model=restore.model.name if restore else IDENTITY,
            precision=_PRECISION.value,
            dataset=KOHLER,
            data_dir=_DATA_DIR.value,
            metrics=kohler_set.DEFINITIONS,
        )
        print(kohler_set.format_table(scores, summary))
    return _end(len(images), len(scores), failures, interrupted)


def _prepare_out_dir() -> Path:
    """The folder for scores, without those of an earlier evaluation, which must not stand beside new ones."""
    out_dir = Path(_OUT_DIR.value)
    require_writable(out_dir)
    for name in ("results.csv", "summary.json", "sheet.png"):
        (out_dir / name).unlink(missing_ok=True)
    return out_dir


def _end(wanted: int, scored: int, failures: list, interrupted: bool) -> int:
    """The exit code. Raises `WorkError` with a line for each image that has no score."""
    if interrupted:
        command.print_error("evaluate.py", f"interrupted: {scored} of {wanted} images are scored")
        return command.exit_code_of_signal("SIGINT")
    if failures:
        raise WorkError("\n".join([*failures, f"{len(failures)} of {wanted} images have no score"]))
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
