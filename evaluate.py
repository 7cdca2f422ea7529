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
from srn.data.pairs import DATASETS, find_pairs, layout_of
from srn.errors import InputError, WorkError
from srn.evaluation import kohler_set, methods, page, reports, scoring, sheet
from srn.evaluation.journal import Journal
from srn.evaluation.protocols import KOHLER, protocol_of
from srn.files import require_writable, write_atomically
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

_REPORTS = ("results.csv", "summary.json", "results.md", "report.html", "sheet.png")
_COMPARISON = ("comparison.md", "comparison.png")


def main() -> int:
    """Scores what the flags name; returns the exit code."""
    if _DATA_DIR.value is None:
        raise InputError("--data_dir is needed")
    if _CKPT.value is None and not _RESULTS_DIR.value:
        raise InputError("--ckpt is needed, or --results_dir in its place")
    run = provenance.describe_run()
    dataset, items = _find_items()
    protocol = protocol_of(dataset)
    chosen = _choose_methods(items)
    folders = _prepare_folders(chosen)
    results = {}
    for label, method in chosen.items():
        settings = {"version": srn.__version__, "protocol": protocol.name, **method.settings}
        journal = Journal(folders[label], settings)
        results[label] = scoring.score_images(items, method, protocol, journal, sys.stderr.isatty())
        if results[label].scores:
            _report(results[label], items, method, protocol, dataset, folders[label], run)
        if results[label].interrupted:
            break
    if len(chosen) > 1 and len(results) == len(chosen):
        _compare(results, items, chosen, protocol, dataset)
    return _end(len(items), results)


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
        require_writable(folder)
        for name in (*_REPORTS, *_COMPARISON):
            (folder / name).unlink(missing_ok=True)
    return folders


def _report(result, items, method, protocol, dataset, folder, run) -> None:
    """Writes all reports of one method, and prints its table."""
    scores, summary = result.scores, scoring.summarise(result.scores, protocol)
    departures, theirs = _departures(dataset, scores), dict(map(_split_name, _RESULTS_DIR.value))
    facts = {
        "method": method.label,
        "ckpt": None if method.label in theirs else _CKPT.value,
        "results_dir": theirs.get(method.label),
        "model": None,
        "precision": None,
        **method.settings,
        "dataset": dataset,
        "protocol": protocol.name,
        "data_dir": _DATA_DIR.value,
        "split": _SPLIT.value,
        "blur_folder": _BLUR_FOLDER.value,
        "scored_before": result.resumed,
        "failures": result.failures,
        **run,
    }
    reports.write_csv(folder / "results.csv", scores, protocol)
    reports.write_summary(folder / "summary.json", summary, **facts, metrics=protocol.definitions)
    notes = (
        [f"Times of bold rows: median, restoring alone, on {run['processor']}."] if method.is_network else []
    )
    markdown = reports.format_markdown({method.label: summary}, protocol, dataset, notes, departures)
    write_atomically(folder / "results.md", reports.encode(markdown))
    title = f"{method.label} on {dataset}"
    if protocol is KOHLER:
        print(kohler_set.format_table(scores, summary))
    else:
        print(reports.format_table(summary, protocol))
    print(f"\n{reports.format_definitions(summary, protocol)}")
    again = f", {result.resumed} of them scored before" if result.resumed else ""
    where = "".join(f", {departure}" for departure in departures)
    print(f"{title}{where}: {len(scores)} images{again}; written to {folder}")
    shown = {name: str(fact) for name, fact in facts.items() if fact not in (None, [], {}, False, 0)}
    page.write_page(folder / "report.html", title, scores, summary, items, method, protocol, shown)
    if method.is_network and protocol is not KOHLER:
        sheet.write_sheet(folder / "sheet.png", sheet.choose_rows(scores, items, method), protocol)


def _departures(dataset, scores) -> list:
    """What of a data set is scored otherwise than in the paper."""
    if dataset == KOHLER.name and (incomplete := kohler_set.count_incomplete(scores)):
        return [f"fewer frames than the official ones for {incomplete} images"]
    if dataset != "gopro":
        return []
    folder = [f"the folder {_BLUR_FOLDER.value}"] if _BLUR_FOLDER.value != "blur" else []
    return folder + ([f"the split {_SPLIT.value}"] if _SPLIT.value != "test" else [])


def _compare(results, items, chosen, protocol, dataset) -> None:
    """Writes the table of all methods and, where there is one sharp image for each, the sheet of details."""
    out_dir = Path(_OUT_DIR.value)
    scores = {label: {score.name: score for score in results[label].scores} for label in chosen}
    common = [item for item in items if all(item.name in known for known in scores.values())]
    if not common:
        return
    summaries = {
        label: scoring.summarise([known[item.name] for item in common], protocol)
        for label, known in scores.items()
    }
    departures = _departures(dataset, next(iter(scores.values())).values())
    markdown = reports.format_markdown(summaries, protocol, dataset, departures=departures)
    write_atomically(out_dir / "comparison.md", reports.encode(markdown))
    print(f"\n{markdown}")
    if protocol is not KOHLER:
        best = max(chosen, key=lambda label: summaries[label]["psnr"])
        rows = sheet.choose_rows([scores[best][item.name] for item in common], common, chosen[best])
        shown = [item for item in common if item.name in {row.score.name for row in rows}]
        sheet.write_comparison(out_dir / "comparison.png", shown, chosen, scores)


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
