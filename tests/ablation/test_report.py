import csv
import io
from pathlib import Path

import pytest

from srn.ablation import plot, report
from srn.ablation.candidates import Candidate, Published
from srn.ablation.report import Measured, make_rows
from srn.ablation.runs import Outcome, Run
from srn.config import ModelConfig
from srn.images import size_of
from srn.training.config import TrainingConfig

TINY = ModelConfig(width=1, res_blocks=0, kernel_size=3, num_scales=1, bottleneck="none")


def finish(name, psnr, paper=None, seed=0, validation=None):
    candidate = Candidate(name, TINY, paper=paper)
    run = Run(candidate, TrainingConfig(model=TINY, data_dir="d", seed=seed), Path("f"), "t")
    test = {
        "psnr": psnr,
        "gain": psnr - 19.75,
        "ssim_channel": 0.5,
        "ssim_matlab": 0.75,
        "images": 3,
        "seconds_per_image": 0.25,
    }
    return run, Outcome(validation or {}, test)


FINISHED = [
    finish("one", 20.0, Published(28.0, 0.9)),
    finish("two", 22.0, Published(27.0, 0.8)),
    finish("three", 21.0),
    finish("one", 21.0, Published(28.0, 0.9), seed=1),
    finish("one", 22.0, Published(28.0, 0.9), seed=2),
]


def test_seeds_become_a_mean_and_a_sample_deviation():
    one, two, _ = make_rows(FINISHED)

    assert (one.seeds, two.seeds) == (3, 1)
    assert one.scores["psnr"].mean == pytest.approx(21.0)
    assert one.scores["psnr"].spread == pytest.approx(1.0)
    assert two.scores["psnr"].spread is None
    assert one.scores["psnr"].format(2) == "21.00 ± 1.00"
    assert Measured.of([1.0]).format(1) == "1.0"


def test_ranks_are_by_psnr_ours_among_all_and_the_papers_among_its_own():
    ranks = [(row.rank, row.paper_rank) for row in make_rows(FINISHED)]

    assert ranks == [(2, 1), (1, 2), (2, None)]


def test_a_row_has_the_cost_of_the_network_at_both_sizes():
    row = make_rows(FINISHED[:1])[0]

    down = 9 * (6 * 256 + 2 * 64 + 2 * 4 * 16) * 256
    up = 16 * (4 * 2 * 16 + 2 * 64) * 256
    assert row.costs[0] == down + up + 9 * 3 * 256 * 256
    assert row.costs[1] * 256**2 == row.costs[0] * 720 * 1280


def test_the_csv_has_every_number_in_full():
    rows = list(csv.DictReader(io.StringIO(report.format_csv(make_rows(FINISHED)))))

    assert [row["model"] for row in rows] == ["one", "two", "three"]
    assert float(rows[0]["psnr_spread"]) == pytest.approx(1.0)
    assert (float(rows[0]["gain"]), float(rows[1]["gain"])) == (1.25, 2.25)
    assert (rows[1]["psnr_spread"], rows[2]["paper_psnr"], rows[2]["paper_rank"]) == ("", "", "")
    assert float(rows[0]["paper_ssim_matlab"]) == 0.9


def test_tables_for_people_say_what_they_are_of(tmp_path):
    markdown = report.write_tables(make_rows(FINISHED), tmp_path, "Title", ["A fact <b>."])

    assert markdown.startswith("# Title\n\nA fact <b>.\n\n| model |")
    html = (tmp_path / "table.html").read_text()
    assert "| one | " in markdown and "A fact &lt;b&gt;." in html
    for text in ("21.00 ± 1.00", "Blurry images: 19.75 dB", "not found in a second source: one, two."):
        assert text in markdown and text in html
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "table.md", "table.html"}


def test_correlation_of_ranks_needs_three_models_of_the_paper():
    assert report.rank_correlation(make_rows(FINISHED)) is None
    more = [*FINISHED, finish("four", 23.0, Published(26.0, 0.7))]

    assert report.rank_correlation(make_rows(more)) == pytest.approx(-1.0)
    assert "correlation of ranks with the paper: -1.00 (3 models)" in report.format_markdown(
        make_rows(more), "", []
    )


def test_curves_are_drawn_where_there_are_some(tmp_path):
    path = tmp_path / "validation.png"

    assert not plot.write_curves(FINISHED, path, "Title") and not path.exists()
    curves = [finish("one", 20.0, seed=seed, validation={1: 18.0 + seed, 2: 20.0}) for seed in (0, 1)]
    assert plot.write_curves(curves, path, "Title", blurry=19.0)
    assert size_of(path) == (1080, 660)
