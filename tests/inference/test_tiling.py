import cv2
import numpy as np
import pytest

from srn.inference.tiling import restore_tiled


def picture(height, width):
    return np.random.default_rng(0).random((height, width, 3), np.float32)


@pytest.mark.parametrize("size", [(64, 64), (65, 64), (100, 333), (79, 80), (200, 129), (1, 500)])
def test_a_local_operation_does_not_notice_the_pieces(size):
    image = picture(*size)

    def blur(piece):
        return cv2.blur(piece, (7, 7), borderType=cv2.BORDER_REPLICATE)

    np.testing.assert_allclose(restore_tiled(blur, image, 64), blur(image), atol=1e-6)


@pytest.mark.parametrize("tile", [64, 100, 256, 384, 512])
def test_a_constant_stays_constant_at_every_size(tile):
    """Near some sizes three pieces overlap."""
    for width in range(tile, 4 * tile, 7):
        strip = np.full((1, width, 1), 0.5, np.float32)

        np.testing.assert_allclose(restore_tiled(lambda piece: piece, strip, tile), strip, atol=1e-6)


def test_pieces_are_small_and_begin_on_the_grid_of_the_coarse_scales():
    rows, columns = np.mgrid[:500, :301].astype(np.float32)
    seen = []

    def note(piece):
        seen.append((piece[0, 0, 0], piece[0, 0, 1], piece.shape[:2]))
        return piece

    restore_tiled(note, np.stack([rows, columns, rows], axis=-1), 128)

    assert len(seen) == 5 * 3
    for top, left, shape in seen:
        assert top % 16 == left % 16 == 0
        assert max(shape) < 128 + 16


def test_an_image_that_fits_is_restored_whole():
    image = picture(64, 50)

    assert restore_tiled(lambda piece: piece, image, 64) is image


def test_a_piece_without_an_inside_is_refused():
    with pytest.raises(ValueError, match="at least 64"):
        restore_tiled(lambda piece: piece, picture(99, 99), 63)
