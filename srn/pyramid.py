"""Resizing between the scales (Sec. 3.1), and padding to a multiple of the total stride.

Images are [B, H, W, C]. Lists over the scales are finest first, as the paper numbers them.
"""

from __future__ import annotations

from typing import Union

import tensorflow as tf

# (height, width): integers where they are static, otherwise scalar tensors.
Size = tuple[Union[int, tf.Tensor], Union[int, tf.Tensor]]


def spatial_size(images: tf.Tensor) -> Size:
    """(height, width) of [B, H, W, C]: integers where they are static, otherwise scalar tensors."""
    dynamic = tf.shape(images)
    return tuple(images.shape[axis] or dynamic[axis] for axis in (1, 2))


def resize(images: tf.Tensor, size: Size, grid: str = "half_pixel") -> tf.Tensor:
    """Resizes bilinearly without antialiasing, in float32; returns the dtype of `images`.

    Args:
      images: [B, H, W, C], floating point, any range.
      size: (height, width) of the result.
      grid: "half_pixel" samples at pixel centres, so that halving averages 2x2 pixels. "legacy"
        samples at destination * (in / out), as TensorFlow 1 did: halving picks the pixels (2i, 2j).

    float32 because XLA cannot compile the gradient of a bfloat16 resize.
    """
    values = tf.cast(images, tf.float32)
    if grid == "legacy":
        resized = tf.raw_ops.ResizeBilinear(
            images=values, size=size, align_corners=False, half_pixel_centers=False
        )
    else:
        resized = tf.image.resize(values, size, method="bilinear", antialias=False)
    return tf.cast(resized, images.dtype)


def pad_to_multiple(images: tf.Tensor, multiple: int) -> tf.Tensor:
    """Repeats the last row and column until height and width are multiples of `multiple`.

    [B, H, W, C] -> [B, ceil(H / multiple) * multiple, ...]. `crop_to` with the original size is the inverse.
    """
    for axis, size in zip((1, 2), spatial_size(images)):
        missing = (multiple - size % multiple) % multiple
        if not isinstance(missing, int) or missing > 0:
            nearest_inside = tf.minimum(tf.range(size + missing), size - 1)
            images = tf.gather(images, nearest_inside, axis=axis)
    return images


def crop_to(images: tf.Tensor, size: Size) -> tf.Tensor:
    """Keeps the first rows and columns: [B, >= height, >= width, C] -> [B, height, width, C]."""
    height, width = size
    if images.shape[1:3].as_list() == [height, width]:
        return images
    return images[:, :height, :width]


def size_at_scale(size: Size, scale: int) -> Size:
    """(height, width) of an image of `size` at `scale` (0 is the finest): ceil(size / 2**scale)."""
    return tuple((length + 2**scale - 1) // 2**scale for length in size)


def build_pyramid(images: tf.Tensor, num_scales: int, grid: str = "half_pixel") -> list:
    """Resizes `images` to each scale, always from the full size (Sec. 3.1).

    Args:
      images: [B, H, W, C], floating point, any range; any H and W (padded internally as in the network).
      num_scales: number of images to return, at least 1.
      grid: see `resize`.

    Returns:
      `num_scales` tensors, finest first; item s is [B, ceil(H / 2**s), ceil(W / 2**s), C].
    """
    size = spatial_size(images)
    padded = pad_to_multiple(images, 2 ** (num_scales - 1))
    padded_size = spatial_size(padded)
    pyramid = [images]
    for scale in range(1, num_scales):
        smaller = resize(padded, size_at_scale(padded_size, scale), grid)
        pyramid.append(crop_to(smaller, size_at_scale(size, scale)))
    return pyramid
