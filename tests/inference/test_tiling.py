import cv2
import numpy as np
import pytest

from srn.inference import tiling
from srn.inference.tiling import (
    CONTEXT,
    count_tiles,
    fit_tile,
    restore_in_all_orientations,
    restore_tiled,
    split,
)


def picture(height, width):
    return np.random.default_rng(0).random((height, width, 3), np.float32)


def tiled(restore, image, tile, **options):
    return np.concatenate(list(restore_tiled(restore, image, tile, **options)))


@pytest.mark.parametrize("size", [(64, 64), (257, 64), (300, 533), (79, 480), (400, 329), (1, 900)])
def test_a_local_operation_does_not_notice_the_tiles(size):
    image = picture(*size)

    def blur(tile):
        return cv2.blur(tile, (7, 7), borderType=cv2.BORDER_REPLICATE)

    np.testing.assert_allclose(tiled(blur, image, 64), blur(image), atol=1e-6)


@pytest.mark.parametrize("tile", [64, 100, 256])
def test_the_weights_of_all_tiles_add_to_1(tile):
    for size in range(1, 5 * tile + 2 * CONTEXT, 7):
        total = np.zeros(size)
        for span in split(size, tile):
            assert span.begin <= span.first < span.last <= span.end
            total[span.first : span.last] += span.weight
        np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_tile_counts_only_where_it_has_its_context():
    size = 1000
    for span in split(size, 128):
        assert span.begin == 0 or span.first - span.begin >= CONTEXT - tiling.FADE
        assert span.end == size or span.end - span.last >= CONTEXT - tiling.FADE


def test_tiles_are_of_few_sizes_and_begin_on_the_grid_of_the_coarse_scales():
    rows, columns = np.mgrid[:600, :601].astype(np.float32)
    seen = []

    def note(tile):
        seen.append((tile[0, 0, 0], tile[0, 0, 1], tile.shape[:2]))
        return tile

    image = np.stack([rows, columns, rows], axis=-1)

    np.testing.assert_allclose(tiled(note, image, 128), image, atol=1e-3)
    assert len(seen) == count_tiles(600, 601, 128) == 3 * 3
    side = 128 + 2 * CONTEXT
    for top, left, shape in seen:
        assert top % 16 == left % 16 == 0
        assert side <= min(shape) and max(shape) < side + 16
    assert len({shape for _, _, shape in seen}) <= 4


def test_bands_come_from_top_to_bottom_and_each_tile_is_reported():
    calls = []
    bands = list(restore_tiled(lambda tile: tile, picture(700, 300), 128, on_tile=lambda: calls.append(1)))

    assert len(bands) == len(split(700, 128)) > 2
    assert sum(len(band) for band in bands) == 700
    assert len(calls) == count_tiles(700, 300, 128)


def test_an_image_that_fits_is_restored_at_once():
    assert count_tiles(64 + 2 * CONTEXT, 50, 64) == count_tiles(9999, 9999, None) == 1


@pytest.mark.parametrize("side", [300, 512, 1000, 3000])
def test_a_tile_is_chosen_by_what_the_network_may_see(side):
    longest = max(span.end - span.begin for span in split(50_000, fit_tile(side)))

    assert side - 32 < longest <= side


def test_a_tile_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="at least 64"):
        tiled(lambda tile: tile, picture(99, 99), 63)


def test_each_orientation_is_turned_back():
    image = picture(5, 8)

    np.testing.assert_allclose(restore_in_all_orientations(lambda turned: turned, image), image, atol=1e-7)


def test_an_operation_with_a_direction_acts_in_all_four_twice():
    """One that copies the left neighbour becomes the mean over the four neighbours."""
    image = picture(6, 9)

    restored = restore_in_all_orientations(lambda turned: np.roll(turned, 1, axis=1), image)

    neighbours = [np.roll(image, step, axis) for step in (1, -1) for axis in (0, 1)]
    np.testing.assert_allclose(restored, np.mean(neighbours, axis=0), atol=1e-6)
