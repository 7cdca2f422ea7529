"""The stream of training crops: a `tf.data` pipeline whose every batch is a function of (seed, step).

Sample number n (step * batch_size + place in the batch) takes pair `order(epoch)[n % pairs]` with
epoch = n // pairs, and a window (mirrored and turned, if wanted) that is drawn from (seed, n). So a run
that starts at step N sees exactly what a run from 0 would see there, whatever the number of threads, with a
prepared cache or without.
"""

from __future__ import annotations

import itertools

import tensorflow as tf

# Of TensorFlow 1's `rgb_to_grayscale`, with which the authors' one-channel models were trained.
LUMA = (0.2989, 0.5870, 0.1140)
_ALGORITHM = "philox"  # named, so that every device draws the same


def stream_crops(
    pairs: list,
    batch_size: int,
    crop_size: int,
    seed: int = 0,
    first_step: int = 0,
    channels: int = 3,
    augment: bool = False,
    cache=None,
    parallelism: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """Streams aligned random crops of blurry/sharp pairs, without an end.

    Args:
      pairs: `srn.data.pairs.Pair`s whose images are at least `crop_size` in height and width.
      batch_size: crops in a batch; batches run over the end of a pass, no pair is dropped.
      crop_size: side of the square crop, in pixels.
      seed: of order, windows and augmentation.
      first_step: the step that the first batch is for.
      channels: 3, or 1 for luma.
      augment: whether crops are mirrored and turned by quarters at random (the paper does neither).
      cache: a `srn.data.cache.PreparedCache` of the pairs, or None to decode their files.
      parallelism: crops made at the same time. It changes the speed and nothing else, as does the cache.

    Returns:
      A dataset of (blurry, sharp), each float32 [batch_size, crop_size, crop_size, channels] in [0, 1].
    """
    read_window = _window_of_files(pairs, crop_size) if cache is None else _window_of_cache(cache, crop_size)

    def read_crop(sample, place):
        draws = tf.random.stateless_uniform([4], tf.stack([tf.cast(seed, tf.int64), sample]), alg=_ALGORITHM)
        both = read_window(place, draws[:2])
        if augment:
            both = _mirror_and_turn(both, draws[2:])
        return tf.ensure_shape(both, [2, crop_size, crop_size, 3])

    def to_floats(batch):
        return tuple(_to_unit_range(side, channels) for side in tf.unstack(batch, axis=1))

    return (
        sample_order(len(pairs), seed, first_step * batch_size)
        .map(read_crop, num_parallel_calls=parallelism, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .map(to_floats)
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


def decode(file) -> tf.Tensor:
    """Reads an image file as uint8 [H, W, 3]."""
    image = tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])


def _window_of_files(pairs, crop_size):
    """A function (place, draws) -> uint8 [2, crop_size, crop_size, 3] that decodes the files of a pair."""
    blurry_files = tf.constant([str(pair.blurry) for pair in pairs])
    sharp_files = tf.constant([str(pair.sharp) for pair in pairs])

    def read_window(place, draws):
        both = tf.stack([decode(blurry_files[place]), decode(sharp_files[place])])
        top, left = tf.unstack(_corner(tf.shape(both)[1:3], crop_size, draws))
        return both[:, top : top + crop_size, left : left + crop_size]

    return read_window


def _window_of_cache(cache, crop_size):
    """The same, from a prepared cache: only the window's rows are read."""
    sizes = tf.constant(cache.sizes)

    def read_window(place, draws):
        top, left = tf.unstack(_corner(sizes[place], crop_size, draws))
        return tf.numpy_function(cache.read_window, [place, top, left, crop_size], tf.uint8, stateful=False)

    return read_window


def _corner(size, crop_size, draws):
    """The window's first row and column: `draws` in [0, 1) spread over the places that there are."""
    places = tf.cast(size - crop_size + 1, tf.float32)
    return tf.cast(draws * places, tf.int32)


def _mirror_and_turn(images, draws):
    """One of the eight ways to lay squares [2, N, N, C], the same for both, by two draws in [0, 1)."""
    images = tf.ensure_shape(images, [2, None, None, 3])
    mirrored = tf.cond(draws[0] < 0.5, lambda: images, lambda: tf.reverse(images, axis=[2]))
    return tf.image.rot90(mirrored, k=tf.cast(draws[1] * 4, tf.int32))


def _to_unit_range(images, channels):
    """uint8 [B, H, W, 3] -> float32 [B, H, W, channels] in [0, 1]; one channel is luma."""
    images = tf.cast(images, tf.float32) / 255.0
    return images if channels == 3 else tf.tensordot(images, tf.constant(LUMA), axes=1)[..., tf.newaxis]
