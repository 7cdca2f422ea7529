"""Trees of the field, made small: each is found by "auto", and what does not fit in one is named."""

import os
import shutil

import pytest

import srn
from srn.data.layouts import DVD_TEST, list_data_set
from srn.data.listing import Request
from srn.data.mixture import Part, open_sources
from srn.data.pairs import find_pairs, layout_of
from srn.data.verification import verify
from srn.errors import InputError


@pytest.fixture
def images(tmp_path, make_pairs):
    """(blurry file, sharp file) to copy from."""
    folder = make_pairs(tmp_path / "images", count=1, height=16, width=20)
    return folder / "blur/0000.png", folder / "sharp/0000.png"


@pytest.fixture
def grow(tmp_path, images):
    """Makes a tree: for each (blurry path, sharp path) a pair; a path of None makes no file."""

    def grow_tree(*pairs, root="data"):
        for sides in pairs:
            for source, target in zip(images, sides):
                if target is not None:
                    (tmp_path / root / target).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, tmp_path / root / target)
        return tmp_path / root

    return grow_tree


def lines_of(*arguments, **options):
    with pytest.raises(InputError) as error:
        find_pairs(*arguments, **options)
    return str(error.value).splitlines()


SPLIT_TREES = [
    ("{0}/input/{1}.png", "{0}/target/{1}.png", "split", ""),  # MPRNet, Restormer, NAFNet
    ("{0}/blur/{1}.png", "{0}/sharp/{1}.png", "split", ""),  # MIMO-UNet
    ("{0}/Blur/{1}.png", "{0}/Sharp/{1}.png", "split", ""),
    ("{0}/SEQ/blurry/{1}.png", "{0}/SEQ/sharp/{1}.png", "gopro", "SEQ"),
    ("{0}/SEQ/input/{1}.jpg", "{0}/SEQ/GT/{1}.jpg", "gopro", "SEQ"),  # DVD, unpacked by splits
    ("{0}/SEQ/Blur/RGB/{1}.png", "{0}/SEQ/Sharp/RGB/{1}.png", "bsd", "SEQ"),
    ("BSD_1ms8ms/{0}/SEQ/Blur/RGB/{1}.png", "BSD_1ms8ms/{0}/SEQ/Sharp/RGB/{1}.png", "bsd", "SEQ"),
]


@pytest.mark.parametrize("blurry, sharp, layout, sequence", SPLIT_TREES)
def test_trees_with_splits(grow, blurry, sharp, layout, sequence):
    places = [("train", "1"), ("train", "2"), ("test", "3")]
    root = grow(*[(blurry.format(*place), sharp.format(*place)) for place in places])
    prefix = f"{sequence}/" if sequence else ""

    train, test = (find_pairs(root, split=split) for split in ("train", "test"))

    assert [pair.name for pair in train] == [f"{prefix}1", f"{prefix}2"]
    assert [pair.name for pair in test] == [f"{prefix}3"]
    assert layout_of(train) == layout_of(test) == layout
    assert test[0].blurry == root / blurry.format("test", "3")
    assert test[0].sharp == root / sharp.format("test", "3")
    assert find_pairs(root, layout, split="test") == test


@pytest.mark.parametrize(
    "blurry, sharp",
    [
        ("blur", "sharp"),
        ("blurry", "sharp"),
        ("lq", "gt"),
        ("Input", "Target"),
        ("LQ", "HQ"),
        ("Blurred", "GT"),
    ],
)
def test_a_plain_folder_by_other_names(grow, blurry, sharp):
    root = grow((f"{blurry}/1.png", f"{sharp}/1.png"))

    (pair,) = find_pairs(root)

    assert (pair.blurry, pair.sharp) == (root / f"{blurry}/1.png", root / f"{sharp}/1.png")
    assert layout_of([pair]) == "pairs"


def test_sequences_without_splits(grow):
    root = grow(*[(f"{name}/blur/1.png", f"{name}/sharp/1.png") for name in ("b", "a")])

    pairs = find_pairs(root)

    assert [pair.name for pair in pairs] == ["a/1", "b/1"]
    assert layout_of(pairs) == "sequences"
    assert find_pairs(root, split="test") == pairs


