import os

import pytest
from drawing import picture

from srn.errors import InputError
from srn.inference.planning import Naming, make_plan


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"never looked into")
    return path


def names(plan, folder):
    return {str(source.relative_to(folder)): str(target.relative_to(folder)) for source, target in plan.jobs}


def reasons(plan):
    return " | ".join(f"{path}: {reason}" for path, reason in plan.passed_over)


def test_results_stand_beside_the_originals_or_where_they_are_wanted(tmp_path):
    one, two = save(tmp_path / "a/one.jpg"), save(tmp_path / "a/two.png")

    def plan(*inputs, output=None, **options):
        return names(make_plan([str(word) for word in inputs], Naming(output, **options)), tmp_path)

    beside = {"a/one.jpg": "a/one_deblurred.jpg", "a/two.png": "a/two_deblurred.png"}
    assert plan(one) == {"a/one.jpg": "a/one_deblurred.jpg"}
    assert plan(tmp_path / "a") == plan(one, two) == plan(tmp_path / "a/*.*") == beside
    assert plan(one, output=f"{tmp_path}/sharp.png") == {"a/one.jpg": "sharp.png"}
    assert plan(one, two, output=f"{tmp_path}/b") == {"a/one.jpg": "b/one.jpg", "a/two.png": "b/two.png"}
    assert plan(one, ending=".out") == {"a/one.jpg": "a/one.out.jpg"}
    assert plan(one, output=f"{tmp_path}/b", ending="_x") == {"a/one.jpg": "b/one_x.jpg"}
    assert plan(one, two, format="PNG", ending="_x")["a/one.jpg"] == "a/one_x.png"


@pytest.mark.parametrize("name", ["holiday v1.2", "holiday.2024/", "new", "deep/er"])
def test_a_folder_may_have_any_name(tmp_path, name):
    one = save(tmp_path / "a/one.jpg")

    (job,) = make_plan([str(one)], Naming(f"{tmp_path}/{name}")).jobs

    assert job.target == tmp_path / name / "one.jpg"


def test_several_photographs_go_to_a_folder_whatever_its_name(tmp_path):
    inputs = [str(save(tmp_path / "a/one.jpg")), str(save(tmp_path / "a/two.jpg"))]

    assert names(make_plan(inputs, Naming(f"{tmp_path}/x.backup")), tmp_path) == {
        "a/one.jpg": "x.backup/one.jpg",
        "a/two.jpg": "x.backup/two.jpg",
    }


@pytest.mark.parametrize("name", ["result.gif", "notes.txt", "photo.xyz"])
def test_an_output_that_is_neither_folder_nor_image_is_refused(tmp_path, name):
    photograph = str(save(tmp_path / "photo.png"))

    with pytest.raises(InputError, match="neither a folder nor an image file"):
        make_plan([photograph], Naming(f"{tmp_path}/{name}"))


def test_no_plan_loses_an_image(tmp_path):
    one, other = save(tmp_path / "a/one.jpg"), save(tmp_path / "b/one.jpg")

    for inputs, output, part in (
        ([one], one, "would overwrite an input"),
        ([one], tmp_path / "a", "would overwrite an input"),
        ([one, other], tmp_path / "c", "two inputs"),
        ([one, other], tmp_path / "c.png", "cannot take 2 photographs"),
        ([one, other], "-", "cannot take 2 photographs"),
        ([tmp_path / "missing.jpg"], None, "no such file"),
    ):
        with pytest.raises(InputError, match=part):
            make_plan([str(word) for word in inputs], Naming(None if output is None else str(output)))


def test_two_kinds_of_one_name_that_become_one_kind_keep_apart(tmp_path):
    save(tmp_path / "one.jpg"), save(tmp_path / "one.tif"), save(tmp_path / "one.png")

    plan = make_plan([str(tmp_path)], Naming(format="PNG"))

    assert names(plan, tmp_path) == {
        "one.jpg": "one_deblurred.png",
        "one.png": "one_png_deblurred.png",
        "one.tif": "one_tif_deblurred.png",
    }


def test_the_second_of_two_equal_calls_means_the_same(tmp_path):
    for name in ("one.jpg", "two.jpg"):
        save(tmp_path / name), save(tmp_path / name.replace(".", "_deblurred."))
        save(tmp_path / name.replace(".", "_deblurred_compare."))
    inputs = [str(path) for path in sorted(tmp_path.glob("*.jpg"))]

    for words in (inputs, [str(tmp_path / "*.jpg")], [str(tmp_path)]):
        assert names(make_plan(words), tmp_path) == {
            "one.jpg": "one_deblurred.jpg",
            "two.jpg": "two_deblurred.jpg",
        }
    alone = make_plan([str(tmp_path / "one_deblurred.jpg")])
    assert names(alone, tmp_path) == {"one_deblurred.jpg": "one_deblurred_deblurred.jpg"}


def test_a_photograph_named_twice_is_restored_once(tmp_path):
    one = save(tmp_path / "one.jpg")

    plan = make_plan([str(one), str(tmp_path), f"{tmp_path}/../{tmp_path.name}/one.jpg"])

    assert len(plan.jobs) == 1


@pytest.mark.parametrize(
    "suffix", [".jfif", ".jpe", ".JPG", ".avif", ".jp2", ".tga", ".ppm", ".heic", ".webp", ".bmp", ".tif"]
)
def test_a_folder_gives_every_kind_of_photograph(tmp_path, suffix):
    save(tmp_path / f"one{suffix}")

    assert names(make_plan([str(tmp_path)]), tmp_path) == {f"one{suffix}": f"one_deblurred{suffix}"}


