"""What verification counts, compares and finds, on small images; and data/verify.py as a real process."""

import dataclasses
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from srn.data.listing import Pair
from srn.data.pairs import find_pairs, measure_sharpness
from srn.data.verification import (
    GOPRO_FILES,
    OFFICIAL_COUNTS,
    check_pair,
    compare_with_official,
    verify,
)
from srn.errors import InputError


def official_pairs(split):
    """The pairs of GOPRO_Large, by name only."""
    return [
        Pair(Path(f"{number:06d}.png"), Path(f"{number:06d}.png"), f"{sequence}/{number:06d}", sequence)
        for sequence, (first, last) in GOPRO_FILES[split].items()
        for number in range(first, last + 1)
    ]


def exchange(pair):
    return dataclasses.replace(pair, blurry=pair.sharp, sharp=pair.blurry)


@pytest.mark.parametrize("split, count, sequences", [("train", 2103, 22), ("test", 1111, 11)])
def test_gopros_table_has_the_official_numbers(split, count, sequences):
    assert len(official_pairs(split)) == count
    assert len(GOPRO_FILES[split]) == sequences
    assert OFFICIAL_COUNTS["gopro"][split] == (count, sequences)
    assert compare_with_official("gopro", split, official_pairs(split)) == []


def test_what_differs_from_gopro_is_named():
    pairs = [
        pair
        for pair in official_pairs("train")
        if pair.name not in ("GOPR0374_11_03/002481", "GOPR0374_11_03/002500")
        and pair.sequence != "GOPR0380_11_00"
    ]
    pairs += official_pairs("test")[:3]
    pairs.append(dataclasses.replace(pairs[0], blurry=Path("000147.png")))
    pairs.append(dataclasses.replace(pairs[0], sequence="holiday"))

    lines = compare_with_official("gopro", "train", pairs)

    assert lines == [
        "train/GOPR0372_07_00: 1 not of GOPRO_Large: 000147",
        "train/GOPR0374_11_03: 2 of 48 missing: 002481, 002500",
        "train/GOPR0380_11_00: missing, 60 pairs",
        "train/GOPR0384_11_00: belongs to test/",
        "train/holiday: is not of GOPRO_Large",
    ]


def test_other_data_sets_are_compared_by_their_totals():
    pairs = [Pair(Path("a"), Path("a"), f"{k}", f"scene{k % 49}") for k in range(979)]

    assert compare_with_official("realblur", "test", pairs) == [
        "test: 49 sequences; the official data set has 50",
        "test: 979 pairs; the official data set has 980",
    ]
    assert compare_with_official("hide", "test", [pairs[0]] * 2025) == []


def test_a_sound_data_set_is_counted(gopro_dir):
    result = verify(gopro_dir)

    assert result.problems == []
    assert (result.layout, result.compared) == ("gopro", False)
    assert result.counts == {"train": {"GOPR0001": 2, "GOPR0002": 2}, "test": {"GOPR0003": 2}}
    assert verify(gopro_dir, splits=["test"]).counts == {"test": {"GOPR0003": 2}}


def test_a_data_set_without_splits_is_taken_once(pairs_dir):
    assert verify(pairs_dir).counts == {"all": {"": 4}}


def test_gopros_own_sequences_are_compared_unless_told_otherwise(tmp_path, make_pairs):
    make_pairs(tmp_path / "train/GOPR0372_07_00", count=2)

    result = verify(tmp_path)

    assert "train/GOPR0372_07_00: missing, 100 pairs" in result.problems
    assert "test/GOPR0862_11_00: missing, 77 pairs" in result.problems
    assert result.problems[-1].endswith("sharp/0001.png: 64x64, officially 1280x720")
    assert verify(tmp_path, official=False).problems == []


def test_every_bad_file_is_named_at_once(pairs_dir):
    truncated, flipped, resized = (pairs_dir / f"blur/{k:04d}.png" for k in range(3))
    truncated.write_bytes(truncated.read_bytes()[:-40])
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 0xFF
    flipped.write_bytes(content)
    Image.new("RGB", (64, 48)).save(resized)
    shutil.copy(pairs_dir / "sharp/0003.png", pairs_dir / "sharp/extra.png")
    (pairs_dir / "sharp/0003.png").write_text("no image")

    problems = verify(pairs_dir).problems

    parts = (
        "sharp/extra.png: has no partner in blur/",
        "blur/0000.png: the file is truncated",
        "blur/0001.png: cannot be decoded",
        "blur/0002.png: 64x48, but",
        "sharp/0003.png: not an image",
    )
    assert len(problems) == len(parts)
    for line, part in zip(problems, parts):
        assert part in line


def test_a_file_that_went_away_is_missing(pairs_dir):
    pair = find_pairs(pairs_dir)[0]
    pair.sharp.unlink()

    assert check_pair(pair) == [f"{pair.sharp}: is not there"]


def test_a_pair_the_wrong_way_round_is_found(pairs_dir):
    for pair in find_pairs(pairs_dir):
        assert check_pair(pair) == []
        (line,) = check_pair(exchange(pair))
        assert line == f"{pair.sharp}: sharper than {pair.blurry}; they seem to be swapped"


def test_two_equal_images_are_not_called_swapped(pairs_dir):
    pair = find_pairs(pairs_dir)[0]

    assert check_pair(dataclasses.replace(pair, sharp=pair.blurry)) == []


@pytest.mark.parametrize("folder", ["gopro_eval", "gopro_train", "reds_train", "gopro_avg_train"])
def test_real_pairs_are_told_from_swapped_ones(shared, folder):
    pairs = find_pairs(shared / "data" / folder)[:3]

    assert [check_pair(pair) for pair in pairs] == [[]] * 3
    assert all(len(check_pair(exchange(pair))) == 1 for pair in pairs)


def test_sharpness_is_the_mean_squared_laplacian_at_half_size():
    image = np.zeros([16, 16], np.uint8)
    image[6:8, 6:8] = 10

    # Halved it is one pixel of 10 in 8x8: -40 there, 10 at its four neighbours.
    assert measure_sharpness(image) == pytest.approx((40**2 + 4 * 10**2) / 64)


def test_no_data_set_is_a_mistake_of_the_call(tmp_path):
    with pytest.raises(InputError, match="no pairs there; looked for train/SEQUENCE"):
        verify(tmp_path)


def test_the_command(call, pairs_dir):
    sound = call("data/verify.py", f"--data_dir={pairs_dir}")
    blurry, sharp = (cv2.imread(str(pairs_dir / f"{side}/0002.png")) for side in ("blur", "sharp"))
    cv2.imwrite(str(pairs_dir / "blur/0002.png"), sharp)
    cv2.imwrite(str(pairs_dir / "sharp/0002.png"), blurry)
    wrong = call("data/verify.py", f"--data_dir={pairs_dir}", "--dataset=pairs")
    missing = call("data/verify.py")

    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.splitlines()[0] == "all: 4 pairs"
    assert wrong.returncode == 1
    first, last = wrong.stderr.splitlines()
    assert first.startswith("verify.py: ") and first.endswith("they seem to be swapped")
    assert last == "verify.py: wrong in 1 point"
    assert missing.returncode == 2
    assert missing.stderr.startswith("verify.py: --data_dir is needed")
