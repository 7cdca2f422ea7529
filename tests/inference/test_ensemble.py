import numpy as np

from srn.inference.ensemble import restore_in_all_orientations


def test_each_orientation_is_turned_back():
    image = np.random.default_rng(0).random((5, 8, 3), np.float32)

    np.testing.assert_allclose(restore_in_all_orientations(lambda turned: turned, image), image, atol=1e-7)


def test_an_operation_with_a_direction_acts_in_all_four_twice():
    """One that copies the left neighbour becomes the mean over the four neighbours."""
    image = np.random.default_rng(0).random((6, 9, 3), np.float32)

    restored = restore_in_all_orientations(lambda turned: np.roll(turned, 1, axis=1), image)

    neighbours = [np.roll(image, step, axis) for step in (1, -1) for axis in (0, 1)]
    np.testing.assert_allclose(restored, np.mean(neighbours, axis=0), atol=1e-6)
