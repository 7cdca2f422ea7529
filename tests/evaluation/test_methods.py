import pytest
from PIL import Image

from srn.data.kohler import KohlerImage
from srn.data.listing import Pair
from srn.errors import InputError
from srn.evaluation.methods import find_results


@pytest.fixture
def pairs_named(tmp_path_factory):
    """Makes pairs with these names, whose blurry images are of 8x6."""
    folder = tmp_path_factory.mktemp("data")

    def make(*names):
        draw(folder, *(f"blur/{name}.png" for name in names))
        return [Pair(folder / f"blur/{name}.png", folder / f"sharp/{name}.png", name) for name in names]

    return make


def draw(folder, *names, size=(8, 6)):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)


def test_images_are_found_by_sequence_and_number_whatever_is_around_them(tmp_path, pairs_named):
    draw(tmp_path, "restored/A/1.png", "restored/B/1.jpg")
    (tmp_path / "notes.txt").touch()

    found = find_results(pairs_named("A/1", "B/1"), tmp_path)

    assert found == {"A/1": tmp_path / "restored/A/1.png", "B/1": tmp_path / "restored/B/1.jpg"}


def test_a_plain_number_will_do_where_it_is_the_only_one(tmp_path, pairs_named):
    draw(tmp_path, "1.png", "2.png")
    found = find_results(pairs_named("A/1", "B/2"), tmp_path)
    assert [path.name for path in found.values()] == ["1.png", "2.png"]
    with pytest.raises(InputError, match="no image for 2 of 2: A/1, B/1"):
        find_results(pairs_named("A/1", "B/1"), tmp_path)


def test_the_name_of_the_blurry_file_will_do_too(tmp_path, tmp_path_factory):
    draw(tmp_path, "Blurry1_1.png", "1_2.png")
    blurry = [tmp_path_factory.getbasetemp() / f"Blurry1_{kernel}.png" for kernel in (1, 2, 3)]
    draw(tmp_path_factory.getbasetemp(), *(path.name for path in blurry))
    images = [KohlerImage(f"1_{kernel}", 1, kernel, path, ()) for kernel, path in enumerate(blurry, 1)]

    found = find_results(images[:2], tmp_path)

    assert [path.name for path in found.values()] == ["Blurry1_1.png", "1_2.png"]
    with pytest.raises(InputError, match="no image for 1 of 3: 1_3"):
        find_results(images, tmp_path)


def test_missing_and_doubled_images_are_named(tmp_path, pairs_named):
    draw(tmp_path, "A/1.png")
    with pytest.raises(InputError, match="no image for 1 of 2: A/2"):
        find_results(pairs_named("A/1", "A/2"), tmp_path)
    draw(tmp_path, "A/1.jpg")
    with pytest.raises(InputError, match="could both be A/1"):
        find_results(pairs_named("A/1"), tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_results(pairs_named("A/1"), tmp_path / "nowhere")


def test_files_of_another_size_are_named(tmp_path, pairs_named):
    draw(tmp_path, "A/1.png")
    draw(tmp_path, "A/2.png", size=(8, 5))

    with pytest.raises(InputError, match=r"A/2\.png: 8x5, but .*blur/A/2\.png is 8x6"):
        find_results(pairs_named("A/1", "A/2"), tmp_path)


@pytest.mark.parametrize(
    "written",
    [
        "{0}-{1}.png",
        "{0}_{1}.png",
        "{0}/{1}_out.png",
        "deep/er/{0}-{1}_deblurred.jpg",
        "{0}_{1}.restored.png",
        "{0}/blur/{1}.png",
        "{0}/{1}/restored.png",
        "{0}__{1}.png",
        "{0} {1}.png",
        "deblurred_{0}_{1}.png",
        "{0}/blur_{1}.png",
    ],
)
def test_names_that_other_projects_write(tmp_path, pairs_named, written):
    names = [("GOPR0384_11_00", "000001"), ("GOPR0384_11_05", "000001"), ("GOPR0384_11_00", "000002")]
    files = [written.format(*name) for name in names]
    draw(tmp_path, *files)

    found = find_results(pairs_named(*["/".join(name) for name in names]), tmp_path)

    assert list(found.values()) == [tmp_path / file for file in files]


def test_a_flat_data_set_and_results_in_a_folder_for_each_sequence(tmp_path, pairs_named):
    draw(tmp_path, "A_11_00/000001.png", "A_11_01/000001.png")

    found = find_results(pairs_named("A_11_00-000001", "A_11_01-000001"), tmp_path)

    assert list(found.values()) == [tmp_path / "A_11_00/000001.png", tmp_path / "A_11_01/000001.png"]


def test_a_word_at_the_end_must_be_that_of_all(tmp_path, pairs_named):
    draw(tmp_path, "A-1_out.png", "A-2_in.png", "A-12.png")

    with pytest.raises(InputError, match=r"no image for 1 of 2: A/2; looked for A/2\.png or A-2\.png"):
        find_results(pairs_named("A/1", "A/2"), tmp_path)


def test_several_words_that_would_do_are_named(tmp_path, pairs_named):
    draw(tmp_path, *(f"A_{number}_{word}.png" for number in "12" for word in ("fake_B", "real_A", "real_B")))

    with pytest.raises(InputError, match="2 images each with _fake_B, _real_A, _real_B"):
        find_results(pairs_named("A/1", "A/2"), tmp_path)


def test_images_that_are_named_in_another_way_are_shown(tmp_path, pairs_named):
    draw(tmp_path, "0000.png", "0001.png")

    with pytest.raises(InputError, match=r"no image for 2 of 2: A/1, A/2; .* it holds 0000, 0001"):
        find_results(pairs_named("A/1", "A/2"), tmp_path)
