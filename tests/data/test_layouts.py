"""Each layout as a small tree made here, told apart, listed, and with what can be wrong in it."""

import shutil

import pytest

from srn.data.layouts import DATASETS, LAYOUTS, list_data_set
from srn.data.pairs import find_pairs, layout_of
from srn.errors import InputError


@pytest.fixture
def images(tmp_path, make_pairs):
    """[(blurry file, sharp file)] to copy from."""
    folder = make_pairs(tmp_path / "images", count=2, height=16, width=20)
    return [(folder / f"blur/{name}.png", folder / f"sharp/{name}.png") for name in ("0000", "0001")]


def put(root, images, *places):
    """Copies the images to `places`, pairs of paths below `root`."""
    for (blurry, sharp), targets in zip(images * len(places), places):
        for source, target in zip((blurry, sharp), targets):
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / target)
    return root


def put_realblur(root, images, *names):
    places = [name.split("/") for name in names]
    return put(root, images, *[(f"{s}/blur/blur_{k}.png", f"{s}/gt/gt_{k}.png") for s, k in places])


def names_of(data_dir, dataset="auto", **options):
    pairs = find_pairs(data_dir, dataset, **options)
    assert dataset in ("auto", layout_of(pairs))
    return [pair.name for pair in pairs]


def lines_of(*arguments, **options):
    with pytest.raises(InputError) as error:
        find_pairs(*arguments, **options)
    return str(error.value).splitlines()


def test_every_layout_is_a_choice():
    assert {"gopro", "pairs", "reds", "hide", "realblur", "datalist"} <= set(LAYOUTS) < set(DATASETS)


def test_auto_tells_gopro_and_plain_pairs_apart(gopro_dir, pairs_dir):
    assert layout_of(find_pairs(gopro_dir)) == "gopro"
    assert layout_of(find_pairs(pairs_dir)) == "pairs"


@pytest.mark.parametrize("placing", ["{split}/", ""])
def test_reds_in_both_placings(tmp_path, images, placing):
    for split, clip in (("train", "000"), ("train", "001"), ("val", "000")):
        root = tmp_path / "reds" / placing.format(split=split)
        put(root, images, (f"{split}_blur/{clip}/00000000.png", f"{split}_sharp/{clip}/00000000.png"))
    put(root, images, (f"{split}_blur_jpeg/{clip}/00000000.jpg", "sharp.png"))

    assert names_of(tmp_path / "reds") == ["000/00000000", "001/00000000"]
    (pair,) = find_pairs(tmp_path / "reds", "reds", split="test", blur_folder="blur_jpeg")
    assert pair.blurry == root / "val_blur_jpeg/000/00000000.jpg"
    assert pair.sharp == root / "val_sharp/000/00000000.png"
    assert (pair.sequence, layout_of([pair])) == ("000", "reds")


def test_a_clip_of_reds_that_is_on_one_side_only(tmp_path, images):
    put(tmp_path, images, ("train_blur/000/00000000.png", "train_sharp/000/00000000.png"))
    put(tmp_path, images, ("train_blur/001/00000007.png", "elsewhere.png"))

    (line,) = lines_of(tmp_path, "reds")

    assert line.endswith("train_blur/001/00000007.png: has no partner in train_sharp/001/")


def test_hide_has_one_folder_of_truths_for_all(tmp_path, images):
    put(tmp_path, images, ("train/a.png", "GT/a.png"), ("test/test-close-ups/b.png", "GT/b.png"))
    put(tmp_path, images, ("test/test-long-shot/c.png", "GT/c.png"))

    assert names_of(tmp_path) == ["a"]
    assert names_of(tmp_path, "hide", split="test") == ["test-close-ups/b", "test-long-shot/c"]
    (tmp_path / "GT/b.png").unlink()
    (line,) = lines_of(tmp_path, "hide", split="test")
    assert line.endswith("test/test-close-ups/b.png: has no partner in GT/")


