import itertools

import cv2
import numpy as np
import pytest
import tensorflow as tf

from srn.data.pairs import Pair, find_pairs
from srn.data.pipeline import pairs_of_step, sample_order, stream_crops


def take(dataset, count):
    return [tuple(tensor.numpy() for tensor in batch) for batch in itertools.islice(dataset, count)]


def assert_same(batches, others):
    assert len(batches) == len(others) > 0
    for batch, other in zip(batches, others):
        for one, two in zip(batch, other):
            np.testing.assert_array_equal(one, two)


def test_batches_are_float_crops_in_the_unit_range(gopro_dir):
    ((blurry, sharp),) = take(stream_crops(find_pairs(gopro_dir), 3, 32), 1)

    assert blurry.shape == sharp.shape == (3, 32, 32, 3)
    assert blurry.dtype == sharp.dtype == np.float32
    assert blurry.min() >= 0.0
    assert 0.5 < blurry.max() <= 1.0


def test_every_crop_is_a_window_of_its_pair_and_both_sides_are_aligned(pairs_dir):
    pairs = find_pairs(pairs_dir)

    for step, (blurry, sharp) in enumerate(take(stream_crops(pairs, 2, 16, seed=3), 4)):
        for place, pair in enumerate(pairs_of_step(pairs, 2, 3, step)):
            images = [cv2.cvtColor(cv2.imread(str(f)), cv2.COLOR_BGR2RGB) for f in (pair.blurry, pair.sharp)]
            crop = np.rint(sharp[place] * 255).astype(np.uint8)
            score = cv2.matchTemplate(images[1], crop, cv2.TM_SQDIFF)
            _, _, (left, top), _ = cv2.minMaxLoc(score)
            for image, side in zip(images, (blurry, sharp)):
                window = image[top : top + 16, left : left + 16]
                np.testing.assert_array_equal(window, np.rint(side[place] * 255))


def test_the_same_folder_as_both_sides_gives_equal_crops(pairs_dir):
    pairs = [Pair(pair.sharp, pair.sharp, pair.name) for pair in find_pairs(pairs_dir)]

    for blurry, sharp in take(stream_crops(pairs, 2, 24), 6):
        np.testing.assert_array_equal(blurry, sharp)


@pytest.mark.parametrize("first_step", [1, 5, 6, 20])
def test_a_run_from_a_step_on_sees_what_a_run_from_the_start_sees_there(gopro_dir, first_step):
    pairs = find_pairs(gopro_dir)

    whole = take(stream_crops(pairs, 3, 16, seed=7), first_step + 3)
    later = take(stream_crops(pairs, 3, 16, seed=7, first_step=first_step), 3)

    assert_same(whole[first_step:], later)


def test_threads_change_nothing(gopro_dir):
    pairs, options = find_pairs(gopro_dir), tf.data.Options()
    options.threading.private_threadpool_size = 1

    assert_same(
        take(stream_crops(pairs, 2, 16).with_options(options), 4), take(stream_crops(pairs, 2, 16), 4)
    )


def test_seeds_differ_in_order_and_window(gopro_dir):
    pairs = find_pairs(gopro_dir)
    first, second = (take(stream_crops(pairs[:1], 1, 16, seed=seed), 8) for seed in (0, 1))

    assert not any(np.array_equal(one[0], two[0]) for one, two in zip(first, second))
    orders = [[place for _, place in sample_order(50, seed).take(50).as_numpy_iterator()] for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_each_pass_takes_every_pair_once_in_a_new_order():
    samples = list(sample_order(10, seed=0).take(30).as_numpy_iterator())

    passes = [[place for _, place in samples[start : start + 10]] for start in (0, 10, 20)]
    assert [number for number, _ in samples] == list(range(30))
    assert all(sorted(order) == list(range(10)) for order in passes)
    assert passes[0] != passes[1] != passes[2]


def test_windows_reach_every_corner(pairs_dir):
    """16 crops of 63 in an image of 64 see all four places."""
    pairs = find_pairs(pairs_dir)[:1]
    image = cv2.cvtColor(cv2.imread(str(pairs[0].sharp)), cv2.COLOR_BGR2RGB) / np.float32(255)

    seen = set()
    for _, sharp in take(stream_crops(pairs, 1, 63), 24):
        for top, left in itertools.product((0, 1), repeat=2):
            if np.allclose(sharp[0], image[top : top + 63, left : left + 63], atol=1e-6):
                seen.add((top, left))
    assert len(seen) == 4


def test_one_channel_is_luma(pairs_dir):
    pairs = find_pairs(pairs_dir)

    ((_, colour),) = take(stream_crops(pairs, 2, 16), 1)
    ((_, luma),) = take(stream_crops(pairs, 2, 16, channels=1), 1)

    assert luma.shape == (2, 16, 16, 1)
    np.testing.assert_allclose(luma[..., 0], colour @ [0.2989, 0.5870, 0.1140], atol=1e-6)
