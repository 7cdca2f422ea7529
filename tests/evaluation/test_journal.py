import json
import math

import pytest

from srn.evaluation.journal import Journal
from srn.evaluation.score import Score

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
    Journal(tmp_path / "j", SETTINGS).add(score, [file])

    assert Journal(tmp_path / "j", SETTINGS).find("a/1", [file]) == score
    assert Journal(tmp_path / "j", SETTINGS).find("a/2", [file]) is None


@pytest.mark.parametrize("settings", [{"weights": "abd", "tile": None}, {"weights": "abc", "tile": 512}, {}])
def test_other_settings_begin_anew(tmp_path, file, settings):
    Journal(tmp_path / "j", SETTINGS).add(make_score(), [file])

    assert Journal(tmp_path / "j", settings).find("a/1", [file]) is None
    assert Journal(tmp_path / "j", SETTINGS).find("a/1", [file]) is None


def test_a_changed_or_missing_file_counts_as_not_scored(tmp_path, file):
    Journal(tmp_path / "j", SETTINGS).add(make_score(), [file])
    journal = Journal(tmp_path / "j", SETTINGS)

    file.write_bytes(b"another")
    assert journal.find("a/1", [file]) is None
    file.unlink()
    assert journal.find("a/1", [file]) is None


def test_a_line_that_was_cut_off_is_left_out_and_the_next_one_is_whole(tmp_path, file):
    path = tmp_path / "j"
    journal = Journal(path, SETTINGS)
    for name in ("a/1", "a/2"):
        journal.add(make_score(name), [file])
    path.write_bytes(path.read_bytes()[:-20])

    journal = Journal(path, SETTINGS)
    assert journal.find("a/1", [file]) and journal.find("a/2", [file]) is None
    journal.add(make_score("a/3"), [file])

    assert Journal(path, SETTINGS).find("a/3", [file])
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1]\n", b'{"settings": 3}\n'])
def test_a_file_that_is_no_journal_is_replaced(tmp_path, file, content):
    (tmp_path / "j").write_bytes(content)

    Journal(tmp_path / "j", SETTINGS).add(make_score(), [file])

    assert Journal(tmp_path / "j", SETTINGS).find("a/1", [file]) == make_score()
