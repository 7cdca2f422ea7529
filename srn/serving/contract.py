"""Names of signatures, inputs and outputs of an export, and default limits."""

from __future__ import annotations

# Signature -> (its input, its output).
SIGNATURES = {
    "serving_default": ("image", "restored"),
    "encoded": ("image_bytes", "restored_bytes"),
}
# Photographs of telephones: 4000x3000, 4032x3024, 4080x3072, 4160x3120, 4208x3120. serving/README.md has what
# they cost in memory.
MAX_PIXELS = 13_500_000
MAX_FILES = 64  # of one request of `encoded`
# What resizing with a sharp filter leaves of [0, 1] is restored; values of another range are a mistake.
MIN_VALUE, MAX_VALUE = -0.5, 1.5
SIZE_MULTIPLE = 16  # to which the sides of an image are rounded up, as far as limits are concerned
TOO_MANY_PIXELS = "has too many pixels"  # of the message that refuses a large image; ends with the limit
