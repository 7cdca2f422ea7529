"""Values of images inside a graph beside those that Python gives; files are in test_served.py."""

import numpy as np
import pytest
import tensorflow as tf

from srn.images import from_unit_range, to_unit_range
from srn.serving import encoded_images

KINDS = [np.uint8, np.uint16]


@pytest.mark.parametrize("kind", KINDS)
def test_every_level_is_the_value_that_python_gives(kind):
    levels = np.arange(np.iinfo(kind).max + 1).astype(kind)

    # As a function: TensorFlow rewrites divisions in graphs alone.
    values = tf.function(encoded_images._to_unit_range)(levels).numpy()

    np.testing.assert_array_equal(values, to_unit_range(levels))


@pytest.mark.parametrize("kind", KINDS)
def test_values_between_two_levels_are_rounded_as_python_does(kind):
    middles = ((np.arange(np.iinfo(kind).max) + 0.5) / np.iinfo(kind).max).astype(np.float32)
    values = np.concatenate([middles, np.nextafter(middles, 0), np.nextafter(middles, 1)])

    levels = tf.function(lambda each: encoded_images._from_unit_range(each, tf.as_dtype(kind)))(values)

    np.testing.assert_array_equal(levels.numpy(), from_unit_range(values, kind))
