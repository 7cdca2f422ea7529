"""Everything that an evaluation leaves behind: the files of each method, and the comparison of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from srn.evaluation import page, reports, sheet
from srn.evaluation.intervals import difference_of
from srn.evaluation.items import Evaluation
from srn.evaluation.methods import Method
from srn.evaluation.protocols import Protocol
from srn.evaluation.scores import Score, Scores
from srn.files import require_writable, write_atomically

_FILES = (
    "results.csv",
    "summary.json",
    "results.md",
    "report.html",
    "sheet.png",
    "comparison.md",
    "comparison.png",
)


def prepare_folder(folder: Path) -> None:
    """Makes a folder and removes reports of an earlier run, which must not stand beside new ones.

    Raises `InputError` where it cannot be written.
    """
    require_writable(folder)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


def write_reports(evaluation: Evaluation, method: Method, result: Scores, folder: Path) -> None:
    """Writes all files of one method, which has at least one score.

    Args:
      evaluation: what was scored.
      method: what restored the images; its files are there.
      result: its scores.
      folder: of the files.
    """
    protocol, scores, summary = evaluation.protocol, result.scores, result.summary
    facts = {
        "method": method.label,
        **method.source,
        **(method.settings or {}),
        "dataset": evaluation.dataset,
        "protocol": protocol.name,
        "scored_before": result.resumed,
        "workers": result.workers,
        "failures": result.failures,
        **evaluation.facts,
    }
    reports.write_csv(folder / "results.csv", scores, protocol)
    reports.write_summary(folder / "summary.json", summary, **facts, metrics=protocol.definitions)
    beside = f", {result.workers} threads scoring beside it" if result.workers else ""
    times = f"Times of bold rows: median, restoring alone{beside}, on {evaluation.facts['processor']}."
    markdown = _format_markdown(
        evaluation, {method.label: summary}, scores, [times] if method.is_network else []
    )
    write_atomically(folder / "results.md", reports.encode(markdown))
    shown = {name: str(fact) for name, fact in facts.items() if fact not in (None, [], {}, False, 0)}
    title = f"{method.label} on {evaluation.dataset}"
    page.write_page(folder / "report.html", title, scores, summary, evaluation.items, method, protocol, shown)
    if method.is_network and _shown_beside_truth(evaluation.items, protocol):
        rows = sheet.choose_rows(scores, evaluation.items, method)
        sheet.write_sheet(folder / "sheet.png", rows, protocol)


def format_outcome(evaluation: Evaluation, method: Method, result: Scores, folder: Path | None) -> str:
    """The printed summary of one method with at least one score: a table and definitions.

    Args:
      evaluation, method, result, folder: see `write_reports`; None for no folder.
    """
    protocol, scores, summary = evaluation.protocol, result.scores, result.summary
    resumed = f", {result.resumed} of them scored before" if result.resumed else ""
    where = "".join(f", {departure}" for departure in _departures(evaluation, scores))
    written = "" if folder is None else f"; written to {folder}"
    return "\n".join(
        [
            protocol.format_table(scores, summary),
            f"\n{reports.format_definitions(summary, protocol)}",
            f"{method.label} on {evaluation.dataset}{where}: {len(scores)} images{resumed}{written}",
        ]
    )


def compare(
    evaluation: Evaluation,
    methods: Mapping[str, Method],
    results: Mapping[str, Scores],
    out_dir: Path | None,
) -> str:
    """A Markdown table of all methods over the images that all of them have scored; "" if there is none.

    A second one has the paired differences of the others from the first method.

    It is written to `out_dir`, and where each image has one sharp version, the sheet of details too.

    Args:
      evaluation: what was scored.
      methods: label -> method.
      results: label -> scores.
      out_dir: of the files; None writes none.
    """
    protocol = evaluation.protocol
    scores = {label: {score.name: score for score in results[label].scores} for label in methods}
    common = [item for item in evaluation.items if all(item.name in known for known in scores.values())]
    if not common:
        return ""
    chosen = {label: [known[item.name] for item in common] for label, known in scores.items()}
    summaries = {label: protocol.summarise(some) for label, some in chosen.items()}
    best = max(methods, key=lambda label: summaries[label]["psnr"])
    markdown = _format_markdown(evaluation, summaries, chosen[best], [])
    markdown += f"\n{_format_differences(chosen, protocol)}"
    if out_dir is not None:
        write_atomically(out_dir / "comparison.md", reports.encode(markdown))
        if _shown_beside_truth(common, protocol):
            names = {row.score.name for row in sheet.choose_rows(chosen[best], common, methods[best])}
            shown = [item for item in common if item.name in names]
            sheet.write_comparison(out_dir / "comparison.png", shown, methods, scores)
    return markdown


def _format_markdown(
    evaluation: Evaluation,
    summaries: Mapping[str, Mapping[str, Any]],
    scores: Sequence[Score],
    notes: Sequence[str],
) -> str:
    return reports.format_markdown(
        summaries, evaluation.protocol, evaluation.dataset, notes, _departures(evaluation, scores)
    )


def _format_differences(chosen: Mapping[str, Sequence[Score]], protocol: Protocol) -> str:
    reference, *others = chosen
    differences = {
        label: {
            column: difference_of(chosen[label], chosen[reference], column, protocol.cluster)
            for column in protocol.columns
        }
        for label in others
    }
    return reports.format_differences(differences, reference, protocol)


def _shown_beside_truth(items: Sequence, protocol: Protocol) -> bool:
    return all(protocol.picture_of_truth(item) is not None for item in items)


def _departures(evaluation: Evaluation, scores: Sequence[Score]) -> list[str]:
    """Notes on deviations from the protocol of the paper."""
    return [*evaluation.departures, *evaluation.protocol.departures(scores)]
