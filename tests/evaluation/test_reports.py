import csv
import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from srn.errors import WorkError
from srn.evaluation import reports, scoring


def make_score(name="a/1", psnr=30.0, psnr_blurry=25.0):
    return scoring.Score(name, name.rpartition("/")[0], psnr, 0.9, 0.95, 1.5, psnr_blurry)


def make_row(folder, name, height=30, width=40):
    """Writes three images of one colour each, red, green and blue, and returns their row."""
    files = {}
    for channel, role in enumerate(("blurry", "restored", "sharp")):
        image = np.zeros((height, width, 3), np.uint8)
        image[..., channel] = 255
        files[role] = folder / f"{name}_{role}.png"
        Image.fromarray(image).save(files[role])
    return reports.SheetRow("median gain", make_score(name), **files)


def test_the_csv_has_a_line_for_each_image(tmp_path):
    reports.write_csv(tmp_path / "results.csv", [make_score("a/1"), make_score("b, c/2", psnr=math.inf)])

    with (tmp_path / "results.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "name": "a/1",
        "sequence": "a",
        "psnr": "30.000000",
        "ssim_channel": "0.900000",
        "ssim_matlab": "0.950000",
        "seconds": "1.500000",
    }
    assert (second["name"], second["sequence"], second["psnr"]) == ("b, c/2", "b, c", "inf")
    assert float(second["psnr"]) == math.inf
    assert os.listdir(tmp_path) == ["results.csv"]


def test_the_summary_is_strict_json_with_the_facts_merged_in(tmp_path):
    summary = scoring.summarise([make_score("a/1", psnr=math.inf), make_score("b/1")])
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
        reports.write_summary(tmp_path / "summary.json", scoring.summarise([make_score()]), images=7)

    assert os.listdir(tmp_path) == []


def test_the_table_shows_sequences_the_mean_and_what_was_measured():
    scores = [make_score("a/1", 20), make_score("a/2", 22), make_score("long/1", math.inf)]

    lines = reports.format_table(scoring.summarise(scores)).splitlines()

    assert [line.split() for line in lines[1:4]] == [
        ["a", "2", "21.00", "0.9500", "0.9000"],
        ["long", "1", "inf", "0.9500", "0.9000"],
        ["mean", "over", "images", "3", "21.00", "0.9500", "0.9000"],
    ]
    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[4].startswith("1 identical")
    assert "peak 255" in lines[-3] and "MATLAB" in lines[-2] and "scikit-image" in lines[-1]


@pytest.mark.parametrize(
    "gains,chosen",
    [
        ([3, 1, 5, 2, 4], [("1", "smallest gain"), ("0", "median gain"), ("2", "largest gain")]),
        ([3, 1], [("1", "smallest gain"), ("0", "largest gain")]),
        ([3], [("0", "largest gain")]),
    ],
)
def test_the_rows_are_the_smallest_median_and_largest_gain(gains, chosen):
    scores = [make_score(str(index), 25 + gain) for index, gain in enumerate(gains)]
    pairs = [SimpleNamespace(name=str(i), blurry=Path(f"b{i}"), sharp=Path(f"s{i}")) for i in range(9)]

    rows = reports.choose_rows(scores, pairs, "out")

    assert [(row.score.name, row.title) for row in rows] == chosen
    for row in rows:
        name = row.score.name
        files = (Path(f"b{name}"), Path(f"out/restored/{name}.png"), Path(f"s{name}"))
        assert (row.blurry, row.restored, row.sharp) == files


def test_the_sheet_shows_blurry_restored_and_sharp_side_by_side(tmp_path):
    rows = [make_row(tmp_path, "1"), make_row(tmp_path, "2", height=60)]
    path = tmp_path / "sheet.png"

    reports.write_sheet(path, rows, picture_width=100)

    sheet = scoring.read_image(path)
    captions = 3 * reports.LINE_HEIGHT  # one of them the titles
    heights = 75 + 150 + 2 * reports.GAP
    assert sheet.shape == (
        captions + heights + 2 * reports.MARGIN,
        300 + 2 * reports.GAP + 2 * reports.MARGIN,
        3,
    )
    first_row = sheet[reports.MARGIN + 2 * reports.LINE_HEIGHT + 40]
    centres = [reports.MARGIN + 50 + column * (100 + reports.GAP) for column in range(3)]
    np.testing.assert_array_equal(first_row[centres], 255 * np.eye(3, dtype=np.uint8))


def test_the_sheet_carries_the_captions(tmp_path):
    reports.write_sheet(tmp_path / "sheet.png", [make_row(tmp_path, "1")])

    sheet = scoring.read_image(tmp_path / "sheet.png")
    titles = sheet[reports.MARGIN :][: reports.LINE_HEIGHT]
    caption = sheet[reports.MARGIN + reports.LINE_HEIGHT :][: reports.LINE_HEIGHT]
    for line in (titles, caption):
        assert 0.005 < (line < 128).mean() < 0.5
        assert (line[[0, -1]] == 255).all()  # no letter is cut off


def test_a_sheet_that_cannot_be_drawn_leaves_nothing_behind(tmp_path):
    row = make_row(tmp_path, "1")
    row.restored.unlink()

    with pytest.raises(WorkError, match=r"1_restored\.png"):
        reports.write_sheet(tmp_path / "sheets" / "sheet.png", [row])

    assert not (tmp_path / "sheets").exists()