def test_a_kind_that_cannot_be_written_becomes_png(tmp_path):
    save(tmp_path / "one.psd"), save(tmp_path / "two.gif")

    plan = make_plan([str(tmp_path)])

    assert names(plan, tmp_path) == {"one.psd": "one_deblurred.png", "two.gif": "two_deblurred.png"}


def test_a_folder_says_what_it_passes_over(tmp_path):
    save(tmp_path / "one.jpg"), save(tmp_path / "notes.txt"), save(tmp_path / "clip.mp4")
    save(tmp_path / "raw.NEF"), save(tmp_path / ".hidden.jpg"), save(tmp_path / "sub/two.jpg")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")

    plan = make_plan([str(tmp_path)])

    assert names(plan, tmp_path) == {"one.jpg": "one_deblurred.jpg"}
    said = reasons(plan)
    for part in ("clip.mp4, notes.txt", "raw, to be developed first: raw.NEF", "folder.jpg, sub"):
        assert part in said
    assert "pipe.jpg: is no regular file" in said and "lost.jpg: is no regular file" in said
    assert "hidden" not in said


def test_sub_folders_are_taken_on_request_and_kept_apart(tmp_path):
    save(tmp_path / "in/one.jpg"), save(tmp_path / "in/sub/deep/one.jpg"), save(tmp_path / "in/out/one.jpg")

    plan = make_plan([str(tmp_path / "in")], Naming(str(tmp_path / "in/out")), recursive=True)

    assert names(plan, tmp_path) == {
        "in/one.jpg": "in/out/one.jpg",
        "in/sub/deep/one.jpg": "in/out/sub/deep/one.jpg",
    }


def test_one_missing_file_does_not_end_the_others(tmp_path):
    one = save(tmp_path / "one.jpg")

    plan = make_plan([str(tmp_path / "none.jpg"), str(one)])

    assert len(plan.jobs) == 1
    assert plan.missing == [(str(tmp_path / "none.jpg"), "there is no such file")]


@pytest.mark.parametrize("stem", ["n" * 246, "ü" * 123, "日" * 82, "n" * 250])
def test_a_name_that_becomes_too_long_is_shortened(tmp_path, stem):
    one = save(tmp_path / f"{stem}.jpg")

    (job,) = make_plan([str(one)]).jobs

    assert job.target.name.endswith("_deblurred.jpg")
    assert 252 <= len(os.fsencode(job.target.name)) <= 255
    job.target.write_bytes(b"")  # the file system takes it


def test_a_name_need_not_be_text(tmp_path):
    save(tmp_path / os.fsdecode(b"bad\xff.jpg"))

    (job,) = make_plan([str(tmp_path)]).jobs

    assert os.fsencode(job.target.name) == b"bad\xff_deblurred.jpg"


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no image in it"):
        make_plan([str(tmp_path)])


def test_the_standard_streams(tmp_path):
    picture().save(tmp_path / "one.jpg")

    assert [str(word) for word in make_plan(["-"]).jobs[0]] == ["-", "-"]
    assert str(make_plan(["-"], Naming(f"{tmp_path}/x.png")).jobs[0].target) == f"{tmp_path}/x.png"
    assert str(make_plan([f"{tmp_path}/one.jpg"], Naming("-")).jobs[0].target) == "-"


# Names that lead nowhere, or in circles


def test_a_result_of_two_kinds_of_one_name_is_no_input_of_the_next_run(tmp_path):
    save(tmp_path / "a.jpg")
    save(tmp_path / "a.png")
    naming = Naming(format="PNG")
    first = make_plan([str(tmp_path)], naming)

    assert [job.target.name for job in first.jobs] == ["a_deblurred.png", "a_png_deblurred.png"]

    for job in first.jobs:
        save(job.target)
    for inputs in ([str(tmp_path)], [str(path) for path in sorted(tmp_path.iterdir())]):
        assert make_plan(inputs, naming).jobs == first.jobs


def test_links_in_circles_are_passed_over(tmp_path):
    save(tmp_path / "a.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "up").symlink_to("..")

    plan = make_plan([str(tmp_path)], recursive=True)

    assert [job.source.name for job in plan.jobs] == ["a.jpg"]
    assert dict(plan.passed_over) == {
        str(tmp_path / "loop.jpg"): "is no regular file",
        str(tmp_path / "up"): "is a link to a folder; name it explicitly",
    }
    assert len(make_plan([str(tmp_path / "loop.jpg")]).jobs) == 1  # reading it will say why


@pytest.mark.parametrize("word, reason", [("n" * 300, "File name too long"), ("a\0b", "embedded null byte")])
def test_names_that_cannot_be_do_not_end_the_run(tmp_path, word, reason):
    save(tmp_path / "a.jpg")

    plan = make_plan([word, str(tmp_path / "a.jpg")])

    assert len(plan.jobs) == 1 and reason in plan.missing[0][1]


@pytest.mark.parametrize(
    "inputs, naming, line",
    [
        ([""], Naming(), "an input has no name"),
        (["a.jpg"], Naming(output=""), "-o: give a file or folder"),
        (["a.jpg"], Naming(output="b.png", format="JPEG"), "is PNG by its name, and --format says JPEG"),
        (["a.jpg"], Naming(ending="s" * 300), "choose a shorter --suffix"),
        (["a.jpg"], Naming(output="plain"), "is there already"),
    ],
)
def test_calls_that_cannot_be_meant(tmp_path, monkeypatch, inputs, naming, line):
    save(tmp_path / "a.jpg")
    save(tmp_path / "plain")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match=line):
        make_plan(inputs, naming)
