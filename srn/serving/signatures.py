"""The two signatures of an exported network, with checks of the requests.

  serving_default   image float32 [N, H, W, 3] in [0, 1]       -> restored, the same, clipped to [0, 1]
  encoded           image_bytes string [N], PNG, JPEG or BMP   -> restored_bytes string [N], PNG of the same
                    kind: gray stays gray, alpha is passed through, 16 bits stay 16 bits

Invalid and too large requests are answered with INVALID_ARGUMENT and a message. One invalid image fails its
whole request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from srn.serving import encoded_images
from srn.serving.contract import MAX_FILES, MAX_PIXELS, MAX_VALUE, MIN_VALUE
from srn.serving.encoded_images import PixelLimit

if TYPE_CHECKING:
    from tensorflow.types.experimental import ConcreteFunction

    from srn.network import DeblurringNetwork


def make_servable(
    model: DeblurringNetwork, max_pixels: int = MAX_PIXELS
) -> tuple[tf.Module, dict[str, ConcreteFunction]]:
    """Makes the graphs that a server runs.

    Args:
      model: one-channel models serve colour, plane by plane.
      max_pixels: of a request's floats, batch included, and of each encoded image; as the network sees
        them: padded, and for a one-channel model three times.

    Returns:
      (module that holds the variables, {signature: concrete function}).
    """
    limit = make_limit(model, max_pixels)

    # Separate functions, not methods of `model`, so that the SavedModel holds the variables and these two
    # graphs, and none of Keras.
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="image")])
    def restore_floats(image):
        return {"restored": _restore(model, _check(image, limit))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def restore_encoded(image_bytes):
        image_bytes = _check_count(tf.ensure_shape(image_bytes, [None]))
        restored = tf.map_fn(
            lambda encoded: _restore_encoded(model, encoded, limit),
            image_bytes,
            fn_output_signature=tf.string,
            parallel_iterations=1,  # one image in memory at a time
        )
        return {"restored_bytes": restored}

    module = tf.Module(name="srn")
    module.network_variables = model.variables
    module.restore_floats, module.restore_encoded = restore_floats, restore_encoded
    signatures = {
        "serving_default": restore_floats.get_concrete_function(),
        "encoded": restore_encoded.get_concrete_function(),
    }
    return module, signatures


def make_limit(model: DeblurringNetwork, max_pixels: int) -> PixelLimit:
    """Limits of requests to `model`."""
    planes = 3 if model.config.channels == 1 else 1  # R, G and B are restored as three images
    return PixelLimit(max_pixels, model.config.size_multiple, planes)


def _check_count(image_bytes):
    count = tf.size(image_bytes)
    few = tf.debugging.Assert(count <= MAX_FILES, [f"image_bytes has more than {MAX_FILES} files", count])
    with tf.control_dependencies([few]):
        return tf.identity(image_bytes)


def _check(image, limit):
    """Assertions that fail an invalid request with a message."""
    # First, since a tensor of another rank would abort the process in oneDNN's convolution.
    image = tf.ensure_shape(image, [None, None, None, 3])
    count, height, width = tf.unstack(tf.shape(image, tf.int64)[:3])
    with tf.control_dependencies([limit.check(count, height, width, "image")]):
        is_finite = tf.debugging.Assert(
            tf.reduce_all(tf.math.is_finite(image)),
            ["image has NaN or infinite values; it is float32 in [0, 1]"],
        )
    with tf.control_dependencies([is_finite]):
        low, high = tf.reduce_min(image), tf.reduce_max(image)
        text = (
            "image has values from {} to {}; it is float32 in [0, 1]: divide by the largest possible, 255 say"
        )
        in_range = tf.debugging.Assert(has_values_of_images(image), [tf.strings.format(text, (low, high))])
    with tf.control_dependencies([in_range]):
        return tf.identity(image)


def has_values_of_images(image: tf.Tensor) -> tf.Tensor:
    """Whether all values are in or near [0, 1]; scalar bool, false for NaN."""
    return tf.reduce_all((image >= MIN_VALUE) & (image <= MAX_VALUE))


def _restore(model, image):
    return tf.clip_by_value(model.restore(image), 0.0, 1.0)


def _restore_encoded(model, encoded, limit):
    pixels, deep = encoded_images.decode(encoded, limit)
    channels = tf.shape(pixels)[-1]
    is_gray, has_alpha = channels <= 2, channels % 2 == 0
    colours, alpha = tf.cond(
        has_alpha, lambda: (pixels[..., :-1], pixels[..., -1:]), lambda: (pixels, pixels[..., :0])
    )
    colours = tf.cond(is_gray, lambda: tf.repeat(colours, 3, axis=-1), lambda: colours)
    restored = _restore(model, tf.ensure_shape(colours, [None, None, 3])[tf.newaxis])[0]
    restored = tf.cond(is_gray, lambda: tf.reduce_mean(restored, axis=-1, keepdims=True), lambda: restored)
    return encoded_images.encode_png(tf.concat([restored, alpha], axis=-1), deep)