@pytest.mark.parametrize("above", ["", "quantitative_datasets/"])
def test_dvd_knows_its_test_split(grow, above):
    names = ["IMG_0001", "IMG_0003", "720p_240fps_2"]
    root = grow(*[(f"{above}{name}/input/00000.jpg", f"{above}{name}/GT/00000.jpg") for name in names])

    train, test = (find_pairs(root, split=split) for split in ("train", "test"))

    assert [pair.sequence for pair in train] == ["IMG_0001"]
    assert [pair.sequence for pair in test] == ["720p_240fps_2", "IMG_0003"]
    assert layout_of(test) == "dvd"
    assert len(DVD_TEST) == 10


@pytest.mark.parametrize(
    "tree, split",
    [
        (("train/input.lmdb", "train/target.lmdb"), "train"),
        (("train/blur_crops.lmdb", "train/sharp_crops.lmdb"), "train"),
        (("train/train_blur.lmdb", "train/train_sharp.lmdb"), "train"),
        (("val/blur_300.lmdb", "val/sharp_300.lmdb"), "test"),
        (("LQ.lmdb", "GT.lmdb"), "train"),
    ],
)
def test_lmdb_as_basicsr_writes_it(tmp_path, images, tree, split):
    write_lmdbs(tmp_path / "data", tree, images, ["001/2", "000"])

    pairs = find_pairs(tmp_path / "data", split=split)

    assert [pair.name for pair in pairs] == ["000", "001__2"]
    assert layout_of(pairs) == "lmdb"
    for side in (0, 1):
        copied = (pairs[0].blurry, pairs[0].sharp)[side]
        assert copied.read_bytes() == images[side].read_bytes()
    before = os.stat(pairs[0].blurry).st_mtime_ns
    assert find_pairs(tmp_path / "data", split=split) == pairs
    assert os.stat(pairs[0].blurry).st_mtime_ns == before  # unpacked once


def write_lmdbs(root, tree, images, names):
    lmdb = pytest.importorskip("lmdb")
    for folder, image in zip(tree, images):
        (root / folder).mkdir(parents=True)
        with lmdb.open(str(root / folder), map_size=2**20) as opened, opened.begin(write=True) as transaction:
            for name in names:
                transaction.put(name.encode(), image.read_bytes())
        lines = [f"{name}.png (16,20,3) 1\n" for name in names]
        (root / folder / "meta_info.txt").write_text("".join(lines))


def test_an_lmdb_that_is_not_whole_is_named(tmp_path, images):
    root = tmp_path / "data"
    write_lmdbs(root, ("test/input.lmdb", "test/target.lmdb"), images, ["1", "2"])
    with open(root / "test/target.lmdb/meta_info.txt", "a") as file:
        file.write("3.png (16,20,3) 1\n")

    (line,) = lines_of(root, split="test")
    assert line.endswith("target.lmdb: meta_info.txt does not name the same images: 3, ...")

    (root / "test/target.lmdb/data.mdb").write_bytes(b"nothing" * 1000)
    (line,) = lines_of(root, split="test")
    assert "target.lmdb: damaged" in line


def test_sides_by_other_names_are_given(grow):
    root = grow(("test/A/in/1.png", "test/A/out/1.png"))

    (pair,) = find_pairs(root, split="test", blur_folder="in", sharp_folder="out")

    assert (pair.name, layout_of([pair])) == ("A/1", "gopro")
    half = grow(("input/1.png", "clean/1.png"), root="half")
    assert len(find_pairs(half, sharp_folder="clean")) == 1
    assert Request(half, "train", blur_folder="blur_gamma").sides[0] == ("blur_gamma", "sharp")


# Nothing is passed over in silence.


def test_sequences_with_one_side_only(grow):
    root = grow(
        ("test/A/blur/a.png", "test/A/sharp/a.png"),
        ("test/B/blur/a.png", None),
        (None, "test/C/sharp/a.png"),
        ("test/D/a.png", None),
    )
    (root / "test/E").mkdir()

    lines = lines_of(root, split="test")

    assert lines == [
        f"{root}/test/B: has blur/, but no folder of the other side",
        f"{root}/test/C: has sharp/, but no folder of the other side",
        f"{root}/test/D: has images, but not in two folders as the other sequences",
    ]


