import itertools
import json
import os
import shutil

import cv2
import numpy as np
import pytest

from srn.data import cache as cache_module
from srn.data.cache import PreparedCache, prepare, verify_checksums
from srn.data.pairs import find_pairs
from srn.data.pipeline import stream_crops
from srn.data.sources import PairSource
from srn.errors import InputError, WorkError


@pytest.fixture
def prepared(gopro_dir, tmp_path):
    """(pairs, folder of their cache)."""
    pairs = find_pairs(gopro_dir)
    prepare(pairs, tmp_path / "cache", progress=False)
    return pairs, tmp_path / "cache"


def take(count, pairs, *arguments, cache=None, **options):
    stream = stream_crops([PairSource(pairs, cache)], *arguments, **options)
    return list(itertools.islice(stream.as_numpy_iterator(), count))


def assert_same(batches, others):
    for batch, other in zip(batches, others):
        for one, two in zip(batch, other):
            np.testing.assert_array_equal(one, two)


def test_windows_are_those_of_the_files(prepared):
    pairs, folder = prepared
    cache = PreparedCache(folder, pairs)

    for index, pair in enumerate(pairs):
        images = [cv2.cvtColor(cv2.imread(str(f)), cv2.COLOR_BGR2RGB) for f in (pair.blurry, pair.sharp)]
        window = cache.read_window(index, 7, 20, 30)
        np.testing.assert_array_equal(window, np.stack(images)[:, 7:37, 20:50])
    assert cache.sizes.tolist() == [[64, 64]] * 4


@pytest.mark.parametrize("augment", [False, True], ids=["plain", "augmented"])
def test_batches_do_not_depend_on_cache_parallelism_or_restart(prepared, augment):
    pairs, folder = prepared
    options = {"seed": 5, "augment": augment}

    expected = take(7, pairs, 3, 24, **options)[4:]

    for cache in (None, PreparedCache(folder, pairs)):
        for parallelism in (1, 2, 8):
            batches = take(3, pairs, 3, 24, first_sample=12, cache=cache, parallelism=parallelism, **options)
            assert len(batches) == 3
            assert_same(expected, batches)


def test_augmentation_lays_the_same_window_all_eight_ways_and_both_sides_alike(prepared):
    pairs, _ = prepared
    plain = take(60, pairs[:1], 1, 64, augment=False)
    turned = take(60, pairs[:1], 1, 64, augment=True)

    seen = set()
    for (blurry, sharp), (turned_blurry, turned_sharp) in zip(plain, turned):
        for mirror, turns in itertools.product((False, True), range(4)):
            lay = lambda image, m=mirror, k=turns: np.rot90(image[:, ::-1] if m else image, k)  # noqa: E731
            if np.array_equal(lay(sharp[0]), turned_sharp[0]):
                assert np.array_equal(lay(blurry[0]), turned_blurry[0])
                seen.add((mirror, turns))
    assert len(seen) == 8


def test_images_of_several_sizes(pairs_dir, tmp_path):
    for side in ("blur", "sharp"):
        image = cv2.imread(str(pairs_dir / side / "0001.png"))
        cv2.imwrite(str(pairs_dir / side / "0001.png"), cv2.resize(image, (90, 70)))
    pairs = find_pairs(pairs_dir)

    prepare(pairs, tmp_path / "cache", progress=False)

    cache = PreparedCache(tmp_path / "cache", pairs)
    assert cache.sizes.tolist() == [[64, 64], [70, 90], [64, 64], [64, 64]]
    assert_same(take(4, pairs, 2, 60), take(4, pairs, 2, 60, cache=cache))


def test_what_is_done_is_not_done_again_and_what_changed_is(prepared):
    pairs, folder = prepared

    assert prepare(pairs, folder, progress=False) == 0
    image = cv2.imread(str(pairs[3].sharp))
    cv2.imwrite(str(pairs[3].sharp), 255 - image)
    assert prepare(pairs, folder, progress=False) == 2  # the sequence of two pairs
    window = PreparedCache(folder, pairs).read_window(3, 0, 0, 64)
    np.testing.assert_array_equal(window[1, ..., ::-1], 255 - image)


