"""LPIPS (Zhang et al., CVPR 2018), with the optional package lpips: `pip install lpips`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from srn.errors import InputError

NETWORK = "alex"  # recommended by its authors for comparisons


@functools.lru_cache(maxsize=1)  # all protocols share the network
def open_lpips() -> Callable[[Any], float]:
    """A function from an `ImagePair` of RGB to the distance of its two images.

    Raises `InputError` if the package is missing or its weights cannot be loaded.
    """
    try:
        import lpips
        import torch
    except ImportError as error:
        raise InputError("lpips: the package is not installed; pip install lpips") from error
    try:
        network = lpips.LPIPS(net=NETWORK, verbose=False).eval()
    except Exception as error:  # downloads the weights of its backbone at the first use
        raise InputError(f"lpips: the weights of its network cannot be loaded ({error})") from error

    def to_tensor(image: np.ndarray, peak: int) -> Any:
        scaled = image.astype(np.float32) * (2 / peak) - 1  # the package wants [-1, 1]
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)[np.newaxis]))

    def distance(pair: Any) -> float:
        with torch.no_grad():
            return float(network(to_tensor(pair.restored, pair.peak), to_tensor(pair.sharp, pair.peak)))

    return distance