def test_images_of_other_kinds_and_in_folders(grow, caplog):
    root = grow(
        ("blur/1.png", "sharp/1.png"), ("blur/2.bmp", "sharp/2.bmp"), ("blur/more/3.png", "sharp/more/3.png")
    )
    (root / "blur/notes.txt").touch()

    lines = lines_of(root)

    assert lines == [
        f"{root}/blur/2.bmp: of a kind that is not read; convert it to PNG",
        f"{root}/blur/more: images in a folder inside of blur/ are not read",
        f"{root}/sharp/2.bmp: of a kind that is not read; convert it to PNG",
        f"{root}/sharp/more: images in a folder inside of sharp/ are not read",
    ]
    assert caplog.messages == [f"{root}/blur: 1 file that are no images"]


def test_sides_that_are_swapped(grow):
    (line,) = lines_of(grow(("sharp/1.png", "blur/1.png")))

    assert line.endswith("they seem to be swapped")


def test_a_scene_of_realblur_with_one_side(grow):
    root = grow(("scene001/blur/blur_1.png", "scene001/gt/gt_1.png"), ("scene002/blur/blur_1.png", None))

    assert lines_of(root) == [f"{root}/scene002: has no two folders blur/ and gt/"]


def test_images_outside_of_the_clips_of_reds(grow):
    root = grow(("train_blur/000/1.png", "train_sharp/000/1.png"), ("train_blur/2.png", "train_sharp/2.png"))

    assert lines_of(root) == [
        f"{root}/train_{side}: 1 images are in no folder of a clip" for side in ("blur", "sharp")
    ]


def test_a_split_beside_pairs_is_noted(grow, caplog):
    root = grow(("blur/1.png", "sharp/1.png"), ("test/blur/2.png", "test/sharp/2.png"))

    assert [pair.name for pair in find_pairs(root)] == ["1"]
    assert caplog.messages == [f"{root}: beside the pairs there, test/ is not used"]


# A tree that nothing knows: what is there, and what would fit.


@pytest.mark.parametrize(
    "pair, options, part",
    [
        (
            ("train/A/blur/1.png", "train/A/sharp/1.png"),
            {"split": "test"},
            "1 pairs are found by `split`=train",
        ),
        (("GOPRO/train/A/blur/1.png", "GOPRO/train/A/sharp/1.png"), {}, "by `data_dir`={root}/GOPRO"),
        (("train/A/blur/1.png", "train/A/sharp/1.png"), {"dataset": "pairs"}, "by `dataset`=gopro"),
        (("bad/1.png", "good/1.png"), {}, "`data_dir`={root} `blur_folder`=bad `sharp_folder`=good"),
        (("a/1.png", None), {}, "it holds a/ with 1 image"),
        ((None, None), {}, "it holds no folder and no image"),
    ],
)
def test_an_unknown_tree_says_what_is_there_and_what_would_fit(grow, pair, options, part):
    root = grow(pair)
    root.mkdir(exist_ok=True)

    (line,) = lines_of(root, **options)

    assert line.startswith(f"{root}: no pairs there; looked for ")
    assert part.format(root=root) in line


def test_the_folder_above_is_found(grow):
    root = grow(("test/A/blur/1.png", None), ("test/A/x/2.png", "test/A/sharp/1.png"))

    (line,) = lines_of(root / "test/A/x", split="test")

    assert f"by `data_dir`={root}/test/A" in line


# Lists as people write them.


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff{0} {1}\n".encode(),
        b"# sharp, blurry\n\n  {0} {1}  \r\n",
        b'"{0}" "{1}"\n',
        b"'{0}'   {1}",
        b"{0}\t{1}\n",
        b"{0},{1}\n",
        b'"{0}", "{1}"\n',
        b"{0} {1}  # the first\n",
        "{0} {1}\n".encode("utf-16"),
    ],
)
def test_lists_as_people_write_them(grow, content):
    root = grow(("blur/1.png", "sharp/1.png"))
    text = content.replace(b"{0}", b"sharp/1.png").replace(b"{1}", b"blur/1.png")
    if content.startswith(b"\xff\xfe"):
        text = "sharp/1.png blur/1.png\n".encode("utf-16")
    (root / "list.txt").write_bytes(text)

    (pair,) = find_pairs(root / "list.txt")

    assert (pair.sharp, pair.blurry) == (root / "sharp/1.png", root / "blur/1.png")


