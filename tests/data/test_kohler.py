"""The data set of Köhler et al.: what is found and what is wrong with it, on images of 8x8."""

import cv2
import numpy as np
import pytest

from srn.data.kohler import IMAGES, KERNELS, check_kohler, find_kohler, official_frames
from srn.data.layouts import DATASETS
from srn.errors import InputError

ALL = [(image, kernel) for image in IMAGES for kernel in KERNELS]
PNG = cv2.imencode(".png", np.full([8, 8, 3], 90, np.uint8))[1].tobytes()
OTHER_SIZE = cv2.imencode(".png", np.full([6, 8, 3], 90, np.uint8))[1].tobytes()


def write(path, content=PNG):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_frames(folder, image, kernel, numbers):
    for number in numbers:
        write(folder / f"Image{image}/Kernel{kernel}/GroundTruth{image}_{kernel}_{number}.png")


@pytest.fixture
def whole(tmp_path):
    """All 48 images with .mat files; those of image 1, kernel 3 and image 3, kernel 7 with PNG frames."""
    for image, kernel in ALL:
        write(tmp_path / f"BlurryImages/Blurry{image}_{kernel}.png")
        if (image, kernel) in ((1, 3), (3, 7)):
            write_frames(tmp_path, image, kernel, range(1, official_frames(image, kernel) + 1))
        else:
            write(tmp_path / f"GroundTruth{image}_{kernel}.mat", b"array")
    return tmp_path


def frame(folder, number):
    return folder / f"Image3/Kernel7/GroundTruth3_7_{number}.png"


def test_the_official_numbers_of_frames():
    assert sum(official_frames(*key) for key in ALL) == 9547
    assert official_frames(1, 3) == 199
    assert official_frames(2, 11) == 200
    assert [key for key in ALL if official_frames(*key) == 198] == [
        *((1, 10), (1, 12), (2, 10)),
        *((3, 7), (3, 12), (4, 12)),
    ]


def test_a_whole_set_is_found_in_order(whole):
    images = find_kohler(whole)

    assert [(image.image, image.kernel) for image in images] == ALL
    assert images[11].name == "1_12"
    assert images[11].blurry == whole / "BlurryImages/Blurry1_12.png"
    assert images[11].truths == (whole / "GroundTruth1_12.mat",)
    # By number, not by name.
    assert images[30].truths == tuple(frame(whole, number) for number in range(1, 199))
    assert check_kohler(images) == []


def test_the_same_set_in_one_flat_folder(tmp_path):
    for name in (
        "Blurry2_11.png",
        "GroundTruth2_11_1.png",
        "GroundTruth2_11_10.png",
        "GroundTruth2_11_2.png",
    ):
        write(tmp_path / name)
    write(tmp_path / "GroundTruth2_11.mat", b"array")
    for name in ("Blurry5_1.png", "Blurry1_13.png", "SRN2_11.png", "._Blurry2_11.png"):
        write(tmp_path / name)

    (image,) = find_kohler(tmp_path)

    assert [path.name for path in image.truths] == [f"GroundTruth2_11_{number}.png" for number in (1, 2, 10)]


def test_nothing_found_and_files_there_twice(tmp_path):
    with pytest.raises(InputError, match=r"looked for Blurry1_1.png to .*GroundTruth1_1.mat") as caught:
        find_kohler(tmp_path)
    assert "\n" not in str(caught.value)
    for folder in ("data", "results"):
        write(tmp_path / folder / "Blurry1_1.png")
    with pytest.raises(InputError, match=r"results/Blurry1_1.png: is there twice, also as .*data/Blurry1_1"):
        find_kohler(tmp_path)


def test_missing_kernels_and_missing_partners(whole):
    for path in ("BlurryImages/Blurry1_1.png", "GroundTruth1_1.mat", "GroundTruth2_5.mat"):
        (whole / path).unlink()
    (whole / "BlurryImages/Blurry4_12.png").unlink()
    (whole / "GroundTruth4_2.mat").write_bytes(b"")
    images = find_kohler(whole)

    problems = check_kohler(images)

    assert problems == [
        "1 of 48 images are missing: 1_1",
        f"{whole}/BlurryImages/Blurry2_5.png: has no truths, GroundTruth2_5.mat or PNG frames",
        f"{whole}/GroundTruth4_2.mat: is missing or empty",
        "4_12: has truths, but no Blurry4_12.png",
    ]
    assert check_kohler(images, official=False) == problems[1:]


def test_frames_that_are_missing(whole):
    (whole / "Image1/Kernel3/GroundTruth1_3_30.png").unlink()  # which the official script does not use
    assert check_kohler(find_kohler(whole)) == []

    for number in (57, 198):
        frame(whole, number).unlink()
    images = find_kohler(whole)

    gap = "3_7: frames are missing between the others: 57"
    assert check_kohler(images) == ["3_7: 196 frames; the official data set has 198", gap]
    assert check_kohler(images, official=False) == [gap]

    part = whole / "part"
    write_frames(part, 1, 3, range(1, 6))
    write(part / "Blurry1_3.png")
    assert check_kohler(find_kohler(part), official=False) == []


def test_damaged_files_and_sizes_that_differ(whole):
    blurry = whole / "BlurryImages/Blurry1_1.png"
    content = bytearray(PNG)
    content[PNG.index(b"IDAT") + 8] ^= 0xFF
    blurry.write_bytes(content)
    frame(whole, 2).write_bytes(PNG[:-8])
    frame(whole, 3).write_bytes(OTHER_SIZE)

    broken, truncated, resized = check_kohler(find_kohler(whole))

    assert broken.startswith(f"{blurry}: cannot be decoded")
    assert truncated.startswith(f"{frame(whole, 2)}: the file is truncated")
    assert resized == f"{whole}/BlurryImages/Blurry3_7.png: 8x8, but {frame(whole, 3)} is 8x6"

    (whole / "BlurryImages/Blurry3_7.png").unlink()
    assert f"3_7: 8x8, but {frame(whole, 3)} is 8x6" in check_kohler(find_kohler(whole))


def test_training_does_not_take_it():
    assert "kohler" not in DATASETS


def test_the_command(call, whole):
    words = ("data/verify.py", "--dataset=kohler", f"--data_dir={whole}")
    sound = call(*words)
    frame(whole, 198).unlink()
    wrong = call(*words)
    part = call(*words, "--noofficial")
    nothing = call(*words[:2], f"--data_dir={whole / 'Image1/Kernel4'}")

    assert (sound.returncode, sound.stderr) == (0, "")
    first, *_, total, verdict = sound.stdout.splitlines()
    assert first.split() == ["12", "test/Image1"]
    assert total == "test: 48 pairs (official: 48), 4 sequences (official: 4)"
    assert verdict.startswith(
        "kohler: all is well; blurry images are whole; of truths, PNG headers were read"
    )
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines() == [
        "verify.py: 3_7: 197 frames; the official data set has 198",
        "verify.py: wrong in 1 point",
    ]
    assert part.returncode == 0
    assert nothing.returncode == 2 and len(nothing.stderr.splitlines()) == 1
