"""The stream of training crops: a `tf.data` pipeline whose every batch is a function of (seed, step).

Each source has an order of its own: its sample number n takes part `order(epoch)[n % parts]`, with
epoch = n // parts, and everything random about it is drawn from (seed, n). Where sources are mixed, a
pattern of PATTERN places, shuffled anew each time, says which source the next crop comes from. So a run that
starts at step N sees exactly what a run from 0 would see there, whatever the number of threads, with a cache
or without.
"""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf

from srn.data.sources import ALGORITHM

# Of TensorFlow 1's `rgb_to_grayscale`, with which the authors' one-channel models were trained.
LUMA = (0.2989, 0.5870, 0.1140)
PATTERN = 100


def stream_crops(
    sources: list,
    batch_size: int,
    crop_size: int,
    seed: int = 0,
    first_step: int = 0,
    channels: int = 3,
    augment: bool = False,
    shares: list | None = None,
    parallelism: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """Streams aligned random crops, blurry and sharp, without an end.

    Args:
      sources: of `srn.data.sources`, each with images at least as large as the crop.
      batch_size: crops in a batch; batches run over the end of a pass, nothing is dropped.
      crop_size: side of the square crop, in pixels.
      seed: of order, windows, synthesis and augmentation.
      first_step: the step that the first batch is for.
      channels: 3, or 1 for luma.
      augment: whether crops are mirrored and turned by quarters at random (the paper does neither).
      shares: of the crops, for each source; they need not sum to 1. None is equal shares.
      parallelism: crops made at the same time in each source. It changes the speed and nothing else.

    Returns:
      A dataset of (blurry, sharp), each float32 [batch_size, crop_size, crop_size, channels] in [0, 1].
    """
    crops = stream_bytes(sources, crop_size, seed, first_step * batch_size, augment, shares, parallelism)

    def to_floats(batch):
        return tuple(_to_unit_range(side, channels) for side in tf.unstack(batch, axis=1))

    return crops.batch(batch_size, drop_remainder=True).map(to_floats).prefetch(tf.data.AUTOTUNE)


def stream_bytes(
    sources: list,
    crop_size: int,
    seed: int = 0,
    first_sample: int = 0,
    augment: bool = False,
    shares: list | None = None,
    parallelism: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """The crops of `stream_crops`, from number `first_sample` on, one by one.

    Returns a dataset of uint8 [2, crop_size, crop_size, 3], blurry and sharp.
    """
    counts = pattern_counts(shares or [1.0] * len(sources))
    begun = _samples_before(counts, seed, first_sample)
    streams = [
        _stream_source(source, crop_size, _seed_of_source(seed, number), begun[number], augment, parallelism)
        for number, source in enumerate(sources)
    ]
    if len(streams) == 1:
        return streams[0]
    return tf.data.Dataset.choose_from_datasets(streams, _choices(counts, seed, first_sample))


def sample_order(num_parts: int, seed: int, first_sample: int = 0) -> tf.data.Dataset:
    """(sample number, place of its part), int64, from `first_sample` on; each pass is in a new order."""
    first_epoch, done = divmod(first_sample, num_parts)

    def one_pass(epoch):
        # Passes count down from -1 and samples up from 0, so that no two draws share a seed.
        order = _shuffle(tf.range(num_parts, dtype=tf.int64), seed, -1 - epoch)
        samples = epoch * num_parts + tf.range(num_parts, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((samples, order))

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(one_pass).skip(done)


def pairs_of_step(pairs: list, batch_size: int, seed: int, step: int) -> list:
    """The pairs that the batch of `step` is cut from, where they are the only source."""
    order = sample_order(len(pairs), seed, step * batch_size).as_numpy_iterator()
    return [pairs[place] for _, place in itertools.islice(order, batch_size)]


def pattern_counts(shares: list) -> list[int]:
    """How many of PATTERN crops each source gives: as near to its share as can be, and at least 1."""
    exact = np.asarray(shares, float) * PATTERN / np.sum(shares)
    counts = np.maximum(np.floor(exact), 1).astype(int)
    while counts.sum() != PATTERN:
        step = 1 if counts.sum() < PATTERN else -1
        # To whom most is missing, or from whom has most too much (of more than one).
        missing = np.where((step > 0) | (counts > 1), step * (exact - counts), -np.inf)
        counts[np.argmax(missing)] += step
    return counts.tolist()


def _stream_source(source, crop_size, seed, first_sample, augment, parallelism):
    """uint8 [2, crop_size, crop_size, 3], one after the other, from sample `first_sample` of a source on."""
    read = source.reader(crop_size, seed)

    def read_crop(sample, place):
        both = read(sample, place)
        if augment:
            both = _mirror_and_turn(both, seed, sample)
        return tf.ensure_shape(both, [2, crop_size, crop_size, 3])

    order = sample_order(len(source), seed, first_sample)
    return order.map(read_crop, num_parallel_calls=parallelism, deterministic=True)


def _choices(counts, seed, first_sample):
    """The number of the source of each crop, int64, from `first_sample` on."""
    block, done = divmod(first_sample, PATTERN)

    def one_pattern(block):
        return tf.data.Dataset.from_tensor_slices(_pattern(counts, seed, block))

    return tf.data.Dataset.range(block, tf.int64.max).flat_map(one_pattern).skip(done)


def _samples_before(counts, seed, first_sample) -> list[int]:
    """How many samples each source has given before `first_sample`."""
    block, done = divmod(first_sample, PATTERN)
    begun = np.bincount(_pattern(counts, seed, block)[:done], minlength=len(counts))
    return [block * count + int(extra) for count, extra in zip(counts, begun)]


def _pattern(counts, seed, block):
    """The sources of PATTERN crops, shuffled by (seed, block): int64 [PATTERN]."""
    return _shuffle(tf.repeat(tf.range(len(counts), dtype=tf.int64), counts), seed, block)


def _seed_of_source(seed, number):
    """Different for each source; that of the first is the run's own."""
    return seed + (number << 32)


def _shuffle(values, seed, number):
    seed = tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
    return tf.random.experimental.stateless_shuffle(values, seed=seed, alg=ALGORITHM)


def _mirror_and_turn(images, seed, sample):
    """One of the eight ways to lay squares [2, N, N, 3], the same for both, drawn from (seed, sample)."""
    # The first two numbers of this seed have placed the window.
    draws = tf.random.stateless_uniform([4], seed=tf.stack([seed, sample]), alg=ALGORITHM)[2:]
    images = tf.ensure_shape(images, [2, None, None, 3])
    mirrored = tf.cond(draws[0] < 0.5, lambda: images, lambda: tf.reverse(images, axis=[2]))
    return tf.image.rot90(mirrored, k=tf.cast(draws[1] * 4, tf.int32))


def _to_unit_range(images, channels):
    """uint8 [B, H, W, 3] -> float32 [B, H, W, channels] in [0, 1]; one channel is luma."""
    images = tf.cast(images, tf.float32) / 255.0
    return images if channels == 3 else tf.tensordot(images, tf.constant(LUMA), axes=1)[..., tf.newaxis]
