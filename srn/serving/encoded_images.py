"""Decoding and encoding of image files inside a graph, with TensorFlow operations only.

Files are checked before pixels are decoded, and rejected with INVALID_ARGUMENT: a small file with the header
of a large image must not fill the server's memory.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from srn.serving.contract import TOO_MANY_PIXELS

KINDS = ("PNG", "JPEG", "BMP")
_PNG, _JPEG, _BMP = range(3)
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
_MIN_BMP_BYTES = 54  # bytes: its two headers
_USUAL_MASKS = b"\0\0\xff\0\0\xff\0\0\xff\0\0\0"  # of red, green and blue: as without masks
_MIN_HEADER_BYTES = 26  # length of the shortest header that is parsed


@dataclasses.dataclass(frozen=True)
class PixelLimit:
    """Limits of a request.

    Attributes:
      max_pixels: of one request, with sides rounded up to `multiple`.
      multiple: of which the network pads height and width.
      planes: number of images that the network restores for a colour image: 3 for one-channel models.
    """

    max_pixels: int
    multiple: int = 1
    planes: int = 1

    def allows(self, height: int, width: int) -> bool:
        """Whether one image of this size may be restored."""
        rows, columns = (self._round_up(size) for size in (height, width))
        return rows * columns * self.planes <= self.max_pixels

    def check(
        self, count: tf.Tensor | int, height: tf.Tensor, width: tf.Tensor, what: str
    ) -> tf.Operation | None:
        """Makes an operation that fails for no or too many pixels, with a message that begins with `what`.

        Args:
          count, height, width: scalar integers; sides may be up to 2**32.
        """
        count, height, width = (tf.cast(value, tf.int64) for value in (count, height, width))
        has_pixels = tf.debugging.Assert(
            (count > 0) & (height > 0) & (width > 0),
            [tf.strings.format(f"{what} has no pixels: {{}} of {{}}x{{}}", (count, width, height))],
        )
        with tf.control_dependencies([has_pixels]):
            rows, columns = (self._round_up(size) for size in (height, width))
            # By division, since the product of the numbers in a header may exceed int64.
            fits = rows <= self.max_pixels // columns // (count * self.planes)
        return tf.debugging.Assert(fits, [self._say_too_many(count, rows, columns, height, width, what)])

    def _round_up(self, size):
        return (size + self.multiple - 1) // self.multiple * self.multiple

    def _say_too_many(self, count, rows, columns, height, width, what):
        planes = f", each restored as {self.planes} planes" if self.planes > 1 else ""
        text = (
            f"{what} {TOO_MANY_PIXELS}: {{}} of {{}}x{{}}, which the network pads to {{}}x{{}}{planes}, is "
            f"more than {self.max_pixels} pixels; send it in tiles (srn-client does), or export the model "
            "with a larger --max_megapixels"
        )
        return tf.strings.format(text, (count, width, height, columns, rows))


def decode(encoded: tf.Tensor, limit: PixelLimit) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a PNG, JPEG or BMP file.

    Orientation in EXIF is ignored: pixels are as they are stored.

    Args:
      encoded: scalar string.
      limit: images with larger sizes in their headers are rejected.

    Returns:
      (pixels: float32 [H, W, C] in [0, 1], C being 1 (gray), 2 (gray, alpha), 3 or 4 (RGB, alpha);
      whether the file has 16 bits: scalar bool).

    Fails with INVALID_ARGUMENT for files of another kind, damaged ones, and too large ones.
    """
    kind, deep = _inspect(encoded)
    with tf.control_dependencies([_check_header(encoded, kind, limit)]):
        encoded = tf.identity(encoded)
    branches = [
        lambda: tf.cond(
            deep, lambda: _decode_png(encoded, tf.uint16), lambda: _decode_png(encoded, tf.uint8)
        ),
        lambda: _decode_jpeg(encoded),
        lambda: _decode_bmp(encoded),
    ]
    pixels = tf.switch_case(tf.minimum(kind, len(branches) - 1), branches)
    return tf.ensure_shape(pixels, [None, None, None]), deep


def encode_png(pixels: tf.Tensor, deep: tf.Tensor) -> tf.Tensor:
    """Encodes float32 [H, W, 1 to 4] in [0, 1] as PNG of 8, or if `deep` 16, bits; scalar string."""
    return tf.cond(
        deep,
        lambda: tf.io.encode_png(_from_unit_range(pixels, tf.uint16)),
        lambda: tf.io.encode_png(_from_unit_range(pixels, tf.uint8)),
    )


def _inspect(encoded) -> tuple:
    """(the index into KINDS, or their number for none of them; whether it is a PNG of 16 bits)."""
    starts = [tf.strings.substr(encoded, 0, len(magic)) == magic for magic in _MAGIC]
    kind = tf.argmax([*starts, True], output_type=tf.int32)  # the first that holds
    long_enough = tf.strings.length(encoded) >= _MIN_HEADER_BYTES
    known = (kind < len(KINDS)) & long_enough
    deep = tf.cond(
        known & (kind == _PNG), lambda: _bytes(encoded, 24, 1)[0] == 16, lambda: tf.constant(False)
    )
    return tf.where(known, kind, len(KINDS)), deep


