"""The plot of docs/training_log.md: gains over the steps, as benchmarks/progress.py measures them."""

from __future__ import annotations

import csv
from pathlib import Path

CSV = Path(__file__).resolve().parents[1] / "training_progress.csv"
# Set -> (title, column, what that is).
PANELS = {
    "held_out_half": ("12 held-out real pairs, half size", "gain", "mean of the gains in PSNR (dB)"),
    "gopro_half": ("256 fresh shaken crops, half size", "pooled", "gain of the PSNR over all pixels (dB)"),
}


def draw(path: Path) -> None:
    """Writes the plot: a panel for each set, a line for each run, a level for weights that are of no run."""
    from matplotlib.figure import Figure

    with open(CSV, newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, (name, (title, column, what)) in zip(figure.subplots(1, len(PANELS)), PANELS.items()):
        of_set = [row for row in rows if row["set"] == name]
        for label, points in _runs(of_set, column).items():
            axes.plot(*zip(*points), marker="o", markersize=4, label=label)
        for row in of_set:
            if not row["step"]:
                axes.axhline(float(row[column]), color="gray", linestyle=":", label=row["checkpoint"])
        axes.set(title=title, xlabel="steps (thousands)", ylabel=what, ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=100)


def _runs(rows, column):
    """{name of the run: [(thousands of steps, gain), ...] in the order of the steps}."""
    runs = {}
    for row in sorted((row for row in rows if row["step"]), key=lambda row: int(row["step"])):
        label = Path(row["checkpoint"]).parent.name
        runs.setdefault(label, []).append((int(row["step"]) / 1000, float(row[column])))
    return runs
