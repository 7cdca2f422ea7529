import dataclasses

import pytest

from srn.data.layouts import Pair
from srn.errors import InputError
from srn.evaluation.results import pair_with_results


def pairs_named(*names):
    return [Pair(f"blur/{name}.png", f"sharp/{name}.png", name) for name in names]


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_images_are_found_by_sequence_and_number_whatever_is_around_them(tmp_path):
    touch(tmp_path, "restored/A/1.png", "restored/B/1.jpg", "notes.txt")
    pairs = pairs_named("A/1", "B/1")

    found = pair_with_results(pairs, tmp_path)

    assert [pair.blurry.name for pair in found] == ["1.png", "1.jpg"]
    assert [dataclasses.replace(pair, blurry=None) for pair in found] == [
        dataclasses.replace(pair, blurry=None) for pair in pairs
    ]


def test_a_plain_number_will_do_where_it_is_the_only_one(tmp_path):
    touch(tmp_path, "1.png", "2.png")
    assert [p.blurry.name for p in pair_with_results(pairs_named("A/1", "B/2"), tmp_path)] == [
        "1.png",
        "2.png",
    ]
    with pytest.raises(InputError, match="no image for 2 of 2 pairs: A/1, B/1"):
        pair_with_results(pairs_named("A/1", "B/1"), tmp_path)


def test_missing_and_doubled_images_are_named(tmp_path):
    touch(tmp_path, "A/1.png")
    with pytest.raises(InputError, match="no image for 1 of 2 pairs: A/2"):
        pair_with_results(pairs_named("A/1", "A/2"), tmp_path)
    touch(tmp_path, "A/1.jpg")
    with pytest.raises(InputError, match="could both be A/1"):
        pair_with_results(pairs_named("A/1"), tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        pair_with_results(pairs_named("A/1"), tmp_path / "nowhere")
