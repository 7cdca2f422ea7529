"""Export of a network as a SavedModel for TensorFlow Serving.

Signatures:

  serving_default   image float32 [N, H, W, 3] in [0, 1]        -> restored, the same, clipped to [0, 1]
  encoded           image_bytes string [N], PNG, JPEG or BMP    -> restored_bytes string [N], PNG
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import tensorflow as tf

from srn.errors import InputError, WorkError, first_line
from srn.files import require_writable
from srn.inference.restoring import restore_colour


def export_savedmodel(model, export_dir, version: int | None = None) -> Path:
    """Writes `export_dir/VERSION/saved_model.pb` and what belongs to it, whole or not at all.

    Args:
      model: a `ScaleRecurrentNetwork`; one-channel models serve colour, plane by plane.
      export_dir: the model's folder, from which a server takes the highest version.
      version: a whole number from 1; None takes the one after the highest that is there.

    Returns:
      The folder of the version.

    Raises `InputError` if the version is there already or the folder cannot be written, `WorkError` if
    writing fails half-way.
    """
    export_dir = Path(export_dir)
    require_writable(export_dir)
    target = export_dir / str(version or _next_version(export_dir))
    if target.exists():
        raise InputError(f"{target}: is there already; choose another --version")
    # A server looks only at folders whose name is a number, so it never sees a half-written one.
    unfinished = export_dir / f".unfinished-{uuid.uuid4().hex}"
    module, signatures = make_servable(model)
    try:
        tf.saved_model.save(module, str(unfinished), signatures=signatures)
        os.rename(unfinished, target)
    except (OSError, tf.errors.OpError) as error:
        raise WorkError(f"{target}: cannot be written ({first_line(error)})") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def make_servable(model) -> tuple:
    """(module that holds the variables, {signature: concrete function})."""

    # Functions of their own around `model`, not methods of it: the SavedModel then holds its variables and
    # these two graphs, and none of Keras' own.
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="image")])
    def restore_floats(image):
        return {"restored": _restore(model, _checked(image))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def restore_encoded(image_bytes):
        restored = tf.map_fn(
            lambda encoded: _restore_encoded(model, encoded),
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


def _checked(image):
    """Asserts that stop a request with a message instead of the server with a crash."""
    # First of all: a tensor of another rank would abort the process inside oneDNN's convolution.
    image = tf.ensure_shape(image, [None, None, None, 3])
    checks = [
        tf.debugging.assert_positive(tf.shape(image), message="image has no pixels"),
        tf.debugging.Assert(
            tf.reduce_all(tf.math.is_finite(image)),
            ["image has NaN or infinite values; it is float32 in [0, 1]"],
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(image)


def _restore(model, image):
    return tf.clip_by_value(restore_colour(model, image), 0.0, 1.0)


def _restore_encoded(model, encoded):
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image = tf.ensure_shape(image, [None, None, 3])
    restored = _restore(model, tf.cast(image[tf.newaxis], tf.float32) / 255.0)[0]
    return tf.io.encode_png(tf.cast(tf.round(restored * 255.0), tf.uint8))


def _next_version(export_dir) -> int:
    versions = [int(path.name) for path in export_dir.iterdir() if path.name.isdecimal()]
    return max(versions, default=0) + 1
