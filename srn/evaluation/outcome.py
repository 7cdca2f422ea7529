"""Everything that an evaluation leaves behind: the files of each method, and the comparison of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from srn.evaluation import kohler_set, page, reports, scoring, sheet
from srn.evaluation.methods import Method
from srn.evaluation.protocols import KOHLER, Protocol
from srn.evaluation.scoring import Scores
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


@dataclass(frozen=True)
class Evaluation:
    """What is scored, the same for all methods.

    Attributes:
      dataset: name of the data set's layout.
      items: its images.
      protocol: how they are scored.
      departures: what of it is chosen otherwise than in the paper, such as "the folder blur_gamma".
      facts: about this run, for summaries: plain values.
    """

    dataset: str
    items: Sequence
    protocol: Protocol
    departures: Sequence[str]
    facts: Mapping


def prepare_folder(folder: Path) -> None:
    """Makes a folder and removes reports of an earlier run, which must not stand beside new ones.

    Raises `InputError` where it cannot be written.
    """
    require_writable(folder)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


def write_reports(
    evaluation: Evaluation, method: Method, result: Scores, folder: Path, facts: Mapping
) -> None:
    """Writes all files of one method, which has at least one score, and prints its table.

    Args:
      evaluation: what was scored.
      method: what restored the images.
      result: their scores.
      folder: of the files.
      facts: what else is known of the method.
    """
    protocol, scores = evaluation.protocol, result.scores
    summary = scoring.summarise(scores, protocol)
    facts = {
        "method": method.label,
        **facts,
        **method.settings,
        "dataset": evaluation.dataset,
        "protocol": protocol.name,
        "scored_before": result.resumed,
        "failures": result.failures,
        **evaluation.facts,
    }
    reports.write_csv(folder / "results.csv", scores, protocol)
    reports.write_summary(folder / "summary.json", summary, **facts, metrics=protocol.definitions)
    times = f"Times of bold rows: median, restoring alone, on {evaluation.facts['processor']}."
    notes = [times] if method.is_network else []
    _write_markdown(folder / "results.md", evaluation, {method.label: summary}, scores, notes)
    _print_tables(evaluation, scores, summary)
    title = f"{method.label} on {evaluation.dataset}"
    again = f", {result.resumed} of them scored before" if result.resumed else ""
    where = "".join(f", {departure}" for departure in _departures(evaluation, scores))
    print(f"{title}{where}: {len(scores)} images{again}; written to {folder}")
    shown = {name: str(fact) for name, fact in facts.items() if fact not in (None, [], {}, False, 0)}
    page.write_page(folder / "report.html", title, scores, summary, evaluation.items, method, protocol, shown)
    if method.is_network and protocol is not KOHLER:
        rows = sheet.choose_rows(scores, evaluation.items, method)
        sheet.write_sheet(folder / "sheet.png", rows, protocol)


def write_comparison(
    evaluation: Evaluation, methods: Mapping[str, Method], results: Mapping[str, Scores], out_dir: Path
) -> None:
    """Writes and prints one table of all methods, over the images that all of them have scored.

    Where each image has one sharp version, the sheet of details is written too.

    Args:
      evaluation: what was scored.
      methods: label -> method.
      results: label -> scores.
      out_dir: of the files.
    """
    protocol = evaluation.protocol
    scores = {label: {score.name: score for score in results[label].scores} for label in methods}
    common = [item for item in evaluation.items if all(item.name in known for known in scores.values())]
    if not common:
        return
    chosen = {label: [known[item.name] for item in common] for label, known in scores.items()}
    summaries = {label: scoring.summarise(some, protocol) for label, some in chosen.items()}
    best = max(methods, key=lambda label: summaries[label]["psnr"])
    print(f"\n{_write_markdown(out_dir / 'comparison.md', evaluation, summaries, chosen[best], [])}")
    if protocol is not KOHLER:
        names = {row.score.name for row in sheet.choose_rows(chosen[best], common, methods[best])}
        shown = [item for item in common if item.name in names]
        sheet.write_comparison(out_dir / "comparison.png", shown, methods, scores)


def _write_markdown(path, evaluation, summaries, scores, notes) -> str:
    markdown = reports.format_markdown(
        summaries, evaluation.protocol, evaluation.dataset, notes, _departures(evaluation, scores)
    )
    write_atomically(path, reports.encode(markdown))
    return markdown


def _print_tables(evaluation, scores, summary) -> None:
    if evaluation.protocol is KOHLER:
        print(kohler_set.format_table(scores, summary))
    else:
        print(reports.format_table(summary, evaluation.protocol))
    print(f"\n{reports.format_definitions(summary, evaluation.protocol)}")


def _departures(evaluation, scores) -> list:
    """What was scored otherwise than in the paper."""
    incomplete = kohler_set.count_incomplete(scores) if evaluation.protocol is KOHLER else 0
    frames = [f"fewer frames than the official ones for {incomplete} images"] if incomplete else []
    return [*evaluation.departures, *frames]
