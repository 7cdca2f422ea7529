"""The `tf.data` pipeline of training crops; every batch is a function of (seed, step).

Sample n of a source is item `order(epoch)[n % items]` with epoch = n // items, and all its randomness is
derived from (seed, n). Mixtures follow a pattern of PATTERN crops, shuffled anew each time, which gives the
source of each crop. A run resumed at step N therefore sees exactly the crops that an uninterrupted run would
see there, whatever the number of threads, and with or without a cache.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from srn.data.sources import ALGORITHM, Source

# TensorFlow 1's `rgb_to_grayscale`, which the authors' one-channel models were trained with.
LUMA = (0.2989, 0.5870, 0.1140)
PATTERN = 100


def stream_crops(
    sources: list[Source],
    batch_size: int,
    crop_size: int,
    seed: int = 0,
    first_sample: int = 0,
    channels: int = 3,
    augment: bool = False,
    weights: list[float] | None = None,
    parallelism: int = tf.data.AUTOTUNE,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Returns an infinite dataset of aligned random crops, blurry and sharp.

    Args:
      sources: list of sources (`srn.data.sources`) whose images are at least as large as the crop.
      batch_size: global batch size; batches continue across epochs, no crop is dropped.
      crop_size: side of the square crop, in pixels.
      seed: of order, crop positions, synthesis and augmentation.
      first_sample: index of the first crop, for resuming: the number of crops drawn so far.
      channels: 3, or 1 for luma.
      augment: whether to flip crops and rotate them by multiples of 90 degrees at random (not in the paper).
      weights: relative numbers of crops of the sources; None for equal weights.
      parallelism: number of crops made in parallel per source; does not change the result.
      worker, num_workers: index of this worker, which gets an equal part of each batch, and their number.

    Returns:
      A dataset of (blurry, sharp), each float32 [batch_size // num_workers, crop_size, crop_size, channels],
      in [0, 1].
    """
    if num_workers == 1:
        crops = stream_bytes(sources, crop_size, seed, first_sample, augment, weights, parallelism)
    else:
        options = crop_size, seed, first_sample, augment, weights, parallelism
        crops = _stream_for_worker(sources, *options, batch_size, worker, num_workers)

    def to_floats(batch):
        return tuple(_to_unit_range(side, channels) for side in tf.unstack(batch, axis=1))

    batches = crops.batch(batch_size // num_workers, drop_remainder=True)
    return batches.map(to_floats).prefetch(tf.data.AUTOTUNE)


def stream_bytes(
    sources: list[Source],
    crop_size: int,
    seed: int = 0,
    first_sample: int = 0,
    augment: bool = False,
    weights: list[float] | None = None,
    parallelism: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """The unbatched crops of `stream_crops`: an infinite dataset of uint8 [2, crop_size, crop_size, 3]."""
    counts = pattern_counts(weights or [1.0] * len(sources))
    begun = _samples_before(counts, seed, first_sample)
    streams = [
        _stream_source(source, crop_size, _seed_of_source(seed, number), begun[number], augment, parallelism)
        for number, source in enumerate(sources)
    ]
    if len(streams) == 1:
        return streams[0]
    return tf.data.Dataset.choose_from_datasets(streams, _choices(counts, seed, first_sample))


def _stream_for_worker(
    sources, crop_size, seed, first_sample, augment, weights, parallelism, batch_size, worker, num_workers
):
    """The crops of `stream_bytes` that belong to one worker.

    Every worker computes the order of all samples, which is cheap, but reads only its own.
    """
    counts = pattern_counts(weights or [1.0] * len(sources))
    begun = _samples_before(counts, seed, first_sample)
    orders = [
        sample_order(len(source), _seed_of_source(seed, number), begun[number]).map(
            lambda sample, item, number=number: (tf.constant(number, tf.int64), sample, item)
        )
        for number, source in enumerate(sources)
    ]
    order = orders[0]
    if len(orders) > 1:
        order = tf.data.Dataset.choose_from_datasets(orders, _choices(counts, seed, first_sample))
    size = batch_size // num_workers
    own = order.batch(batch_size).map(
        lambda *columns: tuple(column[worker * size : (worker + 1) * size] for column in columns)
    )
    own = own.unbatch()
    streams = []
    for number, source in enumerate(sources):
        read = _crop_reader(source, crop_size, _seed_of_source(seed, number), augment)
        samples = own.filter(lambda kind, sample, item, number=number: kind == number)
        streams.append(
            samples.map(
                lambda kind, sample, item, read=read: read(sample, item),
                num_parallel_calls=parallelism,
                deterministic=True,
            )
        )
    if len(streams) == 1:
        return streams[0]
    return tf.data.Dataset.choose_from_datasets(streams, own.map(lambda kind, sample, item: kind))


def sample_order(num_items: int, seed: int, first_sample: int = 0) -> tf.data.Dataset:
    """Dataset of (sample, index of its item), int64, from `first_sample` on, shuffled anew each epoch."""
    first_epoch, done = divmod(first_sample, num_items)

    def one_epoch(epoch):
        # Epochs count down from -1 and samples up from 0, so that no two draws have the same seed.
        order = _shuffle(tf.range(num_items, dtype=tf.int64), seed, -1 - epoch)
        samples = epoch * num_items + tf.range(num_items, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((samples, order))

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(one_epoch).skip(done)


def samples_of_batch(
    sources: list[Source], batch_size: int, seed: int, first_sample: int, weights: list[float] | None = None
) -> list[tuple[int, int, int]]:
    """Origin of the crops of a batch: a list of (index of the source, sample, index of the item)."""
    counts = pattern_counts(weights or [1.0] * len(sources))
    found = []
    for number in range(first_sample, first_sample + batch_size):
        block, done = divmod(number, PATTERN)
        pattern = np.asarray(_pattern(counts, seed, block))
        source = int(pattern[done])
        sample = block * counts[source] + int(np.sum(pattern[:done] == source))
        length = len(sources[source])
        order = _shuffle(
            tf.range(length, dtype=tf.int64), _seed_of_source(seed, source), -1 - sample // length
        )
        found.append((source, sample, int(order[sample % length])))
    return found


def describe_batch(
    sources: list[Source],
    batch_size: int,
    crop_size: int,
    seed: int,
    first_sample: int,
    weights: list[float] | None = None,
) -> list[str]:
    """A line for each crop of a batch: its file and, for pairs, its position."""
    lines = []
    for source, sample, item in samples_of_batch(sources, batch_size, seed, first_sample, weights):
        lines.append(sources[source].describe(crop_size, _seed_of_source(seed, source), sample, item))
    return lines


def find_problems(
    sources: list[Source],
    batch_size: int,
    crop_size: int,
    seed: int,
    first_sample: int,
    weights: list[float] | None = None,
) -> list[str]:
    """Checks the files of a batch; returns a line for each that cannot be decoded or has a wrong size."""
    lines: list[str] = []
    for source, _, item in samples_of_batch(sources, batch_size, seed, first_sample, weights):
        lines += sources[source].problems(item, crop_size)
    return list(dict.fromkeys(lines))


def pattern_counts(weights: list[float]) -> list[int]:
    """Number of crops of each source among PATTERN: proportional to its weight, rounded, at least 1."""
    exact = np.asarray(weights, float) * PATTERN / np.sum(weights)
    counts = np.maximum(np.floor(exact), 1).astype(int)
    while counts.sum() != PATTERN:
        step = 1 if counts.sum() < PATTERN else -1
        # Add to the source with the largest deficit, or take from the one with the largest surplus.
        missing = np.where((step > 0) | (counts > 1), step * (exact - counts), -np.inf)
        counts[np.argmax(missing)] += step
    return counts.tolist()


def _stream_source(source, crop_size, seed, first_sample, augment, parallelism):
    """Dataset of the crops of one source, uint8 [2, crop_size, crop_size, 3], from `first_sample` on."""
    order = sample_order(len(source), seed, first_sample)
    read = _crop_reader(source, crop_size, seed, augment)
    return order.map(read, num_parallel_calls=parallelism, deterministic=True)


def _crop_reader(source, crop_size, seed, augment):
    """Function (sample, item) -> uint8 [2, crop_size, crop_size, 3]."""
    read = source.reader(crop_size, seed)

    def read_crop(sample, item):
        both = read(sample, item)
        if augment:
            both = _mirror_and_turn(both, seed, sample)
        return tf.ensure_shape(both, [2, crop_size, crop_size, 3])

    return read_crop


def _choices(counts, seed, first_sample):
    """Dataset of the index of the source of each crop, int64, from `first_sample` on."""
    block, done = divmod(first_sample, PATTERN)

    def one_pattern(block):
        return tf.data.Dataset.from_tensor_slices(_pattern(counts, seed, block))

    return tf.data.Dataset.range(block, tf.int64.max).flat_map(one_pattern).skip(done)


def _samples_before(counts, seed, first_sample) -> list[int]:
    """Number of samples taken from each source before `first_sample`."""
    block, done = divmod(first_sample, PATTERN)
    begun = np.bincount(_pattern(counts, seed, block)[:done], minlength=len(counts))
    return [block * count + int(extra) for count, extra in zip(counts, begun)]


def _pattern(counts, seed, block):
    """The sources of PATTERN crops, shuffled by (seed, block): int64 [PATTERN]."""
    return _shuffle(tf.repeat(tf.range(len(counts), dtype=tf.int64), counts), seed, block)


def _seed_of_source(seed, number):
    """A different seed for each source; the first one uses the seed of the run."""
    return seed + (number << 32)


def _shuffle(values, seed, number):
    seed = tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
    return tf.random.experimental.stateless_shuffle(values, seed=seed, alg=ALGORITHM)


def _mirror_and_turn(images, seed, sample):
    """Applies one of the 8 flips and rotations of a square to both images [2, N, N, 3]."""
    # The first two numbers of this seed determine the crop position.
    draws = tf.random.stateless_uniform([4], seed=tf.stack([seed, sample]), alg=ALGORITHM)[2:]
    images = tf.ensure_shape(images, [2, None, None, 3])
    mirrored = tf.cond(draws[0] < 0.5, lambda: images, lambda: tf.reverse(images, axis=[2]))
    return tf.image.rot90(mirrored, k=tf.cast(draws[1] * 4, tf.int32))


def _to_unit_range(images, channels):
    """uint8 [B, H, W, 3] -> float32 [B, H, W, channels] in [0, 1]; one channel is luma."""
    images = tf.cast(images, tf.float32) / 255.0
    return images if channels == 3 else tf.tensordot(images, tf.constant(LUMA), axes=1)[..., tf.newaxis]
