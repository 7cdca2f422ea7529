import itertools
import re

import cv2
import numpy as np
import pytest
import tensorflow as tf

from srn.data.listing import Pair
from srn.data.pairs import find_pairs
from srn.data.pipeline import (
    PATTERN,
    describe_batch,
    find_problems,
    pattern_counts,
    sample_order,
    samples_of_batch,
    stream_crops,
)
from srn.data.sources import FrameSource, PairSource, PhotoSource
from srn.errors import InputError
from srn.images import read_rgb


def take(dataset, count):
    return [tuple(tensor.numpy() for tensor in batch) for batch in itertools.islice(dataset, count)]


def assert_same(batches, others):
    assert len(batches) == len(others) > 0
    for batch, other in zip(batches, others):
        for one, two in zip(batch, other):
            np.testing.assert_array_equal(one, two)


def test_batches_are_float_crops_in_the_unit_range(gopro_dir):
    ((blurry, sharp),) = take(stream_crops([PairSource(find_pairs(gopro_dir))], 3, 32), 1)

    assert blurry.shape == sharp.shape == (3, 32, 32, 3)
    assert blurry.dtype == sharp.dtype == np.float32
    assert blurry.min() >= 0.0
    assert 0.5 < blurry.max() <= 1.0


def test_every_crop_is_a_window_of_its_pair_and_both_sides_are_aligned(pairs_dir):
    pairs = find_pairs(pairs_dir)

    for step, (blurry, sharp) in enumerate(take(stream_crops([PairSource(pairs)], 2, 16, seed=3), 4)):
        for place, (_, _, item) in enumerate(samples_of_batch([PairSource(pairs)], 2, 3, 2 * step)):
            pair = pairs[item]
            images = [cv2.cvtColor(cv2.imread(str(f)), cv2.COLOR_BGR2RGB) for f in (pair.blurry, pair.sharp)]
            crop = np.rint(sharp[place] * 255).astype(np.uint8)
            score = cv2.matchTemplate(images[1], crop, cv2.TM_SQDIFF)
            _, _, (left, top), _ = cv2.minMaxLoc(score)
            for image, side in zip(images, (blurry, sharp)):
                window = image[top : top + 16, left : left + 16]
                np.testing.assert_array_equal(window, np.rint(side[place] * 255))


def test_the_same_folder_as_both_sides_gives_equal_crops(pairs_dir):
    pairs = [Pair(pair.sharp, pair.sharp, pair.name) for pair in find_pairs(pairs_dir)]

    for blurry, sharp in take(stream_crops([PairSource(pairs)], 2, 24), 6):
        np.testing.assert_array_equal(blurry, sharp)


@pytest.mark.parametrize("first_step", [1, 5, 6, 20])
def test_a_run_from_a_step_on_sees_what_a_run_from_the_start_sees_there(gopro_dir, first_step):
    pairs = find_pairs(gopro_dir)

    whole = take(stream_crops([PairSource(pairs)], 3, 16, seed=7), first_step + 3)
    later = take(stream_crops([PairSource(pairs)], 3, 16, seed=7, first_sample=3 * first_step), 3)

    assert_same(whole[first_step:], later)


def test_threads_change_nothing(gopro_dir):
    pairs, options = find_pairs(gopro_dir), tf.data.Options()
    options.threading.private_threadpool_size = 1

    assert_same(
        take(stream_crops([PairSource(pairs)], 2, 16).with_options(options), 4),
        take(stream_crops([PairSource(pairs)], 2, 16), 4),
    )


def test_seeds_differ_in_order_and_window(gopro_dir):
    pairs = find_pairs(gopro_dir)
    first, second = (take(stream_crops([PairSource(pairs[:1])], 1, 16, seed=seed), 8) for seed in (0, 1))

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
    for _, sharp in take(stream_crops([PairSource(pairs)], 1, 63), 24):
        for top, left in itertools.product((0, 1), repeat=2):
            if np.allclose(sharp[0], image[top : top + 63, left : left + 63], atol=1e-6):
                seen.add((top, left))
    assert len(seen) == 4


def test_one_channel_is_luma(pairs_dir):
    pairs = find_pairs(pairs_dir)

    ((_, colour),) = take(stream_crops([PairSource(pairs)], 2, 16), 1)
    ((_, luma),) = take(stream_crops([PairSource(pairs)], 2, 16, channels=1), 1)

    assert luma.shape == (2, 16, 16, 1)
    np.testing.assert_allclose(luma[..., 0], colour @ [0.2989, 0.5870, 0.1140], atol=1e-6)


@pytest.mark.parametrize(
    "weights, counts",
    [
        ([1.0], [100]),
        ([0.5, 0.3, 0.2], [50, 30, 20]),
        ([1, 1, 1], [34, 33, 33]),
        ([1000, 1], [99, 1]),
        ([2, 6], [25, 75]),
    ],
)
def test_a_pattern_is_as_near_to_the_weights_as_can_be(weights, counts):
    assert pattern_counts(weights) == counts


class Numbered:
    """A source whose crops show its own mark and the number of the sample and the part."""

    def __init__(self, mark, parts):
        self.mark, self.parts = mark, parts

    def __len__(self):
        return self.parts

    def reader(self, crop_size, seed):
        def read(sample, place):
            numbers = tf.cast(tf.stack([tf.constant(self.mark, tf.int64), sample % 256, place]), tf.uint8)
            return tf.broadcast_to(numbers, [2, crop_size, crop_size, 3])

        return read


