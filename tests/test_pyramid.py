import numpy as np
import pytest
import tensorflow as tf

from srn import pyramid


def ramp(length=8):
    return tf.reshape(tf.range(float(length)), [1, 1, length, 1])


def values(images):
    return np.asarray(images).reshape(-1).tolist()


def test_half_pixel_halving_takes_means_and_legacy_picks():
    assert values(pyramid.resize(ramp(), (1, 4), "half_pixel")) == [0.5, 2.5, 4.5, 6.5]
    assert values(pyramid.resize(ramp(), (1, 4), "legacy")) == [0.0, 2.0, 4.0, 6.0]
    assert values(pyramid.resize(ramp(), (1, 2), "half_pixel")) == [1.5, 5.5]
    assert values(pyramid.resize(ramp(), (1, 2), "legacy")) == [0.0, 4.0]


def test_doubling_on_both_grids():
    assert values(pyramid.resize(ramp(2), (1, 4), "legacy")) == [0.0, 0.5, 1.0, 1.0]
    assert values(pyramid.resize(ramp(2), (1, 4), "half_pixel")) == [0.0, 0.25, 0.75, 1.0]


def test_each_scale_is_resized_from_the_full_size_not_by_halving_twice():
    image = tf.reshape(tf.constant([0.0, 0.0, 0.0, 4.0]), [1, 1, 4, 1])
    image = tf.repeat(image, 4, axis=1)

    quarter = pyramid.build_pyramid(image, 3)[2]

    # Four pixels to one: the sample lies between the second and third, means of means would give 1.
    assert values(quarter) == [0.0]


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16, tf.float32])
def test_resizing_keeps_the_dtype(dtype):
    assert pyramid.resize(tf.cast(ramp(), dtype), (1, 4)).dtype == dtype


@pytest.mark.parametrize("height", range(1, 40, 3))
@pytest.mark.parametrize("width", [1, 15, 16, 17])
def test_cropping_undoes_padding(height, width):
    image = np.random.default_rng(0).random((2, height, width, 3), np.float32)

    padded = pyramid.pad_to_multiple(tf.constant(image), 16)

    assert padded.shape[1] % 16 == padded.shape[2] % 16 == 0
    assert padded.shape[1] - height < 16 and padded.shape[2] - width < 16
    np.testing.assert_array_equal(pyramid.crop_to(padded, (height, width)), image)


def test_padding_repeats_the_edge():
    padded = pyramid.pad_to_multiple(tf.reshape([[1.0, 2.0], [3.0, 4.0]], [1, 2, 2, 1]), 3)

    assert values(padded) == [1, 2, 2, 3, 4, 4, 3, 4, 4]


def test_padding_is_the_same_where_sizes_are_not_known_in_advance():
    image = tf.random.stateless_uniform([1, 37, 53, 3], seed=[0, 0])
    dynamic = tf.function(
        lambda x: pyramid.pad_to_multiple(x, 16), input_signature=[tf.TensorSpec([None, None, None, 3])]
    )

    np.testing.assert_array_equal(dynamic(image), pyramid.pad_to_multiple(image, 16))


@pytest.mark.parametrize("grid", ["half_pixel", "legacy"])
def test_a_pyramid_of_any_size_is_that_of_the_padded_image_cropped(grid):
    image = tf.random.stateless_uniform([1, 37, 53, 3], seed=[0, 0])

    pictures = pyramid.build_pyramid(image, 3, grid)

    assert [tuple(p.shape[1:3]) for p in pictures] == [(37, 53), (19, 27), (10, 14)]
    of_padded = pyramid.build_pyramid(pyramid.pad_to_multiple(image, 16), 3, grid)
    for picture, larger in zip(pictures, of_padded):
        size = pyramid.spatial_size(picture)
        np.testing.assert_allclose(picture, pyramid.crop_to(larger, size), atol=1e-6)
