"""`Deblurrer` restores single images, and returns the type that it is given."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from PIL import Image

from srn.errors import WorkError
from srn.images import from_unit_range, to_unit_range
from srn.inference import stored_graph
from srn.inference.tiling import restore_in_all_orientations, restore_tiled
from srn.released import DEFAULT

if TYPE_CHECKING:
    from srn.network import DeblurringNetwork

# Tolerance for floating-point images outside of [0, 1], due to resizing and rounding.
_TOLERANCE = 1e-3


class Deblurrer:
    """Restores images with a network. May be used by several threads.

    Args:
      ckpt: name of released weights, or anything that `srn.load_model` accepts.
      model: name of the model; None to take it from the weights.
      precision: "float32", or "bfloat16", which is faster on CPUs that support it.
      tile: side of the tiles for large images (`srn.inference.tiling`); None: whole images.
      self_ensemble: whether to average over all eight orientations, in eight times the time.
      truncate: whether integers are truncated as in the authors' code, instead of rounded.
      keep_graph: whether to cache graphs of released weights in the user's cache folder, for faster starts
        (`srn.inference.stored_graph`).

    Attributes:
      model: the Keras model.
      config: its `ModelConfig`.
      compute_dtype: of its convolutions.

    Raises `InputError` for weights that cannot be loaded.
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
        keep_graph: bool = False,
    ):
        self.tile, self.self_ensemble, self.truncate = tile, self_ensemble, truncate
        self._source = ckpt, model, precision
        keep_graph = keep_graph and model is None
        network = stored_graph.load(ckpt, precision) if keep_graph else None
        if network is None:
            network = self._trace(keep_graph)
        self._network = network.restore
        self.config, self.compute_dtype = network.config, network.compute_dtype

    @functools.cached_property
    def model(self) -> DeblurringNetwork:
        """The Keras model."""
        from srn.weights import load_model  # with the whole of TensorFlow, which a stored graph does not need

        return load_model(*self._source)

    def _trace(self, keep_graph: bool) -> stored_graph.StoredNetwork:
        import tensorflow as tf  # as above

        # One graph for all sizes.
        signature = [tf.TensorSpec([None, None, None, 3], tf.float32)]
        restore = tf.function(self.model.restore, input_signature=signature)
        if keep_graph:
            ckpt, _, precision = self._source
            stored_graph.save(restore, self.model, ckpt, precision)
        return stored_graph.StoredNetwork(
            lambda images: restore(images).numpy(), self.model.config, self.model.compute_dtype
        )

    @overload
    def __call__(
        self, image: Image.Image, *, tile: int | None = None, on_tile: Callable[[], object] | None = None
    ) -> Image.Image: ...

    @overload
    def __call__(
        self,
        image: np.ndarray | str | Path,
        *,
        tile: int | None = None,
        on_tile: Callable[[], object] | None = None,
    ) -> np.ndarray: ...

    def __call__(
        self,
        image: np.ndarray | Image.Image | str | Path,
        *,
        tile: int | None = None,
        on_tile: Callable[[], object] | None = None,
    ) -> np.ndarray | Image.Image:
        """Restores one image.

        Args:
          image: an array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (alpha is passed through), any size of
            at least 1x1; uint8 or uint16 of full range, or floating point in [0, 1]. Or a PIL image of mode
            L, LA, RGB, RGBA, or convertible to them. Or the path of an image file, which is read upright.
          tile: overrides that of the object.
          on_tile: called after each tile, for progress.

        Returns:
          An array of the same shape and dtype; a PIL image for a PIL image; for a file an array, uint8 or
          uint16, [H, W] or [H, W, 3].

        Raises `ValueError` for an array that is not such an image, `WorkError` for a file that cannot be
        read, and if the output is NaN.
        """
        if isinstance(image, Image.Image):
            return _restore_pil(functools.partial(self, tile=tile, on_tile=on_tile), image)
        if isinstance(image, (str, Path)):
            from srn.inference.reading import read_photograph

            image = read_photograph(Path(image)).pixels
        return self._restore_array(np.asarray(image), tile or self.tile, on_tile)

    def _restore_array(self, image, tile, on_tile):
        _check(image)
        pixels = image if image.ndim == 3 else image[..., np.newaxis]
        restored = pixels.copy()  # for the alpha
        colours = pixels[..., :3]
        if tile is None:
            bands = iter([self._restore_tile(colours)])
        else:
            bands = restore_tiled(self._restore_tile, colours, tile, on_tile)
        top = 0
        for band in bands:
            rows = from_unit_range(band, image.dtype, self.truncate)
            restored[top : top + len(rows), :, : rows.shape[-1]] = rows
            top += len(rows)
        return restored.reshape(image.shape)

    def _restore_tile(self, colours: np.ndarray) -> np.ndarray:
        """[h, w, 1 or 3] of any type -> the same number of channels, float32 in [0, 1]."""
        unit = np.broadcast_to(to_unit_range(colours), (*colours.shape[:2], 3))
        if self.self_ensemble:
            restored = restore_in_all_orientations(self._run_network, unit)
        else:
            restored = self._run_network(unit)
        if not np.isfinite(restored).all():
            raise WorkError("the output is not finite; the weights may have diverged")
        restored = np.clip(restored, 0.0, 1.0)
        return restored.mean(axis=-1, keepdims=True) if colours.shape[-1] == 1 else restored

    def _run_network(self, image: np.ndarray) -> np.ndarray:
        return self._network(image[np.newaxis])[0]


def _restore_pil(restore, image: Image.Image) -> Image.Image:
    """Converts modes other than L, LA, RGB and RGBA to the smallest of these that can represent them."""
    if image.mode in ("I", "F") or ";" in image.mode:
        raise ValueError(
            f"a PIL image of mode {image.mode}: give its pixels as an array, uint16 or in [0, 1]"
        )
    if image.mode in ("1", "L"):
        return Image.fromarray(restore(np.asarray(image.convert("L"))))
    transparent = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    mode = {"LA": "LA", "La": "LA"}.get(image.mode, "RGBA" if transparent else "RGB")
    if mode == "LA":
        gray, alpha = image.convert("LA").split()
        return Image.merge("LA", [Image.fromarray(restore(np.asarray(gray))), alpha])
    return Image.fromarray(restore(np.asarray(image.convert(mode))))


def _check(image: np.ndarray) -> None:
    is_floating = np.issubdtype(image.dtype, np.floating)
    if image.dtype not in (np.uint8, np.uint16) and not is_floating:
        raise ValueError(f"an image is uint8, uint16 or floating point in [0, 1], not {image.dtype}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(f"an image is [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], not {list(image.shape)}")
    if 0 in image.shape:
        raise ValueError(f"the image {list(image.shape)} has no pixels")
    if is_floating:
        low, high = float(image.min()), float(image.max())
        if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # NaN is neither
            raise ValueError(
                f"a floating-point image is in [0, 1], and this one from {low:g} to {high:g}; divide it by "
                "its largest possible value, 255 say, or clip it"
            )
