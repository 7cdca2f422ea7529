"""`Deblurrer`: a numpy image in, the same kind of image out, sharper."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from srn.errors import WorkError
from srn.images import from_unit_range, to_unit_range
from srn.inference.ensemble import restore_in_all_orientations
from srn.inference.tiling import restore_tiled
from srn.released import DEFAULT
from srn.weights import load_model


class Deblurrer:
    """Restores images with one network.

    Args:
      ckpt: released weights by name, or whatever else `srn.load_model` takes.
      model: the name of the model, where the caller insists on one.
      precision: "float32", or "bfloat16": faster on processors that have it.
      tile: side of the pieces that large images are restored in (`srn.inference.tiling`); None: whole images.
      self_ensemble: whether to take the mean of all eight orientations, in eight times the time.
      truncate: whether whole numbers are cut off, as the authors' code does, and not rounded.

    Call: image [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (alpha is passed through), any size of at least 1x1;
    uint8 or uint16 of full range, or floating point in [0, 1]. Returns the same shape and dtype.

    Raises `InputError` for weights, `ValueError` for an array that is no such image, `WorkError` where the
    network gives NaN.
    """

    def __init__(
        self,
        ckpt: str = DEFAULT,
        model: str | None = None,
        precision: str = "float32",
        *,
        tile: int | None = None,
        self_ensemble: bool = False,
        truncate: bool = False,
    ):
        self.model = load_model(ckpt, model, precision)
        self.tile, self.self_ensemble, self.truncate = tile, self_ensemble, truncate
        # One graph for all sizes.
        self._restore = tf.function(
            self.model.restore,
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        image = np.asarray(image)
        _check(image)
        pixels = image if image.ndim == 3 else image[..., np.newaxis]
        colours, alpha = pixels[..., :3], pixels[..., 3:]
        restored = self._restore_unit(to_unit_range(colours))
        if colours.shape[-1] == 1:
            restored = restored.mean(axis=-1, keepdims=True)
        restored = np.concatenate([from_unit_range(restored, image.dtype, self.truncate), alpha], axis=-1)
        return restored.reshape(image.shape)

    def _restore_unit(self, colours):
        """[H, W, 1 or 3] in [0, 1] -> [H, W, 3] in [0, 1]."""
        colours = np.broadcast_to(colours, (*colours.shape[:2], 3))
        restored = self._restore_oriented(colours)
        if not np.isfinite(restored).all():
            raise WorkError("the network gives values that are no numbers; its weights may have diverged")
        return np.clip(restored, 0.0, 1.0)

    def _restore_oriented(self, colours):
        if self.self_ensemble:
            return restore_in_all_orientations(self._restore_pieces, colours)
        return self._restore_pieces(colours)

    def _restore_pieces(self, colours):
        if self.tile is not None:
            return restore_tiled(self._restore_whole, colours, self.tile)
        return self._restore_whole(colours)

    def _restore_whole(self, colours):
        return self._restore(colours[np.newaxis])[0].numpy()


def _check(image):
    known = image.dtype in (np.uint8, np.uint16) or np.issubdtype(image.dtype, np.floating)
    if not known:
        raise ValueError(f"an image is uint8, uint16 or floating point in [0, 1], not {image.dtype}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(f"an image is [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], not {list(image.shape)}")
    if 0 in image.shape:
        raise ValueError(f"the image {list(image.shape)} has no pixels")
