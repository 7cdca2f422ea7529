"""Restores photographs with a server, whole or in tiles, depending on its limit."""

from __future__ import annotations

import math
import re

import numpy as np

from srn.images import from_unit_range
from srn.inference.tiling import SMALLEST_TILE, fit_tile, restore_tiled
from srn.serving.client import Client, ServerError
from srn.serving.contract import MAX_PIXELS, SIZE_MULTIPLE, TOO_MANY_PIXELS

AUTO = "auto"
# Errors that affect every photograph: unknown model, no permission, calls that are not implemented.
_HOPELESS = ("NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED")
_MAX_TILE = 2048  # side in pixels; larger tiles save little computation and need much memory on the server
_LIMIT = re.compile(rf"{TOO_MANY_PIXELS}.* more than (\d+) pixels")
_PLANES = re.compile(r"restored as (\d+) planes")


class RemoteRestorer:
    """Restores arrays with a server, for `srn.inference.restoring`. Thread-safe.

    Args:
      server: the connection.
      tile: side of tiles in pixels; `AUTO`: images are sent whole if the server accepts them, otherwise in
        tiles that it accepts.

    Attributes:
      gone: the error after which no photograph can be restored; None until then.

    Call: uint8 or uint16, [H, W] or [H, W, 3] -> the same. Raises `ServerError`.
    """

    def __init__(self, server: Client, tile: int | str = AUTO):
        self._server, self._tile = server, tile
        self._max_pixels = MAX_PIXELS  # until the server says otherwise
        self.gone: ServerError | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        if self.gone is not None:
            raise self.gone
        try:
            return self._restore(pixels)
        except ServerError as error:
            self._check_whether_gone(error)
            raise

    def _restore(self, pixels):
        if isinstance(self._tile, int):
            return self._restore_tiled(pixels, self._tile)
        cost = _cost(*pixels.shape[:2])
        while True:
            limit, tile = self._max_pixels, None
            try:
                if cost <= limit:
                    return self._server.restore_image(pixels)
                tile = min(fit_tile(math.isqrt(limit)), _MAX_TILE)
                return self._restore_tiled(pixels, tile)
            except ServerError as error:
                # A proxy does not report the number of bytes that it accepts.
                smaller = min(cost, limit) // 4 if error.too_large else _limit_in(str(error))
                if smaller is None or smaller >= limit or tile == SMALLEST_TILE:
                    raise
                self._max_pixels = min(smaller, self._max_pixels)

    def _restore_tiled(self, pixels, tile):
        image = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
        restored, top = np.empty_like(image), 0
        for band in restore_tiled(self._server.restore_tile, image, tile):
            restored[top : top + len(band)] = from_unit_range(band, image.dtype)
            top += len(band)
        return restored.reshape(pixels.shape)

    def _check_whether_gone(self, error: ServerError) -> None:
        """A busy server may reject one photograph; one that does not report its state either is gone."""
        if self.gone is None and (_is_hopeless(error) or (error.code == "UNAVAILABLE" and self._is_silent())):
            self.gone = error
            self._server.close()  # ends the waits of other threads

    def _is_silent(self) -> bool:
        try:
            self._server.states(attempts=1)
        except ServerError as error:
            return error.code != "UNIMPLEMENTED"  # a proxy may forward predictions only
        return False


def _is_hopeless(error: ServerError) -> bool:
    # TensorFlow Serving's messages for a model without the signature, or with other inputs.
    return error.code in _HOPELESS or "signature" in str(error)


def _cost(height: int, width: int) -> int:
    rows, columns = (-(-size // SIZE_MULTIPLE) * SIZE_MULTIPLE for size in (height, width))
    return rows * columns


def _limit_in(message: str) -> int | None:
    """The limit of pixels of a colour image in a server's error message; None if there is none."""
    limit, planes = _LIMIT.search(message), _PLANES.search(message)
    return int(limit[1]) // (int(planes[1]) if planes else 1) if limit else None