def _check_header(encoded, kind, limit):
    """Makes an operation that fails for a file that is none of KINDS or has too many pixels."""
    is_known = tf.debugging.Assert(kind < len(KINDS), ["image_bytes is no PNG, JPEG or BMP file"])
    with tf.control_dependencies([is_known]):
        is_read = tf.cond(kind == _BMP, lambda: _is_plain_bmp(encoded), lambda: tf.constant(True))
    is_read = tf.debugging.Assert(is_read, ["image_bytes is a BMP file of a kind that is not read"])
    with tf.control_dependencies([is_read]):
        height, width = tf.switch_case(
            tf.minimum(kind, _BMP),
            [lambda: _size_of_png(encoded), lambda: _size_of_jpeg(encoded), lambda: _size_of_bmp(encoded)],
        )
    return limit.check(1, height, width, "image_bytes")


def _is_plain_bmp(encoded):
    """Whether a BMP has a current header and uncompressed pixels; TensorFlow ignores the compression."""
    long_enough = tf.strings.length(encoded) >= _MIN_BMP_BYTES
    return tf.cond(long_enough, lambda: _has_plain_pixels(encoded), lambda: tf.constant(False))


def _has_plain_pixels(encoded):
    header, compression = _whole_number(encoded, 14), _whole_number(encoded, 30)
    as_usual = tf.strings.substr(encoded, 54, len(_USUAL_MASKS)) == _USUAL_MASKS
    return (header >= 40) & ((compression == 0) | ((compression == 3) & as_usual))


def _size_of_png(encoded):
    width, height = (tf.cast(_bytes(encoded, start, 4), tf.int64) for start in (16, 20))
    weights = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    return tf.reduce_sum(height * weights), tf.reduce_sum(width * weights)


def _size_of_jpeg(encoded):
    shape = tf.io.extract_jpeg_shape(encoded, output_type=tf.int64)
    return shape[0], shape[1]


def _size_of_bmp(encoded):
    width, height = (tf.cast(_whole_number(encoded, start), tf.int64) for start in (18, 22))
    return tf.abs(height), width  # negative: rows from top to bottom


def _decode_png(encoded, dtype):
    return _to_unit_range(tf.io.decode_png(encoded, channels=0, dtype=dtype))


def _decode_jpeg(encoded):
    # The accurate transform gives the same pixels as other decoders; the default differs by up to 10 levels.
    def decode_with(channels):
        return _to_unit_range(tf.io.decode_jpeg(encoded, channels, dct_method="INTEGER_ACCURATE"))

    is_gray = tf.io.extract_jpeg_shape(encoded)[2] == 1
    return tf.cond(is_gray, lambda: decode_with(1), lambda: decode_with(3))


def _decode_bmp(encoded):
    # TensorFlow interprets the indices of palette colours as gray levels.
    uses_palette = _bytes(encoded, 28, 1)[0] == 8
    is_gray = tf.cond(uses_palette, lambda: _has_gray_palette(encoded), lambda: tf.constant(True))
    check = tf.debugging.Assert(is_gray, ["image_bytes is a BMP file with a palette of colours"])
    with tf.control_dependencies([check]):
        image = tf.io.decode_bmp(encoded, channels=0)
    return _to_unit_range(image[..., :3])  # the fourth byte of a pixel is seldom an alpha


def _has_gray_palette(encoded):
    """Whether colour number i of a BMP's 256 is (i, i, i)."""
    start = 14 + _whole_number(encoded, 14)
    long_enough = (start >= 0) & (start + 1024 <= tf.strings.length(encoded))
    start = tf.where(long_enough, start, 0)
    palette = tf.reshape(_bytes(encoded, start, tf.where(long_enough, 1024, 0)), [-1, 4])[:, :3]
    levels = tf.cast(tf.range(tf.shape(palette)[0])[:, tf.newaxis], tf.uint8)
    return long_enough & tf.reduce_all(palette == levels)


def _whole_number(encoded, start):
    """An int32 of a BMP, little endian."""
    return tf.io.decode_raw(tf.strings.substr(encoded, start, 4), tf.int32)[0]


# In float64, so that both give the same values as `srn.images`. In float32, TensorFlow's graphs replace the
# division by a multiplication with the reciprocal, and products are rounded to the middle between two levels.


def _to_unit_range(image):
    return tf.cast(tf.cast(image, tf.float64) / image.dtype.max, tf.float32)


def _from_unit_range(pixels, dtype):
    return tf.cast(tf.round(tf.cast(pixels, tf.float64) * dtype.max), dtype)


def _bytes(encoded, start, count):
    return tf.io.decode_raw(tf.strings.substr(encoded, start, count), tf.uint8)