def test_realblur_without_lists_is_one_split(tmp_path, images):
    root = put_realblur(tmp_path / "RealBlur-J_x", images, "scene001/1", "scene001/2", "scene002/1")

    listings = [list_data_set(tmp_path, "auto", split) for split in ("train", "test")]

    assert [[pair.name for pair in found.pairs] for found in listings] == [
        ["scene001/1", "scene001/2", "scene002/1"]
    ] * 2
    assert not any(found.has_splits for found in listings)
    first = find_pairs(root, "realblur")[0]
    assert (first.blurry, first.sharp) == (
        root / "scene001/blur/blur_1.png",
        root / "scene001/gt/gt_1.png",
    )


def test_realblur_by_its_lists(tmp_path, images):
    root = put_realblur(tmp_path / "RealBlur-R_x", images, "scene001/1", "scene002/1", "scene002/2")
    line = "RealBlur-R_x/{0}/gt/gt_{1}.png RealBlur-R_x/{0}/blur/blur_{1}.png\n"
    (tmp_path / "RealBlur_J_test_list.txt").write_text(line.format("scene001", 9))
    (tmp_path / "RealBlur_R_train_list.txt").write_text(line.format("scene001", 1))
    assert "list of its test split is not beside" in lines_of(root, "realblur", split="test")[0]
    (tmp_path / "RealBlur_R_test_list.txt").write_text(line.format("scene002", 2))

    assert names_of(root, "realblur", split="train") == ["scene001/1"]
    assert names_of(tmp_path, "realblur", split="test") == ["scene002/2"]
    with (tmp_path / "RealBlur_R_test_list.txt").open("a") as file:
        file.write(line.format("scene002", 20))
    (line,) = lines_of(root, "realblur", split="test")
    assert line.endswith("RealBlur_R_test_list.txt: scene002/20 is listed, but is not there")


def test_realblur_j_and_r_together_ask_for_one(tmp_path, images):
    for root in ("RealBlur-J_x", "RealBlur-R_x"):
        put_realblur(tmp_path / root, images, "scene001/1")

    (line,) = lines_of(tmp_path, "realblur")

    assert "holds RealBlur-J_x and RealBlur-R_x; give one" in line


@pytest.mark.parametrize("below", ["", "training_set/"])
def test_the_authors_list(tmp_path, gopro_dir, below):
    shutil.copytree(gopro_dir, tmp_path / f"list/{below}GOPRO")
    lines = [
        f"GOPRO/train/GOPR0002/sharp/{name}.png GOPRO/train/GOPR0002/blur/{name}.png\n"
        for name in ("0001", "0000")
    ]
    (tmp_path / "list/datalist.txt").write_text("".join(lines) + "\n")

    pairs = find_pairs(tmp_path / "list/datalist.txt")

    assert [pair.name for pair in pairs] == ["GOPR0002/0001", "GOPR0002/0000"]
    assert pairs[0].blurry == tmp_path / f"list/{below}GOPRO/train/GOPR0002/blur/0001.png"
    assert (pairs[0].sharp.parent.name, pairs[0].sequence, layout_of(pairs)) == (
        "sharp",
        "GOPR0002",
        "datalist",
    )


def test_lines_of_a_list_that_cannot_be_used_are_numbered(pairs_dir):
    good = "sharp/0000.png blur/0000.png\n"
    path = pairs_dir / "list.txt"
    path.write_text(f"{good}sharp/0001.png\n\nsharp/0002.png blur/0009.png\n{good}")

    lines = lines_of(path)

    assert [line.removeprefix(f"{path}, ") for line in lines] == [
        "line 2: has no second column; a line takes a sharp and a blurry file, names with blanks in quotes",
        "line 4: blur/0009.png is not there",
        "line 5: the pair 0000 is listed already",
    ]


def test_an_image_is_no_list(pairs_dir):
    (line,) = lines_of(pairs_dir / "blur/0000.png")

    assert "not a text file" in line


@pytest.mark.parametrize(
    "dataset, tree", [("reds", "train_{blur,sharp}"), ("hide", "GT/"), ("realblur", "gt}")]
)
def test_a_layout_that_is_not_there_shows_its_tree(gopro_dir, dataset, tree):
    (line,) = lines_of(gopro_dir, dataset)

    assert f"{gopro_dir}: no pairs there; looked for " in line
    assert tree in line
