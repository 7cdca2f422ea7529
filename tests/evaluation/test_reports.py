import csv
import json
import math
import os
from pathlib import Path

import pytest

from srn.evaluation import reports
from srn.evaluation.intervals import difference_of
from srn.evaluation.kohler import KOHLER
from srn.evaluation.protocols import PAIRS
from srn.evaluation.scores import Score


def make_score(name="a/1", psnr=30.0, psnr_blurry=25.0):
    values = {"psnr": psnr, "ssim_channel": 0.9, "ssim_matlab": 0.95}
    return Score(name, {"sequence": name.rpartition("/")[0]}, values, 1.5, psnr_blurry)


def test_the_csv_has_a_line_for_each_image(tmp_path):
    scores = [make_score("a/1"), make_score("b, c/2", psnr=math.inf, psnr_blurry=None)]
    reports.write_csv(tmp_path / "results.csv", scores, PAIRS)

    with (tmp_path / "results.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "name": "a/1",
        "sequence": "a",
        "psnr": "30.000000",
        "ssim_channel": "0.900000",
        "ssim_matlab": "0.950000",
        "seconds": "1.500000",
        "psnr_blurry": "25.000000",
    }
    assert (second["name"], second["sequence"], second["psnr"]) == ("b, c/2", "b, c", "inf")
    assert second["psnr_blurry"] == ""
    assert float(second["psnr"]) == math.inf
    assert os.listdir(tmp_path) == ["results.csv"]


def test_the_summary_is_strict_json_with_the_facts_merged_in(tmp_path):
    summary = PAIRS.summarise([make_score("a/1", psnr=math.inf), make_score("b/1")])
    path = tmp_path / "summary.json"

    reports.write_summary(path, summary, dataset="gopro", data_dir=Path("göpro"), limits=[math.nan, 1])

    def refuse(token):
        raise AssertionError(token)

    loaded = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert loaded["psnr"] == 30
    assert (loaded["images"], loaded["identical"]) == (2, 1)
    assert loaded["sequences"]["a"]["psnr"] is None
    assert (loaded["dataset"], loaded["data_dir"], loaded["limits"]) == ("gopro", "göpro", [None, 1])


def test_a_fact_does_not_replace_a_score(tmp_path):
    with pytest.raises(ValueError, match="its own values for images"):
        reports.write_summary(tmp_path / "summary.json", PAIRS.summarise([make_score()]), images=7)

    assert os.listdir(tmp_path) == []


def test_the_table_shows_sequences_the_mean_and_what_was_measured():
    scores = [make_score("a/1", 20), make_score("a/2", 22), make_score("long/1", math.inf)]
    summary = PAIRS.summarise(scores)

    lines = PAIRS.format_table(scores, summary).splitlines()

    assert [line.split() for line in lines[1:]] == [
        ["a", "2", "21.00", "0.9500", "0.9000"],
        ["long", "1", "inf", "0.9500", "0.9000"],
        ["mean", "over", "images", "3", "21.00", "0.9500", "0.9000"],
    ]
    assert len({len(line) for line in lines}) == 1
    definitions = reports.format_definitions(summary, PAIRS).splitlines()
    assert definitions[0].startswith("1 identical")
    assert "peak 255" in definitions[1] and "MATLAB" in definitions[2] and "scikit-image" in definitions[3]


def cells_of(markdown):
    return [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in markdown.splitlines() if row[:1] == "|"
    ]


def test_the_markdown_stands_beside_the_papers_table_and_says_what_cannot_be_compared():
    summary = PAIRS.summarise([make_score(psnr=29.5)])

    markdown = reports.format_markdown({"a|b": summary}, PAIRS, "gopro", ["a fact"])

    rows = cells_of(markdown.replace("\\|", "/"))
    assert rows[0] == ["method", "images", "PSNR", "SSIM MATLAB", "SSIM channel", "time for an image"]
    assert rows[-2] == ["SRN (paper)", "1111", "30.10", "0.9323", "", "1.6 s"]
    assert rows[-1] == ["**a/b**", "1", "29.50", "0.9500", "0.9000", "1.50 s"]
    assert "not all 1111 images" in markdown and "- a fact" in markdown
    gamma = reports.format_markdown({"a": summary}, PAIRS, "gopro", departures=["the folder blur_gamma"])
    assert "measured on the folder blur_gamma, not all 1111 images of the set: they cannot" in gamma
    assert "Table 2" not in reports.format_markdown({"a": summary}, PAIRS, "pairs")


def test_the_markdown_of_kohlers_set_has_the_papers_mssim():
    scores = [
        Score("1_1", {"image": "1", "kernel": "1"}, {"psnr": 25, "mssim": 0.8, "frames": 199}, 1.0)
    ] * 48
    summary = KOHLER.summarise(scores)

    markdown = reports.format_markdown({"small": summary}, KOHLER, "kohler")

    assert cells_of(markdown)[-2:] == [
        ["SRN (paper)", "48", "26.80", "0.8375", "1.6 s"],
        ["**small**", "48", "25.00", "0.8000", "1.00 s"],
    ]
    assert "cannot be compared" not in markdown


def test_intervals_and_differences_stand_in_words():
    scores = [make_score(f"{name}/1", psnr) for name, psnr in (("a", 20.0), ("b", 22.0))]
    others = [make_score(f"{name}/1", psnr) for name, psnr in (("a", 20.5), ("b", 22.0))]

    line = reports.format_intervals(PAIRS.summarise(scores), PAIRS)
    table = reports.format_differences(
        {"new": {name: difference_of(others, scores, name, "sequence") for name in PAIRS.columns}},
        "old",
        PAIRS,
    )

    assert line.startswith(
        "95% confidence intervals of the means (bootstrap over sequences): PSNR 20.00 to 22.00, SSIM"
    )
    assert reports.format_intervals(PAIRS.summarise(scores[:1]), PAIRS) == ""
    rows = cells_of(table)
    assert rows[0] == ["minus old", "PSNR", "SSIM MATLAB", "SSIM channel", "higher PSNR"]
    assert rows[2][:2] == ["**new**", "+0.25 (+0.00 to +0.50)"] and rows[2][-1] == "1 of 2"
