import json

import numpy as np
import pytest

from srn.data import pool
from srn.errors import InputError

SIDE = 16


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(pool, "SHARD", 3)


def crops_of(shard):
    return np.random.default_rng(shard).integers(0, 256, (pool.SHARD, 2, SIDE, SIDE, 3), np.uint8)


def batches(first):
    return (crops_of(shard) for shard in range(first, 100))


def make(folder, num_shards, drawn_from=None, batches=batches):
    return pool.make_pool(batches, folder, SIDE, num_shards, drawn_from or {"seed": 1}, progress=False)


def pixels(folder):
    return [file.read_bytes() for file in sorted(folder.glob("*.pixels"))]


def test_crops_are_those_that_were_drawn(tmp_path):
    assert make(tmp_path, 2) == 6

    source = pool.PoolSource(tmp_path, SIDE)

    assert len(source) == 6
    read = source.reader(SIDE, seed=0)
    np.testing.assert_array_equal(read(np.int64(0), np.int64(4)), crops_of(1)[1])


def test_a_crop_is_described_by_its_shard(tmp_path):
    make(tmp_path, 2)

    line = pool.PoolSource(tmp_path, SIDE).describe(SIDE, seed=0, sample=9, item=4)

    assert line == f"{tmp_path / '00001.pixels'}: crop 1"


def test_smaller_windows_lie_at_the_same_corner_in_both(tmp_path):
    same = np.repeat(crops_of(0)[:, :1], 2, axis=1)
    make(tmp_path, 1, batches=lambda first: iter([same]))

    read = pool.PoolSource(tmp_path, 8).reader(8, seed=3)

    windows = np.stack([read(np.int64(sample), np.int64(0)) for sample in range(8)])
    np.testing.assert_array_equal(windows[:, 0], windows[:, 1])
    assert len({window.tobytes() for window in windows}) > 4


def test_a_pool_that_grows_is_the_pool_made_at_once(tmp_path):
    make(tmp_path / "grown", 1)
    assert make(tmp_path / "grown", 3) == 6
    make(tmp_path / "at_once", 3)

    assert pixels(tmp_path / "grown") == pixels(tmp_path / "at_once")
    assert make(tmp_path / "grown", 2) == 0
    assert len(pool.PoolSource(tmp_path / "grown", SIDE)) == 9


def test_an_interrupted_pool_resumes(tmp_path):
    def interrupted(first):
        yield crops_of(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "resumed", 3, batches=interrupted)
    assert len(pool.PoolSource(tmp_path / "resumed", SIDE)) == 3

    assert make(tmp_path / "resumed", 3) == 6
    make(tmp_path / "at_once", 3)
    assert pixels(tmp_path / "resumed") == pixels(tmp_path / "at_once")


def test_a_pool_of_other_settings_is_refused(tmp_path):
    make(tmp_path, 1)

    with pytest.raises(InputError, match="other settings"):
        make(tmp_path, 2, drawn_from={"seed": 2})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("hello")

    with pytest.raises(InputError, match=r"letter\.txt"):
        make(tmp_path, 1)


def test_crops_larger_than_the_pools_are_refused(tmp_path):
    make(tmp_path, 1)

    with pytest.raises(InputError, match="of 16 pixels, smaller than 32"):
        pool.PoolSource(tmp_path, 32)


def test_a_folder_without_a_pool_is_said(tmp_path):
    with pytest.raises(InputError, match=r"make_pool\.py"):
        pool.PoolSource(tmp_path, SIDE)


def test_damage_is_found(tmp_path):
    make(tmp_path, 2)
    assert pool.verify_pool(tmp_path) == []
    file = tmp_path / "00001.pixels"
    damaged = bytearray(file.read_bytes())
    damaged[7] ^= 1
    file.write_bytes(damaged)

    assert [line.split(":")[0] for line in pool.verify_pool(tmp_path)] == [str(file)]

    file.write_bytes(damaged[:-1])
    with pytest.raises(InputError, match="truncated"):
        pool.PoolSource(tmp_path, SIDE)


def test_the_index_says_what_was_drawn(tmp_path):
    make(tmp_path, 1, drawn_from={"settings": {"jpeg": (75, 98)}})

    index = json.loads((tmp_path / pool.INDEX).read_text())

    assert index["drawn_from"] == {"settings": {"jpeg": [75, 98]}} and index["crop_size"] == SIDE
    assert make(tmp_path, 2, drawn_from={"settings": {"jpeg": (75, 98)}}) == 3
