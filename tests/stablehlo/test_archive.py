import cv2
import numpy as np
import pytest

from srn.errors import InputError


def write(path, seed, height=48, width=64):
    """A smooth picture, of which JPEG keeps all but little; RGB."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])
    return picture


@pytest.fixture
def sources(tmp_path):
    """Photographs of two sizes, a sequence of 15 frames, 3 pairs."""
    for number, (height, width) in enumerate([(48, 64), (80, 56)]):
        write(tmp_path / "photos" / f"{number}.jpg", number, height, width)
    for number in range(15):
        write(tmp_path / "video" / "walk" / f"{number:03d}.png", 10 + number)
    for number in range(3):
        for side in ("blur", "sharp"):
            write(tmp_path / "pairs" / side / f"{number}.png", 30 + number + 10 * (side == "sharp"))
    return tmp_path


def pack(call, sources, *more):
    words = [
        f"--out_dir={sources / 'packed'}",
        f"--photos={sources / 'photos'}",
        f"--frames={sources / 'video'}",
    ]
    words += [f"--pairs={sources / 'pairs'}", *more]
    return call("-m", "tools.stablehlo.pack", *words)


def unite(sources):
    for part in sorted((sources / "packed").glob("part_*")):
        for file in part.rglob("*.j*"):
            target = sources / "archive" / file.relative_to(part)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return sources / "archive"


def picture_at(archive, entry):
    first, height, width = entry
    return archive.pixels[first : first + height * width].reshape(height, width, 3)


def test_what_was_packed_is_there_again(call, sources, stablehlo):
    assert pack(call, sources, "--hold_out=2").returncode == 0
    archive = stablehlo("archive").open_archive(unite(sources))

    # 2 photographs, the sharp side of 2 pairs, frames 0 and 8.
    assert len(archive.photos) == 2 + 2 + 2
    assert len(archive.frames) == 15
    assert archive.windows.tolist() == [0, 1, 2]
    assert len(archive.pairs) == 2
    assert len(archive.held_out) == 1
    original = cv2.imread(str(sources / "photos" / "1.jpg"))[..., ::-1]
    np.testing.assert_array_equal(picture_at(archive, archive.photos[1]), original)
    for number in range(2):
        for side, entry in zip(("blur", "sharp"), archive.pairs[number]):
            original = cv2.imread(str(sources / "pairs" / side / f"{number}.png"))[..., ::-1]
            assert np.mean(np.abs(picture_at(archive, entry).astype(int) - original)) < 1.5
    np.testing.assert_array_equal(archive.photos[2], archive.pairs[0, 1])
    np.testing.assert_array_equal(archive.photos[5], archive.frames[8])


def test_parts_keep_to_their_size_and_pairs_stay_together(call, sources):
    for number in range(40):
        noise = np.random.default_rng(number).integers(0, 256, (256, 256, 3)).astype(np.uint8)
        for side in ("blur", "sharp"):
            cv2.imwrite(str(sources / "pairs" / side / f"{number:02d}.png"), noise)
    assert pack(call, sources, "--part_mib=1").returncode == 0

    parts = sorted((sources / "packed").glob("part_*"))
    sizes = [sum(file.stat().st_size for file in part.rglob("*.jpg")) for part in parts]
    assert len(parts) > 3
    assert max(sizes) <= 2**20
    for part in parts:
        sides = [{file.name for file in (part / "pairs" / side).glob("*")} for side in ("blur", "sharp")]
        assert sides[0] == sides[1]


def test_wrong_calls_are_told_in_a_line(call, sources):
    assert pack(call, sources).returncode == 0
    again = pack(call, sources)
    assert again.returncode == 2
    assert "holds parts already" in again.stderr
    other = pack(call, sources, f"--out_dir={sources / 'other'}", f"--photos={sources / 'nowhere'}")
    assert other.returncode == 2
    assert "nowhere: there is no such folder" in other.stderr


def test_an_archive_without_images_or_with_a_broken_one_is_refused(call, sources, stablehlo):
    archive = stablehlo("archive")
    with pytest.raises(InputError, match="no photos, frames or pairs"):
        archive.open_archive(sources / "video")
    assert pack(call, sources).returncode == 0
    folder = unite(sources)
    broken = next((folder / "photos").glob("*.jpg"))
    broken.write_bytes(b"no image")
    with pytest.raises(InputError, match=broken.name):
        archive.open_archive(folder)


def test_a_missing_part_is_noticed(call, sources, stablehlo):
    assert pack(call, sources).returncode == 0
    folder = unite(sources)
    (folder / "frames" / "walk" / "007.jpg").unlink()
    with pytest.raises(InputError, match="14 files, not the 15"):
        stablehlo("archive").open_archive(folder)


def test_names_that_would_become_one_and_patterns_without_a_pair_are_refused(call, sources):
    write(sources / "photos" / "1.png", 99)
    result = pack(call, sources)
    assert result.returncode == 2
    assert "would have the same name" in result.stderr
    (sources / "photos" / "1.png").unlink()
    result = pack(call, sources, "--hold_out=nothing*")
    assert result.returncode == 2
    assert "no pair has such a name" in result.stderr