def test_an_interrupted_preparation_is_resumed(gopro_dir, tmp_path, monkeypatch):
    pairs, folder = find_pairs(gopro_dir), tmp_path / "cache"
    write_shard = cache_module._write_shard

    def write_one_shard(cache_dir, shard, *arguments):
        if "GOPR0002" in shard:
            raise KeyboardInterrupt
        write_shard(cache_dir, shard, *arguments)

    monkeypatch.setattr(cache_module, "_write_shard", write_one_shard)
    with pytest.raises(KeyboardInterrupt):
        prepare(pairs, folder, progress=False)
    monkeypatch.undo()

    with pytest.raises(InputError, match=r"index\.json: not there; run data/prepare\.py"):
        PreparedCache(folder, pairs)
    assert prepare(pairs, folder, progress=False) == 2
    assert len(PreparedCache(folder, pairs).sizes) == 4


def test_large_sequences_are_split(prepared, tmp_path, monkeypatch):
    pairs, folder = prepared
    monkeypatch.setattr(cache_module, "SHARD_BYTES", 1)

    prepare(pairs, tmp_path / "split", progress=False)

    assert len(list((tmp_path / "split").glob("*.pixels"))) == 4
    caches = [PreparedCache(where, pairs) for where in (folder, tmp_path / "split")]
    for place in range(4):
        np.testing.assert_array_equal(*(cache.read_window(place, 0, 0, 64) for cache in caches))


def refused(match, folder, pairs):
    with pytest.raises(InputError, match=match) as error:
        PreparedCache(folder, pairs)
    assert len(str(error.value).splitlines()) == 1


def test_a_cache_of_other_pairs_or_of_changed_ones_is_refused(prepared, gopro_dir):
    pairs, folder = prepared

    refused("not the cache of these 3 pairs", folder, pairs[1:])
    shutil.copy(pairs[0].blurry, pairs[0].sharp)
    refused("ground truth has changed", folder, pairs)


def test_a_cache_cut_short_or_damaged_is_refused(prepared):
    pairs, folder = prepared
    shard = sorted(folder.glob("*.pixels"))[1]
    content = shard.read_bytes()

    shard.write_bytes(content[:-1])
    refused("missing or truncated", folder, pairs)
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert [str(shard) in line for line in verify_checksums(folder)] == [True]
    shard.write_bytes(content)
    assert verify_checksums(folder) == []
    (folder / "index.json").write_text("{")
    refused(r"index\.json: not of a cache", folder, pairs)
    (folder / "index.json").write_text(json.dumps({"format": 0, "shards": []}))
    refused(r"index\.json: not of a cache of this version", folder, pairs)


def test_a_folder_of_other_things_is_left_alone(gopro_dir):
    with pytest.raises(InputError, match="holds other files"):
        prepare(find_pairs(gopro_dir), gopro_dir, progress=False)


def test_an_image_that_cannot_be_decoded_is_named(gopro_dir, tmp_path):
    pairs = find_pairs(gopro_dir)
    content = bytearray(pairs[2].blurry.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pairs[2].blurry.write_bytes(content)

    with pytest.raises(WorkError, match="cannot be decoded") as error:
        prepare(pairs, tmp_path / "cache", progress=False)

    assert str(pairs[2].blurry) in str(error.value)
    assert [path.name for path in (tmp_path / "cache").glob("*.pixels")] == ["GOPR0001-0000.pixels"]


def test_the_command_and_training_from_its_cache(gopro_dir, tmp_path, call):
    folder = tmp_path / "cache"
    words = (f"--data_dir={gopro_dir}", f"--cache_dir={folder}")

    first = call("data/prepare.py", *words, "--verify")
    again = call("data/prepare.py", *words)
    trained = call(
        *("train.py", *words, "--model=ss", "--crop_size=16", "--batch_size=2", "--augment"),
        *("--max_steps=1", f"--model_dir={tmp_path / 'run'}"),
    )
    (folder / "index.json").unlink()
    refused_run = call("train.py", *words, "--crop_size=16", f"--model_dir={tmp_path / 'other'}")

    assert first.returncode == again.returncode == trained.returncode == 0, first.stderr + trained.stderr
    assert "4 of them decoded now" in first.stdout and "checksums agree" in first.stdout
    assert "0 of them decoded now" in again.stdout
    assert refused_run.returncode == 2
    assert refused_run.stderr.splitlines()[-1].endswith("index.json: not there; run data/prepare.py (again)")


def test_a_cache_that_is_cut_short_in_mid_run_is_an_error_and_no_crash(gopro_dir, tmp_path):
    pairs = find_pairs(gopro_dir)
    prepare(pairs, tmp_path / "cache", progress=False)
    cache = PreparedCache(tmp_path / "cache", pairs)
    for pixels in (tmp_path / "cache").glob("*.pixels"):
        os.truncate(pixels, 100)

    with pytest.raises(WorkError, match=r"\.pixels: is truncated; prepare the cache again"):
        cache.read_window(0, 0, 0, 16)
