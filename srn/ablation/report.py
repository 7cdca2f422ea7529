"""Reports of an ablation: `table.csv`, `table.md` and `table.html`, one row per candidate."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import jinja2

from srn.ablation.candidates import Candidate
from srn.ablation.runs import Outcome, Run
from srn.files import write_atomically

SIZES = ((256, 256), (720, 1280))  # height, width: a training crop of the paper, a picture of GOPRO
METRICS = ("psnr", "gain", "ssim_channel", "ssim_matlab")


@dataclasses.dataclass(frozen=True)
class Measured:
    """A number over the seeds: its mean, and its sample standard deviation where there are several."""

    mean: float
    spread: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Measured:
        """Computes the statistics of at least one value."""
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)

    def format(self, digits: int) -> str:
        """`28.40`, or `28.40 ± 0.05`."""
        spread = "" if self.spread is None else f" ± {self.spread:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread}"


@dataclasses.dataclass(frozen=True)
class Row:
    """One candidate.

    Attributes:
      candidate: whose row it is.
      parameters: of the network.
      costs: multiply-accumulates of one image at each of SIZES.
      seeds: how many runs are finished, at least 1.
      seconds: of restoring one test image, the median over the images.
      scores: metric -> over the seeds, on the test pairs.
      rank: by PSNR, 1 is the best; None where there is one row.
      paper_rank: the same by the paper's PSNR among the rows that have one.
    """

    candidate: Candidate
    parameters: int
    costs: tuple[int, ...]
    seeds: int
    seconds: Measured
    scores: dict[str, Measured]
    rank: int | None = None
    paper_rank: int | None = None


def make_rows(finished: Sequence[tuple[Run, Outcome]]) -> list[Row]:
    """One row for each candidate with a finished run, in the order in which they come."""
    by_name: dict[str, list[tuple[Run, Outcome]]] = {}
    for run, outcome in finished:
        by_name.setdefault(run.candidate.name, []).append((run, outcome))
    return _with_ranks([_make_row(some) for some in by_name.values()])


def _make_row(some: list[tuple[Run, Outcome]]) -> Row:
    from srn import zoo
    from srn.cost import count_multiply_accumulates

    candidate, tests = some[0][0].candidate, [outcome.test for _, outcome in some]
    model = zoo.build_model(candidate.config)
    return Row(
        candidate,
        model.count_params(),
        tuple(count_multiply_accumulates(model, *size) for size in SIZES),
        len(tests),
        Measured.of([test["seconds_per_image"] for test in tests]),
        {
            name: Measured.of([test[name] for test in tests])
            for name in METRICS
            if all(name in test for test in tests)
        },
    )


def _with_ranks(rows: list[Row]) -> list[Row]:
    ours = {row.candidate.name: row.scores["psnr"].mean for row in rows}
    theirs = {row.candidate.name: row.candidate.paper.psnr for row in rows if row.candidate.paper is not None}

    def rank(name: str, scores: dict[str, float]) -> int | None:
        if name not in scores or len(scores) < 2:
            return None
        return 1 + sum(score > scores[name] for score in scores.values())

    names = [row.candidate.name for row in rows]
    return [
        dataclasses.replace(row, rank=rank(name, ours), paper_rank=rank(name, theirs))
        for row, name in zip(rows, names)
    ]


def write_tables(rows: Sequence[Row], out_dir: Path, title: str, facts: Sequence[str]) -> str:
    """Writes the three tables; returns the one in Markdown.

    Args:
      rows: at least one.
      out_dir: the folder.
      title: of the table in Markdown and HTML.
      facts: sentences below it: on what, for how long, at which settings.
    """
    markdown = format_markdown(rows, title, facts)
    write_atomically(out_dir / "table.csv", format_csv(rows).encode())
    write_atomically(out_dir / "table.md", markdown.encode())
    write_atomically(out_dir / "table.html", _format_html(rows, title, facts).encode())
    return markdown


def format_csv(rows: Sequence[Row]) -> str:
    """Every number in full, a column each; empty where there is none."""
    table = []
    for row in rows:
        paper = row.candidate.paper
        cells = {
            "model": row.candidate.name,
            "parameters": row.parameters,
            **{f"mac_{height}x{width}": cost for (height, width), cost in zip(SIZES, row.costs)},
            "seeds": row.seeds,
            "seconds_per_image": row.seconds.mean,
        }
        for name, measured in row.scores.items():
            cells[name] = measured.mean
            cells[f"{name}_spread"] = measured.spread
        cells.update(
            rank=row.rank,
            paper_psnr=paper and paper.psnr,
            paper_ssim_matlab=paper and paper.ssim,
            paper_rank=row.paper_rank,
        )
        table.append(cells)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _cells(row: Row) -> dict[str, str]:
    """Title of the column -> formatted text."""
    paper = row.candidate.paper
    giga = [f"{cost / 1e9:,.1f}" for cost in row.costs]
    cells = {
        "model": row.candidate.name,
        "parameters": f"{row.parameters:,}",
        **{f"GMAC {width}x{height}": text for (height, width), text in zip(SIZES, giga)},
        "s an image": row.seconds.format(2),
        "seeds": str(row.seeds),
        "PSNR": row.scores["psnr"].format(2),
    }
    for name, text, digits in (
        ("gain", "gain", 2),
        ("ssim_channel", "SSIM by channel", 4),
        ("ssim_matlab", "SSIM of MATLAB", 4),
    ):
        cells[text] = row.scores[name].format(digits) if name in row.scores else ""
    return {
        **cells,
        "rank": _text(row.rank),
        "paper: PSNR": "" if paper is None else f"{paper.psnr:.2f}",
        "paper: SSIM": "" if paper is None else f"{paper.ssim:.4f}",
        "paper: rank": _text(row.paper_rank),
    }


def _text(value: object) -> str:
    return "" if value is None else str(value)


def format_markdown(rows: Sequence[Row], title: str, facts: Sequence[str]) -> str:
    """The table to paste, with its title and facts."""
    table = [_cells(row) for row in rows]
    titles = list(table[0])
    lines = [
        f"# {title}",
        "",
        *facts,
        "",
        f"| {' | '.join(titles)} |",
        "| --- |" + " ---: |" * (len(titles) - 1),
    ]
    lines += [f"| {' | '.join(cells.values())} |" for cells in table]
    for note in _notes(rows):
        lines += ["", note]
    return "\n".join(lines) + "\n"


def _notes(rows: Sequence[Row]) -> list[str]:
    """Sentences below the table."""
    notes = []
    with_gain = [row.scores for row in rows if "gain" in row.scores]
    if with_gain:
        blurry = with_gain[0]["psnr"].mean - with_gain[0]["gain"].mean
        notes.append(f"Blurry images: {blurry:.2f} dB. Gain: mean over the images, in dB.")
    correlation = rank_correlation(rows)
    if correlation is not None:
        number = sum(row.candidate.paper is not None for row in rows)
        notes.append(f"Spearman's correlation of ranks with the paper: {correlation:.2f} ({number} models).")
    papers = {row.candidate.name: row.candidate.paper for row in rows}
    unconfirmed = [name for name, paper in papers.items() if paper is not None and not paper.confirmed]
    if unconfirmed:
        notes.append(
            f"Numbers of the paper that were not found in a second source: {', '.join(unconfirmed)}."
        )
    return notes


def _format_html(rows: Sequence[Row], title: str, facts: Sequence[str]) -> str:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("srn.ablation"), autoescape=True)
    table = [_cells(row) for row in rows]
    return environment.get_template("table.html").render(
        title=title, facts=facts, table=table, notes=_notes(rows)
    )


def rank_correlation(rows: Sequence[Row]) -> float | None:
    """Spearman's rank correlation of PSNR with the paper's, over the rows that have one; None below three."""
    compared = [(row.scores["psnr"].mean, row.candidate.paper.psnr) for row in rows if row.candidate.paper]
    if len(compared) < 3:
        return None
    from scipy import stats

    value = float(stats.spearmanr(*zip(*compared)).statistic)
    return None if math.isnan(value) else value
