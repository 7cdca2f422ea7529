"""`validation.png`: PSNR on the validation pairs over the steps, one line per candidate."""

from __future__ import annotations

import io
import statistics
from collections.abc import Sequence
from pathlib import Path

from srn.ablation.runs import Outcome, Run
from srn.errors import InputError
from srn.files import write_atomically

SIZE = (9.0, 5.5)  # inches
DOTS_PER_INCH = 120


def require_matplotlib() -> None:
    """Raises `InputError` if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError(
            "matplotlib, which draws the curves, is not installed: pip install 'srn-deblurnet[plots]', or "
            "leave `val_data_dir` out"
        ) from error


def write_curves(
    finished: Sequence[tuple[Run, Outcome]], path: Path, title: str, blurry: float | None = None
) -> bool:
    """Draws the mean and the range over the seeds.

    Args:
      finished: runs and their outcomes.
      path: of the PNG.
      title: of the figure.
      blurry: PSNR of the blurry images in dB, drawn as a line; None for no line.

    Returns:
      Whether there was anything to draw: runs are not validated without `val_data_dir`.
    """
    from matplotlib.figure import Figure

    curves: dict[str, list[dict[int, float]]] = {}
    for run, outcome in finished:
        if outcome.validation:
            curves.setdefault(run.candidate.name, []).append(outcome.validation)
    if not curves:
        return False
    figure = Figure(SIZE, dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    # Sorted by the last value, so that the legend is in the order of the lines.
    for number, (name, some) in enumerate(sorted(curves.items(), key=_final, reverse=True)):
        steps = sorted(set.intersection(*(set(curve) for curve in some)))
        values = [[curve[step] for curve in some] for step in steps]
        seeds = f" ({len(some)} seeds)" if len(some) > 1 else ""
        style = "-" if number < 10 else "--"  # the colours repeat after ten
        (line,) = axes.plot(
            steps, [statistics.fmean(at) for at in values], style, marker=".", label=f"{name}{seeds}"
        )
        if len(some) > 1:
            lowest, highest = [min(at) for at in values], [max(at) for at in values]
            axes.fill_between(steps, lowest, highest, color=line.get_color(), alpha=0.15, linewidth=0)
    if blurry is not None:
        axes.axhline(blurry, color="black", linestyle=":", label="blurry images")
    # Not down to the lowest values, which would leave no room for the differences between the candidates.
    shown = [_final(item) for item in curves.items()] + ([] if blurry is None else [blurry])
    top = max([*shown, *(max(curve.values()) for some in curves.values() for curve in some)])
    margin = 0.05 * (top - min(shown)) or 0.1
    axes.set_ylim(min(shown) - margin, top + margin)
    axes.set(title=title, xlabel="step", ylabel="PSNR on the validation pairs, dB")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())
    return True


def _final(item: tuple[str, list[dict[int, float]]]) -> float:
    _, some = item
    return statistics.fmean(curve[max(curve)] for curve in some)
