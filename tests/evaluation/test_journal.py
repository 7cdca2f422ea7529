import json
import math

import pytest

from srn.evaluation.journal import Journal
from srn.evaluation.scores import Score

SETTINGS = {"weights": "abc", "tile": None}


def make_score(name="a/1", psnr=30.0):
    return Score(name, {"sequence": "a"}, {"psnr": psnr}, 1.5, 25.0)


@pytest.fixture
def file(tmp_path):
    """An image that scores were made from."""
    path = tmp_path / "image.png"
    path.write_bytes(b"image")
    return path


def test_a_score_comes_back_as_it_was(tmp_path, file):
    score = make_score(psnr=math.inf)
    Journal(tmp_path, SETTINGS).add(score, [file])

    assert Journal(tmp_path, SETTINGS).find("a/1", [file]) == score
    assert Journal(tmp_path, SETTINGS).find("a/2", [file]) is None


@pytest.mark.parametrize("settings", [{"weights": "abd", "tile": None}, {"weights": "abc", "tile": 512}, {}])
def test_other_settings_begin_anew_and_leave_what_is_there(tmp_path, file, settings):
    Journal(tmp_path, SETTINGS).add(make_score(), [file])

    other = Journal(tmp_path, settings)
    assert other.find("a/1", [file]) is None
    other.add(make_score(psnr=31.0), [file])

    assert Journal(tmp_path, SETTINGS).find("a/1", [file]) == make_score()
    assert Journal(tmp_path, settings).find("a/1", [file]).psnr == 31


def test_a_changed_or_missing_file_counts_as_not_scored(tmp_path, file):
    Journal(tmp_path, SETTINGS).add(make_score(), [file])
    journal = Journal(tmp_path, SETTINGS)

    file.write_bytes(b"another")
    assert journal.find("a/1", [file]) is None
    file.unlink()
    assert journal.find("a/1", [file]) is None


def test_a_line_that_was_cut_off_is_left_out_and_the_next_one_is_whole(tmp_path, file):
    journal = Journal(tmp_path, SETTINGS)
    for name in ("a/1", "a/2"):
        journal.add(make_score(name), [file])
    journal.path.write_bytes(journal.path.read_bytes()[:-20])
    journal.add(make_score("a/3"), [file])

    journal = Journal(tmp_path, SETTINGS)

    assert journal.find("a/1", [file]) and journal.find("a/3", [file])
    assert journal.find("a/2", [file]) is None


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[1]\n", b'{"score": 3}\n', b'{"score": {"name": "a/1"}, "files": []}']
)
def test_lines_that_make_no_sense_count_as_not_there(tmp_path, file, content):
    Journal(tmp_path, SETTINGS).path.write_bytes(content)

    Journal(tmp_path, SETTINGS).add(make_score(), [file])

    assert Journal(tmp_path, SETTINGS).find("a/1", [file]) == make_score()


def test_the_settings_stand_at_the_top_for_people(tmp_path, file):
    journal = Journal(tmp_path, SETTINGS)
    journal.add(make_score(), [file])

    assert json.loads(journal.path.read_text().splitlines()[1]) == {"settings": SETTINGS}