def marks(count, **options):
    sources = [Numbered(10, 3), Numbered(20, 50), Numbered(30, 7)]
    stream = stream_crops(sources, 10, 1, weights=[0.5, 0.3, 0.2], **options)
    batches = [blurry for blurry, _ in take(stream, count)]
    return np.rint(np.concatenate(batches)[:, 0, 0] * 255).astype(int)


def test_a_mixture_has_its_weights_and_every_source_its_own_order():
    seen = marks(2 * PATTERN // 10)

    for start in (0, PATTERN):
        values, counts = np.unique(seen[start : start + PATTERN, 0], return_counts=True)
        assert dict(zip(values, counts)) == {10: 50, 20: 30, 30: 20}
    for mark, parts in ((10, 3), (20, 50), (30, 7)):
        _, samples, places = seen[seen[:, 0] == mark].T
        np.testing.assert_array_equal(samples, np.arange(len(samples)))
        assert sorted(places[:parts]) == list(range(parts))
    assert seen[:PATTERN, 0].tolist() != seen[PATTERN:, 0].tolist()


@pytest.mark.parametrize("first_step", [1, 7, 10, 13])
def test_a_mixture_goes_on_where_it_was(first_step):
    np.testing.assert_array_equal(
        marks(16)[10 * first_step :], marks(16 - first_step, first_sample=10 * first_step)
    )


def test_pairs_photographs_and_frames_together(pairs_dir, tmp_path):
    for number in range(14):
        write(tmp_path / "frames/one" / f"{number:03d}.png", np.full([40, 50, 3], 10 * number, np.uint8))
    sources = [
        PairSource(find_pairs(pairs_dir)),
        PhotoSource(pairs_dir / "sharp"),
        FrameSource(tmp_path / "frames"),
    ]

    whole = take(stream_crops(sources, 4, 24, seed=3, augment=True), 3)
    later = take(stream_crops(sources, 4, 24, seed=3, augment=True, first_sample=4, parallelism=1), 2)

    assert_same(whole[1:], later)
    assert np.mean([np.abs(blurry - sharp).mean() for blurry, sharp in whole]) > 0.001


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def test_frames_are_averaged_about_their_middle(tmp_path):
    for number in range(14):
        write(tmp_path / f"{number:03d}.png", np.full([30, 30, 3], 10 * number, np.uint8))

    for blurry, sharp in take(stream_crops([FrameSource(tmp_path)], 4, 16), 4):
        # Levels rise evenly, so their plain mean is the middle one; in linear light it is brighter.
        assert (blurry >= sharp - 1e-6).all()
        assert (blurry - sharp).max() < 0.08


@pytest.mark.parametrize("make, part", [(PhotoSource, "no image"), (FrameSource, "no image")])
def test_sources_without_images_say_so(tmp_path, make, part):
    with pytest.raises(InputError, match=part):
        make(tmp_path)


def test_a_folder_with_fewer_frames_than_a_window_says_so(tmp_path):
    for number in range(12):
        write(tmp_path / f"{number:03d}.png", np.zeros([30, 30, 3], np.uint8))

    with pytest.raises(InputError, match="12 frames, fewer than the 13"):
        FrameSource(tmp_path)


def test_photographs_that_are_none_are_named_together_before_work_begins(tmp_path):
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_text("no image")

    with pytest.raises(InputError) as error:
        PhotoSource(tmp_path)

    assert [name in line for name, line in zip(("a.png", "b.jpg"), str(error.value).splitlines())] == [
        True,
        True,
    ]


@pytest.mark.parametrize("mixed", [False, True])
def test_workers_together_draw_what_one_would(gopro_dir, mixed):
    pairs = find_pairs(gopro_dir)
    sources = [PairSource(pairs), PairSource(pairs[:3])] if mixed else [PairSource(pairs)]
    options = {"seed": 3, "augment": True, "first_sample": 6, "weights": [0.6, 0.4][: len(sources)]}

    whole = take(stream_crops(sources, 6, 24, **options), 3)
    parts = [take(stream_crops(sources, 6, 24, worker=k, num_workers=3, **options), 3) for k in range(3)]

    for batch, *others in zip(whole, *parts):
        for side in range(2):
            np.testing.assert_array_equal(batch[side], np.concatenate([part[side] for part in others]))


def test_the_batch_of_a_step_is_described_as_it_is_drawn(gopro_dir):
    pairs = find_pairs(gopro_dir, "gopro")
    sources = [PairSource(pairs), PairSource(pairs[:3])]
    weights = [0.7, 0.3]
    first = 130

    (batch,) = take(stream_crops(sources, 5, 16, seed=7, first_sample=first, weights=weights), 1)
    lines = describe_batch(sources, 5, 16, 7, first, weights)

    for blurry, line in zip(batch[0], lines):
        file, row, column = re.fullmatch(r"(.*): 16x16 pixels from row (\d+), column (\d+) on", line).groups()
        window = read_rgb(file)[int(row) : int(row) + 16, int(column) : int(column) + 16]
        np.testing.assert_array_equal(np.rint(blurry * 255), window)


def test_files_behind_a_batch_that_are_not_as_they_were_are_named(gopro_dir):
    pairs = find_pairs(gopro_dir, "gopro")
    sources = [PairSource(pairs)]
    pairs[1].sharp.write_bytes(pairs[1].sharp.read_bytes()[:-30])

    lines = find_problems(sources, len(pairs), 16, 7, 0)

    (line,) = lines
    assert str(pairs[1].sharp) in line
