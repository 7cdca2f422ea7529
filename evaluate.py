"""Restores and scores the images of a data set.

    python evaluate.py --ckpt=runs/gopro --data_dir=GOPRO_Large --out_dir=results/gopro

writes results.csv, summary.json, results.md, report.html, restored/ and sheet.png. `--ckpt identity` scores
the blurry input itself, `--results_dir=FOLDER` the images that another program has restored. Where several
are given (`--results_dir` may be repeated, `NAME=FOLDER` names it), each has a folder of its own in
--out_dir, beside comparison.md and comparison.png.

A run that was interrupted goes on when the same command is given again: finished images are kept.
"""

import re
import sys
from pathlib import Path

from absl import flags

import srn
from srn import command, metrics, provenance
from srn.data.kohler import find_kohler
from srn.data.layouts import DATASETS
from srn.data.pairs import find_pairs, layout_of
from srn.errors import InputError, WorkError
from srn.evaluation import methods, outcome, scoring
from srn.evaluation.journal import Journal
from srn.evaluation.protocols import KOHLER, protocol_of
from srn.inference.tiling import SMALLEST_TILE
from srn.zoo import MODELS, PRECISIONS

_CKPT = flags.DEFINE_string(
    "ckpt", None, "Weights: a model directory, checkpoint prefix, .npz, released name, or `identity`."
)
_RESULTS_DIR = flags.DEFINE_multi_string(
    "results_dir", [], "Restored images of another program, named as those of the data set: [NAME=]FOLDER."
)
_MODEL = flags.DEFINE_enum("model", None, list(MODELS), "The network, where the weights do not say.")
_PRECISION = flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Of the convolutions.")
_TILE = flags.DEFINE_integer(
    "tile", None, "Restore in overlapping pieces with sides of so many pixels.", lower_bound=SMALLEST_TILE
)
_SELF_ENSEMBLE = flags.DEFINE_boolean(
    "self_ensemble", False, "Mean over all eight orientations, in eight times the time."
)
_TRUNCATE = flags.DEFINE_boolean("truncate", False, "Cut off to 8 bits, as the authors' code, not round.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder that holds the data set, or a list of pairs.")
_DATASET = flags.DEFINE_enum(
    "dataset", "auto", [*DATASETS, KOHLER.name], "Layout of the data set; see data/README.md."
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
    if _CKPT.value is None and not _RESULTS_DIR.value:
        raise InputError("--ckpt is needed, or --results_dir in its place")
    evaluation = _describe_evaluation()
    chosen = _choose_methods(evaluation.items)
    folders, theirs = _prepare_folders(chosen), dict(map(_split_name, _RESULTS_DIR.value))
    results = {}
    for label, method in chosen.items():
        settings = {"version": srn.__version__, "protocol": evaluation.protocol.name, **method.settings}
        results[label] = scoring.score_images(
            evaluation.items,
            method,
            evaluation.protocol,
            Journal(folders[label], settings),
            progress=sys.stderr.isatty(),
        )
        if results[label].scores:
            ckpt = None if label in theirs else _CKPT.value
            source = {"ckpt": ckpt, "results_dir": theirs.get(label)}
            outcome.write_reports(evaluation, method, results[label], folders[label], source)
        if results[label].interrupted:
            break
    if len(chosen) > 1 and len(results) == len(chosen):
        outcome.write_comparison(evaluation, chosen, results, Path(_OUT_DIR.value))
    return _end(len(evaluation.items), results)


def _describe_evaluation() -> outcome.Evaluation:
    facts = {
        "data_dir": _DATA_DIR.value,
        "split": _SPLIT.value,
        "blur_folder": _BLUR_FOLDER.value,
        **provenance.describe_run(),
    }
    dataset, items = _find_items()
    departures = []
    if dataset == "gopro" and _BLUR_FOLDER.value != "blur":
        departures.append(f"the folder {_BLUR_FOLDER.value}")
    if dataset == "gopro" and _SPLIT.value != "test":
        departures.append(f"the split {_SPLIT.value}")
    return outcome.Evaluation(dataset, items, protocol_of(dataset), departures, facts)


def _find_items() -> tuple:
    """(the data set's layout, its images)."""
    if _DATASET.value == KOHLER.name:
        return KOHLER.name, find_kohler(_DATA_DIR.value)
    pairs = find_pairs(
        _DATA_DIR.value, _DATASET.value, _SPLIT.value, _BLUR_FOLDER.value, smallest=metrics.WINDOW_SIZE
    )
    return layout_of(pairs), pairs


def _choose_methods(items) -> dict:
    """The method of each label: for --ckpt and each --results_dir."""
    labels = [_label_of(_CKPT.value)] if _CKPT.value is not None else []
    theirs = [_split_name(named) for named in _RESULTS_DIR.value]
    labels += [label for label, _ in theirs]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"--results_dir: {label} is the name of two; give NAME=FOLDER")
        if not re.fullmatch(r"\w[\w .-]*", label):
            raise InputError(
                f"--results_dir: {label!r} is no name; give letters, digits, _ . - as NAME=FOLDER"
            )
    chosen = {label: methods.results_of(folder, items, label) for label, folder in theirs}
    if _CKPT.value is None:
        return chosen
    if _CKPT.value == methods.IDENTITY:
        return {labels[0]: methods.blurry_input(), **chosen}
    return {labels[0]: _load_network(labels[0], alone=not chosen), **chosen}


