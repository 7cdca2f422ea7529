"""The stream of training crops: a `tf.data` pipeline whose every batch is a function of (seed, step).

Sample number n (step * batch_size + place in the batch) takes pair `order(epoch)[n % pairs]` with
epoch = n // pairs, and a window whose corner is drawn from (seed, n). So a run that starts at step N sees
exactly what a run from 0 would see there, whatever the number of threads.
"""

from __future__ import annotations

import itertools

import tensorflow as tf

# Of TensorFlow 1's `rgb_to_grayscale`, with which the authors' one-channel models were trained.
LUMA = (0.2989, 0.5870, 0.1140)
_ALGORITHM = "philox"  # named, so that every device draws the same


def stream_crops(
    pairs: list, batch_size: int, crop_size: int, seed: int = 0, first_step: int = 0, channels: int = 3
) -> tf.data.Dataset:
    """Streams aligned random crops of blurry/sharp pairs, without an end.

    Args:
      pairs: `srn.data.pairs.Pair`s whose images are at least `crop_size` in height and width.
      batch_size: crops in a batch; batches run over the end of a pass, no pair is dropped.
      crop_size: side of the square crop, in pixels.
      seed: of order and windows.
      first_step: the step that the first batch is for.
      channels: 3, or 1 for luma.

    Returns:
      A dataset of (blurry, sharp), each float32 [batch_size, crop_size, crop_size, channels] in [0, 1].
    """
    blurry_files = tf.constant([str(pair.blurry) for pair in pairs])
    sharp_files = tf.constant([str(pair.sharp) for pair in pairs])

    def read_crop(sample, place):
        both = tf.concat([_decode(blurry_files[place]), _decode(sharp_files[place])], axis=-1)
        crop = tf.cast(_random_crop(both, crop_size, seed, sample), tf.float32) / 255.0
        blurry, sharp = crop[..., :3], crop[..., 3:]
        return (_luma(blurry), _luma(sharp)) if channels == 1 else (blurry, sharp)

    return (
        sample_order(len(pairs), seed, first_step * batch_size)
        .map(read_crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def sample_order(num_pairs: int, seed: int, first_sample: int = 0) -> tf.data.Dataset:
    """(sample number, place of its pair), int64, from `first_sample` on; each pass is in a new order."""
    first_epoch, done = divmod(first_sample, num_pairs)

    def one_pass(epoch):
        # Passes count down from -1 and samples up from 0, so that no two draws share a seed.
        order = tf.random.experimental.stateless_shuffle(
            tf.range(num_pairs, dtype=tf.int64), seed=tf.stack([seed, -1 - epoch]), alg=_ALGORITHM
        )
        samples = epoch * num_pairs + tf.range(num_pairs, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((samples, order))

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(one_pass).skip(done)


def pairs_of_step(pairs: list, batch_size: int, seed: int, step: int) -> list:
    """The pairs that the batch of `step` is cut from."""
    order = sample_order(len(pairs), seed, step * batch_size).as_numpy_iterator()
    return [pairs[place] for _, place in itertools.islice(order, batch_size)]


def _decode(file):
    image = tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])


def _random_crop(image, crop_size, seed, sample):
    """The window of [H, W, C] that belongs to the sample: [crop_size, crop_size, C]."""
    room = tf.shape(image)[:2] - crop_size + 1  # places for the corner, at least 1
    draw = tf.random.stateless_uniform([2], seed=tf.stack([tf.cast(seed, tf.int64), sample]), alg=_ALGORITHM)
    corner = tf.cast(draw * tf.cast(room, tf.float32), tf.int32)
    crop = image[corner[0] : corner[0] + crop_size, corner[1] : corner[1] + crop_size]
    return tf.ensure_shape(crop, [crop_size, crop_size, None])


def _luma(image):
    return tf.tensordot(image, tf.constant(LUMA), axes=1)[..., tf.newaxis]
