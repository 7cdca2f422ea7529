"""Text reports of an evaluation: `results.csv`, `summary.json`, `results.md`."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from srn.evaluation.intervals import LEVEL, Difference
from srn.evaluation.protocols import Protocol
from srn.evaluation.scores import Score
from srn.files import write_atomically


@dataclass(frozen=True)
class PublishedRow:
    """A row of Table 2 of the paper: mean PSNR in dB, mean SSIM (or MSSIM), time per 1280x720 image."""

    method: str
    psnr: float
    ssim: float
    time: str


_TIMES = {"Kim et al.": "1 hr", "Sun et al.": "20 min", "Nah et al.": "3.09 s", "SRN (paper)": "1.6 s"}
_TABLE_2 = {
    "gopro": [(23.64, 0.8239), (24.64, 0.8429), (29.08, 0.9135), (30.10, 0.9323)],
    "kohler": [(24.68, 0.7937), (25.22, 0.7735), (26.48, 0.8079), (26.80, 0.8375)],
}
PUBLISHED = {
    dataset: [PublishedRow(method, *row, time) for (method, time), row in zip(_TIMES.items(), rows)]
    for dataset, rows in _TABLE_2.items()
}
_WHOLE_SET = {"gopro": 1111, "kohler": 48}
_TABLE_2_NOTES = (
    "Rows of other methods: Table 2 of Tao et al. (CVPR 2018), SSIM as MATLAB's `ssim`, MSSIM by the script "
    "of Köhler et al.; times are those given there. Nah et al. restored the folder `blur_gamma`, not `blur`."
)


def write_csv(path: str | os.PathLike[str], scores: Iterable[Score], protocol: Protocol) -> None:
    """Writes one line per image; infinite PSNR is `inf`, missing values are empty."""
    columns = (*protocol.columns, *protocol.details)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", *protocol.groups, *columns, "seconds", "psnr_blurry"))
    for score in scores:
        groups = [score.groups.get(group, "") for group in protocol.groups]
        values = [*(score.values[column] for column in columns), score.seconds, score.psnr_blurry]
        writer.writerow([score.name, *groups, *map(_spell, values)])
    write_atomically(path, encode(text.getvalue()))


def encode(text: str) -> bytes:
    """Encodes as UTF-8, with escapes for undecodable bytes of file names."""
    return text.encode("utf-8", "backslashreplace")


def _spell(value: Any) -> Any:
    return f"{value:.6f}" if isinstance(value, float) else value


def write_summary(path: str | os.PathLike[str], summary: Mapping[str, Any], **facts: Any) -> None:
    """Writes the summary with further facts as strict JSON.

    Args:
      path: of the file, usually `summary.json`.
      summary: the means of one method.
      **facts: such as `dataset` and `ckpt`: strings, numbers, paths, lists or dicts of them.

    Numbers that JSON does not support, such as infinite PSNR, become null.

    Raises ValueError if a fact has the name of a key of `summary`.
    """
    clashes = sorted(summary.keys() & facts.keys())
    if clashes:
        raise ValueError(f"The summary has its own values for {', '.join(clashes)}.")
    merged = _without_infinities({**summary, **facts})
    text = json.dumps(merged, indent=2, ensure_ascii=False, allow_nan=False, default=os.fspath)
    write_atomically(path, encode(f"{text}\n"))


def _without_infinities(value: Any) -> Any:
    """Returns `value` with all non-finite numbers replaced by None, recursively."""
    if isinstance(value, Mapping):
        return {key: _without_infinities(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinities(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def format_intervals(summary: Mapping[str, Any], protocol: Protocol) -> str:
    """Returns one line with the confidence interval of each mean; "" without intervals."""
    parts = [
        f"{column.title} {column.format(interval[0])} to {column.format(interval[1])}"
        for name, column in protocol.columns.items()
        if (interval := summary["intervals"][name]) is not None
    ]
    if not parts:
        return ""
    has_clusters = summary[protocol.groups[protocol.cluster]]
    drawn = f"{protocol.cluster}s" if has_clusters else "images"
    return f"{LEVEL:.0%} confidence intervals of the means (bootstrap over {drawn}): {', '.join(parts)}."


def format_definitions(summary: Mapping[str, Any], protocol: Protocol) -> str:
    """Returns the definition of each column, one per line, and notes on the means."""
    lines = [f"{column.title}: {column.definition}." for column in protocol.columns.values()]
    if intervals := format_intervals(summary, protocol):
        lines.append(intervals)
    if summary["identical"]:
        lines.insert(0, _describe_identical(summary))
    return "\n".join(lines)


def format_markdown(
    summaries: Mapping[str, Mapping[str, Any]],
    protocol: Protocol,
    dataset: str,
    facts: Sequence[str] = (),
    departures: Sequence[str] = (),
) -> str:
    """Returns a Markdown page with the table of the methods, and Table 2 of the paper if it has the data set.

    Args:
      summaries: label of each method -> its summary, all of one data set.
      protocol: of the scores.
      dataset: its name; for `gopro` and `kohler`, the rows of the paper come first.
      facts: further lines below the table.
      departures: deviations from the paper, such as "the folder blur_gamma".
    """
    titles = [column.title for column in protocol.columns.values()]
    lines = [
        _row(["method", "images", *titles, "time for an image"]),
        _row(["---", "---:", *["---:" for _ in titles], "---:"]),
    ]
    ssim = {"gopro": "ssim_matlab", "kohler": "mssim"}.get(dataset)
    for row in PUBLISHED.get(dataset, ()):
        known = {"psnr": row.psnr, ssim: row.ssim}
        cells = [
            column.format(known[name]) if name in known else "" for name, column in protocol.columns.items()
        ]
        lines.append(_row([row.method, str(_WHOLE_SET[dataset]), *cells, row.time]))
    for label, summary in summaries.items():
        cells = [column.format(summary[name]) for name, column in protocol.columns.items()]
        seconds = summary["seconds_per_image"]
        time = f"{seconds:.2f} s" if seconds else ""
        lines.append(_row([f"**{_escape(label)}**", str(summary["images"]), *cells, time]))
    notes = [*facts]
    if dataset in PUBLISHED:
        notes.insert(0, _TABLE_2_NOTES)
        if any(summary["images"] != _WHOLE_SET[dataset] for summary in summaries.values()):
            departures = [*departures, f"not all {_WHOLE_SET[dataset]} images of the set"]
        if departures:
            others = "they cannot be compared with the others"
            notes.insert(0, f"**Bold rows were measured on {', '.join(departures)}: {others}.**")
    for label, summary in summaries.items():
        if intervals := format_intervals(summary, protocol):
            notes.append(f"{label}: {intervals}")
        if summary["identical"]:
            notes.append(f"{label}: {_describe_identical(summary)}")
    definitions = [f"{column.title}: {column.definition}." for column in protocol.columns.values()]
    return "\n".join([*lines, "", *(f"- {note}" for note in [*notes, *definitions]), ""])


def format_differences(
    differences: Mapping[str, Mapping[str, Difference]], reference: str, protocol: Protocol
) -> str:
    """Returns a Markdown table of paired differences between methods and a reference.

    Args:
      differences: label of each other method -> column -> difference.
      reference: label of the reference.
      protocol: of the scores.
    """
    titles = [column.title for column in protocol.columns.values()]
    lines = [
        _row([f"minus {_escape(reference)}", *titles, "higher PSNR"]),
        _row(["---", *["---:" for _ in titles], "---:"]),
    ]
    for label, by_column in differences.items():
        cells = []
        for name, column in protocol.columns.items():
            difference, digits = by_column[name], column.digits
            low_high = difference.interval
            interval = f" ({low_high[0]:+.{digits}f} to {low_high[1]:+.{digits}f})" if low_high else ""
            cells.append("" if math.isnan(difference.mean) else f"{difference.mean:+.{digits}f}{interval}")
        first = next(iter(by_column.values()))
        lines.append(_row([f"**{_escape(label)}**", *cells, f"{first.higher} of {first.images}"]))
    note = (
        f"- Means of the differences of the same images; in brackets {LEVEL:.0%} confidence intervals "
        "(bootstrap over sequences, or over images where there are none)."
    )
    return "\n".join([*lines, "", note, ""])


def _describe_identical(summary: Mapping[str, Any]) -> str:
    return f"{summary['identical']} identical to the ground truth, left out of the mean of PSNR."


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
