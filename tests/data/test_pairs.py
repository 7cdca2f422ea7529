import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from srn.data.pairs import find_damage, find_pairs
from srn.errors import InputError


def lines_of(*arguments, **options):
    with pytest.raises(InputError) as error:
        find_pairs(*arguments, **options)
    return str(error.value).splitlines()


def test_gopros_layout_by_split_in_order(gopro_dir):
    train, test = (find_pairs(gopro_dir, split=split) for split in ("train", "test"))

    names = [f"{sequence}/{number:04d}" for sequence in ("GOPR0001", "GOPR0002") for number in (0, 1)]
    assert [pair.name for pair in train] == names
    assert {pair.sequence for pair in test} == {"GOPR0003"}
    assert train[0].blurry == gopro_dir / "train/GOPR0001/blur/0000.png"
    assert train[0].sharp == gopro_dir / "train/GOPR0001/sharp/0000.png"


def test_a_plain_folder(pairs_dir):
    pairs = find_pairs(pairs_dir)

    assert [(pair.name, pair.sequence) for pair in pairs] == [(f"{k:04d}", "") for k in range(4)]
    assert find_pairs(pairs_dir, "pairs") == pairs


def test_the_blur_folder_is_chosen(gopro_dir):
    for sequence in (gopro_dir / "train").iterdir():
        shutil.copytree(sequence / "blur", sequence / "blur_gamma")

    pairs = find_pairs(gopro_dir, blur_folder="blur_gamma")

    assert len(pairs) == 4
    assert {pair.blurry.parent.name for pair in pairs} == {"blur_gamma"}


def test_a_jpeg_may_be_the_partner_of_a_png_and_other_files_are_passed_over(pairs_dir):
    Image.open(pairs_dir / "blur/0001.png").save(pairs_dir / "blur/0001.jpg")
    (pairs_dir / "blur/0001.png").unlink()
    (pairs_dir / "blur/notes.txt").write_text("taken in May")
    (pairs_dir / "blur/.hidden.png").write_text("")

    assert [pair.blurry.suffix for pair in find_pairs(pairs_dir)] == [".png", ".jpg", ".png", ".png"]


def test_everything_wrong_is_reported_together_by_name(pairs_dir):
    (pairs_dir / "sharp/0000.png").unlink()
    shutil.copy(pairs_dir / "sharp/0001.png", pairs_dir / "sharp/extra.png")
    Image.new("RGB", (64, 48)).save(pairs_dir / "sharp/0001.png")
    (pairs_dir / "blur/0002.png").write_text("not an image at all")
    whole = (pairs_dir / "sharp/0003.png").read_bytes()
    (pairs_dir / "sharp/0003.png").write_bytes(whole[: len(whole) // 2])

    lines = lines_of(pairs_dir)

    expected = (
        "blur/0000.png: has no partner",
        "sharp/extra.png: has no partner",
        "blur/0001.png: 64x64, but",
    )
    expected += ("blur/0002.png: not an image", "sharp/0003.png: the file is truncated")
    assert len(lines) == len(expected)
    for line, part in zip(lines, expected):
        assert part in line
    assert lines[2].endswith("sharp/0001.png is 64x48")


def test_images_smaller_than_the_crop_are_named(pairs_dir):
    lines = lines_of(pairs_dir, min_size=65)

    assert len(lines) == 8
    assert lines[0].endswith("blur/0000.png: 64x64, smaller than the 65x65 needed")


def test_sixteen_bits_are_refused(pairs_dir):
    Image.new("I;16", (64, 64)).save(pairs_dir / "sharp/0000.png")

    assert "more than 8 bits" in lines_of(pairs_dir)[0]


def test_sixteen_bits_of_colour_are_refused_too(pairs_dir):
    cv2.imwrite(str(pairs_dir / "sharp/0000.png"), np.zeros([64, 64, 3], np.uint16))

    (line,) = lines_of(pairs_dir)
    assert "sharp/0000.png: has more than 8 bits" in line


def test_another_format_under_the_name_of_this_one_is_refused(pairs_dir):
    Image.new("RGB", (64, 64)).save(pairs_dir / "blur/0000.png", format="WEBP")

    (line,) = lines_of(pairs_dir)
    assert "blur/0000.png: is WEBP inside" in line


def test_two_images_of_one_name_are_refused(pairs_dir):
    Image.open(pairs_dir / "blur/0001.png").save(pairs_dir / "blur/0001.jpg")

    (line,) = lines_of(pairs_dir)
    assert line.endswith("blur/0001.png: another image there has the same name")


def test_many_problems_are_counted_not_listed(tmp_path):
    for folder, ending in (("blur", "a"), ("sharp", "b")):
        (tmp_path / folder).mkdir()
        for number in range(40):
            (tmp_path / folder / f"{number}{ending}.png").write_text("")

    lines = lines_of(tmp_path)

    assert len(lines) == 51
    assert lines[-1] == "... and 30 more"


@pytest.mark.parametrize(
    "dataset, part",
    [
        ("auto", "looked for train/SEQUENCE/{blur,sharp}/ and train/{blur,sharp}/ and {blur,sharp}/"),
        ("gopro", "looked for train/SEQUENCE/{blur,sharp}/"),
        ("pairs", "looked for {blur,sharp}/; it holds no folder and no image"),
        ("imagenet", "dataset=imagenet is not one of auto, pairs, split"),
    ],
)
def test_a_folder_without_the_layout_says_what_was_looked_for(tmp_path, dataset, part):
    (line,) = lines_of(tmp_path, dataset)

    assert part in line


def test_no_folder_and_empty_folders(tmp_path):
    assert "there is no such folder" in lines_of(tmp_path / "nothing")[0]
    for folder in ("blur", "sharp"):
        (tmp_path / folder).mkdir()
    assert "no image (.png, .jpg, .jpeg) in it" in lines_of(tmp_path)[0]


def test_damage_inside_a_file_is_found_by_decoding(pairs_dir):
    pairs = find_pairs(pairs_dir)
    content = bytearray(pairs[1].sharp.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pairs[1].sharp.write_bytes(content)

    (line,) = find_damage(pairs)

    assert str(pairs[1].sharp) in line
