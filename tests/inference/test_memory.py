from pathlib import Path

import pytest

from srn.config import ModelConfig
from srn.inference import machine
from srn.inference.memory import choose_tile
from srn.inference.tiling import split

GIB = 2**30


def network(compute_dtype="float32", **config):
    return ModelConfig(**config), compute_dtype


@pytest.fixture
def free(monkeypatch):
    return lambda amount: monkeypatch.setattr("srn.inference.memory.free_memory", lambda: amount)


def seen_at_once(size, tile):
    return max(span.end - span.begin for span in split(size, tile))


def test_photographs_that_fit_are_restored_whole(free):
    free(16 * GIB)
    assert choose_tile(720, 1280, *network()) is None
    free(None)
    assert choose_tile(720, 1280, *network()) is None


@pytest.mark.parametrize("amount", [1.5, 4, 16])
@pytest.mark.parametrize("size", [(3000, 4000), (12240, 16320)])
@pytest.mark.parametrize("dtype, bytes_per_pixel", [("float32", 780), ("bfloat16", 390)])
def test_what_the_network_sees_at_once_takes_half_of_the_free_memory(
    free, amount, size, dtype, bytes_per_pixel
):
    free(int(amount * GIB))

    tile = choose_tile(*size, *network(dtype))

    assert tile is not None
    side = seen_at_once(max(size), tile)
    assert side**2 * bytes_per_pixel <= amount * GIB / 2
    result, row_of_tiles = 3 * size[0] * size[1], 12 * side * size[1]
    assert side**2 * bytes_per_pixel + result + row_of_tiles <= amount * GIB
    assert side <= 2048


def test_networks_of_one_channel_and_narrow_ones_are_counted_as_they_are(free):
    free(2 * GIB)

    gray, colour, narrow = (
        choose_tile(9000, 9000, *network(**config)) for config in ({"channels": 1}, {}, {"width": 8})
    )

    assert gray < colour < narrow


def test_there_is_always_a_tile(free):
    free(0)

    assert choose_tile(720, 1280, *network()) == 256


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_control_group_counts(tmp_path, monkeypatch, version):
    """A group inside another one, which has the tighter limit; files that were read do not count as used."""
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "4:memory:/a/b"),
        2: ("memory.max", "memory.current", "inactive_file", "0::/a/b"),
    }
    limit, used, cache, line = names[version]
    root = tmp_path / "cgroup" / ("memory" if version == 1 else "")
    for folder, most, present in (
        ("a/b", "max" if version == 2 else 8 * GIB, 1 * GIB),
        ("a", 3 * GIB, 2 * GIB),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / limit).write_text(f"{most}\n")
        (root / folder / used).write_text(f"{present}\n")
        (root / folder / "memory.stat").write_text(f"anon 5\n{cache} {GIB // 2}\n")
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "cgroup")
    read = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda self, **options: line if str(self) == "/proc/self/cgroup" else read(self, **options),
    )

    assert machine._of_control_group() == 3 * GIB - 2 * GIB + GIB // 2


def test_free_memory_is_known_on_this_machine():
    assert machine.free_memory() > 0
