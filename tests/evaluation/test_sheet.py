from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srn.data.listing import Pair
from srn.errors import WorkError
from srn.evaluation import sheet
from srn.evaluation.methods import Method
from srn.evaluation.protocols import PAIRS
from srn.evaluation.scores import Score
from srn.images import read_rgb


def make_score(name="a/1", psnr=30.0, psnr_blurry=25.0):
    return Score(name, {}, {"psnr": psnr, "ssim_channel": 0.9, "ssim_matlab": 0.95}, 1.5, psnr_blurry)


def make_row(folder, name, height=30, width=40):
    """Writes three images of one colour each, red, green and blue, and returns their row."""
    files = {}
    for channel, role in enumerate(("blurry", "restored", "sharp")):
        image = np.zeros((height, width, 3), np.uint8)
        image[..., channel] = 255
        files[role] = folder / f"{name}_{role}.png"
        Image.fromarray(image).save(files[role])
    return sheet.SheetRow("median gain", make_score(name), **files)


class InFolder(Method):
    """A method whose images are there already."""

    def __init__(self, folder):
        super().__init__("small")
        self.folder = folder

    def file_of(self, item):
        return Path(f"{self.folder}{item.name}.png")


method_of = InFolder


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
    pairs = [Pair(Path(f"b{i}"), Path(f"s{i}"), str(i)) for i in range(9)]

    rows = sheet.choose_rows(scores, pairs, method_of("out/"))

    assert [(row.score.name, row.title) for row in rows] == chosen
    for row in rows:
        name = row.score.name
        files = (Path(f"b{name}"), Path(f"out/{name}.png"), Path(f"s{name}"))
        assert (row.blurry, row.restored, row.sharp) == files


def test_the_sheet_shows_blurry_restored_and_sharp_side_by_side(tmp_path):
    rows = [make_row(tmp_path, "1"), make_row(tmp_path, "2", height=60)]
    path = tmp_path / "sheet.png"

    sheet.write_sheet(path, rows, PAIRS, picture_width=100)

    picture = read_rgb(path)
    captions = 3 * sheet.LINE_HEIGHT  # one of them the titles
    heights = 75 + 150 + 2 * sheet.GAP
    assert picture.shape == (
        captions + heights + 2 * sheet.MARGIN,
        300 + 2 * sheet.GAP + 2 * sheet.MARGIN,
        3,
    )
    first_row = picture[sheet.MARGIN + 2 * sheet.LINE_HEIGHT + 40]
    centres = [sheet.MARGIN + 50 + column * (100 + sheet.GAP) for column in range(3)]
    np.testing.assert_array_equal(first_row[centres], 255 * np.eye(3, dtype=np.uint8))


def test_the_sheet_carries_the_captions(tmp_path):
    sheet.write_sheet(tmp_path / "sheet.png", [make_row(tmp_path, "1")], PAIRS)

    picture = read_rgb(tmp_path / "sheet.png")
    titles = picture[sheet.MARGIN :][: sheet.LINE_HEIGHT]
    caption = picture[sheet.MARGIN + sheet.LINE_HEIGHT :][: sheet.LINE_HEIGHT]
    for line in (titles, caption):
        assert 0.005 < (line < 128).mean() < 0.5
        assert (line[[0, -1]] == 255).all()  # no letter is cut off


def test_a_sheet_that_cannot_be_drawn_leaves_nothing_behind(tmp_path):
    row = make_row(tmp_path, "1")
    row.restored.unlink()

    with pytest.raises(WorkError, match=r"1_restored\.png"):
        sheet.write_sheet(tmp_path / "sheets" / "sheet.png", [row], PAIRS)

    assert not (tmp_path / "sheets").exists()


def test_the_detail_is_where_blurry_and_sharp_differ_most():
    sharp = np.zeros((100, 200, 3), np.uint8)
    blurry = sharp.copy()
    blurry[60:80, 110:150] = 90
    blurry[5, 5] = 255

    rows, columns = sheet.find_detail(blurry, sharp)

    assert (rows, columns) == (slice(60, 80), slice(110, 150))


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (5, 300)])
def test_a_detail_of_a_tiny_image_is_not_empty(size):
    image = np.zeros((*size, 3), np.uint8)

    detail = sheet.find_detail(image, image)

    assert image[detail].size > 0


def test_a_comparison_has_the_detail_of_every_method(tmp_path):
    """Methods of one colour each: the cells of the row are blurry, its detail, red, green, sharp."""
    colours = {"blurry": 60, "sharp": 255}
    for name, value in colours.items():
        Image.new("RGB", (100, 50), (value,) * 3).save(tmp_path / f"{name}.png")
    methods = {}
    for colour in ("red", "lime"):
        (tmp_path / colour).mkdir()
        Image.new("RGB", (100, 50), colour).save(tmp_path / colour / "1.png")
        methods[colour] = method_of(f"{tmp_path}/{colour}/")
    pair = Pair(tmp_path / "blurry.png", tmp_path / "sharp.png", "1")
    scores = {label: {"1": make_score("1")} for label in methods}

    sheet.write_comparison(tmp_path / "c.png", [pair], methods, scores, picture_width=100)

    picture = read_rgb(tmp_path / "c.png")
    middle = picture[sheet.MARGIN + 2 * sheet.LINE_HEIGHT + 25]
    centres = [sheet.MARGIN + 50 + column * (100 + sheet.GAP) for column in range(5)]
    expected = [[60] * 3, [60] * 3, [255, 0, 0], [0, 255, 0], [255] * 3]
    np.testing.assert_array_equal(middle[centres], expected)