@pytest.mark.parametrize("line", ["{0}\t{1}", '"{0}" "{1}"'])
def test_names_with_blanks(grow, line):
    root = grow(("my blur/bär 1.png", "my sharp/bär 1.png"))
    (root / "list.txt").write_text(line.format("my sharp/bär 1.png", "my blur/bär 1.png"), encoding="utf-8")

    (pair,) = find_pairs(root / "list.txt")

    assert pair.name == "bär 1"
    (root / "list.txt").write_text("my sharp/bär 1.png my blur/bär 1.png", encoding="utf-8")
    (line,) = lines_of(root / "list.txt")
    assert "line 1: has 6 columns" in line and "in quotes" in line


def test_the_layout_is_the_first_that_fits(gopro_dir):
    assert list_data_set(gopro_dir).layout == "gopro"
    assert list_data_set(gopro_dir / "train").layout == "sequences"
    assert list_data_set(gopro_dir / "train/GOPR0001").layout == "pairs"


def test_verification_names_the_same_without_official_counts(grow):
    root = grow(("test/A/blur/a.png", "test/A/sharp/a.png"), ("test/B/blur/a.png", None))

    problems = verify(root, official=False).problems

    assert problems == [f"{root}/test/B: has blur/, but no folder of the other side"]


TREES_TO_USE = [
    *(tree[:2] for tree in SPLIT_TREES),
    ("{1}/blur/{1}.png", "{1}/sharp/{1}.png"),
    ("lq/{1}.png", "gt/{1}.png"),
    ("IMG_000{1}/input/{1}.jpg", "IMG_000{1}/GT/{1}.jpg"),
    ("{0}/{0}_blur/{1}/{1}.png", "{0}/{0}_sharp/{1}/{1}.png"),
]


def plant(grow, blurry, sharp):
    """Two pairs for training and one for the test."""
    places = [("train", 1), ("train", 2), ("test", 3)]
    if "_blur/" in blurry:
        places[-1] = ("val", 3)
    return grow(*[(blurry.format(*place), sharp.format(*place)) for place in places])


@pytest.mark.parametrize("blurry, sharp", TREES_TO_USE)
def test_each_tree_is_scored_and_read_for_training(grow, blurry, sharp):
    root = plant(grow, blurry, sharp)

    summary = srn.evaluate(root, "identity").summary
    (source,) = open_sources([Part("auto", str(root))], crop_size=16)

    assert summary["images"] >= 1
    assert len(source) >= 2
    crop = source.reader(16, seed=0)(0, 1)
    assert crop.shape == (2, 16, 16, 3)


@pytest.fixture
def train_for_two_steps(tmp_path):
    """Trains `sr_edrb1` on a tree; returns the last step."""

    def train(root):
        config = srn.TrainingConfig(
            model="sr_edrb1", data_dir=str(root), crop_size=16, batch_size=2, max_steps=2, decay_steps=2
        )
        return srn.train(config, tmp_path / "run").step

    return train


@pytest.mark.slow
@pytest.mark.parametrize("blurry, sharp", TREES_TO_USE)
def test_each_tree_is_trained_on_for_two_steps(grow, train_for_two_steps, blurry, sharp):
    assert train_for_two_steps(plant(grow, blurry, sharp)) == 2


@pytest.mark.slow
def test_an_lmdb_is_scored_and_trained_on_for_two_steps(tmp_path, images, train_for_two_steps):
    root = tmp_path / "data"
    write_lmdbs(root, ("test/input.lmdb", "test/target.lmdb"), images, ["1", "2", "3"])
    write_lmdbs(root, ("train/input.lmdb", "train/target.lmdb"), images, ["1", "2"])

    assert srn.evaluate(root, "identity").summary["images"] == 3
    assert train_for_two_steps(root) == 2