def _label_of(ckpt: str) -> str:
    """The last part of a path; a name as it is."""
    return Path(ckpt).resolve().name


def _split_name(named: str) -> tuple:
    """`NAME=FOLDER` -> (NAME, FOLDER); a plain folder is named by its last part."""
    name, sign, folder = named.partition("=")
    if sign and folder and not Path(named).exists():
        return name, folder
    return Path(named).resolve().name, named


def _load_network(label: str, alone: bool):
    """The method of --ckpt."""
    from srn import weights  # not above: it loads TensorFlow
    from srn.inference.deblurrer import Deblurrer

    how = {
        "precision": _PRECISION.value,
        "tile": _TILE.value,
        "self_ensemble": _SELF_ENSEMBLE.value,
        "truncate": _TRUNCATE.value,
    }
    restore = Deblurrer(_CKPT.value, _MODEL.value, **how)
    settings = {
        "model": restore.model.name,
        "config": restore.model.config.to_dict(),
        "weights_sha256": weights.checksum(restore.model),
        **how,
    }
    out_dir = Path(_OUT_DIR.value) if alone else Path(_OUT_DIR.value) / label
    return methods.network(restore, label, out_dir, settings)


def _prepare_folders(chosen) -> dict:
    """The folder of each method, without reports of an earlier run, which must not stand beside new ones.

    Raises `InputError` where these folders are those of the images to score.
    """
    out_dir = Path(_OUT_DIR.value)
    folders = {label: out_dir if len(chosen) == 1 else out_dir / label for label in chosen}
    sources = [Path(_split_name(named)[1]).resolve() for named in _RESULTS_DIR.value]
    for folder in (path.resolve() for path in folders.values()):
        for source in sources:
            # What an earlier run wrote beside its restored images would be replaced.
            is_inside = folder in source.parents and (len(chosen) > 1 or source.name == "restored")
            if folder == source or is_inside:
                raise InputError(f"--out_dir={out_dir}: {folder} holds images to score; choose another")
    for folder in {out_dir, *folders.values()}:
        outcome.prepare_folder(folder)
    return folders


def _end(wanted: int, results) -> int:
    """The exit code. Raises `WorkError` with a line for each image that has no score."""
    lines = []
    for label, result in results.items():
        of = f"{label}: " if len(results) > 1 else ""
        lines += [of + failure for failure in result.failures]
        missing = wanted - len(result.scores)
        if result.failures:
            lines.append(f"{of}{missing} of {wanted} images have no score")
    if any(result.interrupted for result in results.values()):
        scored = len(list(results.values())[-1].scores)
        again = f"interrupted: {scored} of {wanted} images are scored; the same command goes on"
        command.print_error("evaluate.py", "\n".join([*lines, again]))
        return command.exit_code_of_signal("SIGINT")
    if lines:
        raise WorkError("\n".join(lines))
    return command.DONE


if __name__ == "__main__":
    command.run(main)
