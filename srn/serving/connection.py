"""Base class of the clients for gRPC and REST: calls, errors and retries."""

from __future__ import annotations

import abc
import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from srn.errors import WorkError
from srn.images import decode_png, encode_png, to_unit_range
from srn.serving.address import Address
from srn.serving.contract import MAX_VALUE, MIN_VALUE, SIGNATURES

_FIRST_WAIT, _MAX_WAIT, _GROWTH = 0.5, 8.0, 2.0  # seconds before an attempt is repeated
_MAX_ASKED_WAIT = 60.0  # seconds, of those that a server asks for
_MAX_MESSAGE = 500  # characters of a server's message

Result = TypeVar("Result")
Values = Mapping[str, "np.ndarray | Sequence[bytes]"]
Outputs = dict[str, "np.ndarray | list[bytes]"]


class ServerError(WorkError):
    """An error reported by a server, or a failure to get a valid response from it.

    Attributes:
      code: name of gRPC's status code, such as INVALID_ARGUMENT.
      transient: whether a retry may succeed: a broken connection, a server that is not ready or at capacity.
      wait: delay before a retry in seconds, as the server asks for; 0 if it does not.
      too_large: whether the request has too many bytes for the server or a proxy.
    """

    def __init__(
        self, code: str, message: str, transient: bool = False, *, wait: float = 0.0, too_large: bool = False
    ):
        super().__init__(f"{code}: {_one_line(message)}")
        self.code, self.transient, self.wait, self.too_large = code, transient, wait, too_large


def odd_answer(what: str) -> ServerError:
    """The error for a malformed response, which `what` describes."""
    return ServerError("INTERNAL", f"the answer is not understood: {what[:100]}")


@dataclasses.dataclass(frozen=True)
class Model:
    """A model on a server, and its version: by number, by label, or the highest."""

    name: str
    version: int | None
    label: str | None


class Client(abc.ABC):
    """A connection to one model. Thread-safe.

    Attributes:
      address: of the server, port included.
    """

    def __init__(self, address: Address, model: Model, timeout: float, attempts: int):
        self.address, self._model, self._timeout, self._attempts = address, model, timeout, attempts
        self._closed = threading.Event()

    def restore_files(self, files: Sequence[bytes]) -> list[bytes]:
        """Restores PNG, JPEG or BMP files of any sizes; returns PNG files of the same kinds.

        Raises `ServerError`; one invalid file fails the whole request.
        """
        restored = self.predict("encoded", {"image_bytes": list(files)})["restored_bytes"]
        if len(restored) != len(files):
            raise odd_answer(f"{len(restored)} images for {len(files)}")
        return list(restored)

    def restore(self, images: np.ndarray) -> np.ndarray:
        """Restores floating point [N, H, W, 3] in [0, 1]; the same, float32. Raises `ServerError`."""
        images = np.asarray(images, np.float32)
        restored = np.asarray(self.predict("serving_default", {"image": images})["restored"])
        if restored.shape != images.shape:
            raise odd_answer(f"an array {list(restored.shape)} for {list(images.shape)}")
        if not np.all((restored >= MIN_VALUE) & (restored <= MAX_VALUE)):  # NaN is neither
            raise odd_answer(f"values from {restored.min()} to {restored.max()}, not in [0, 1]")
        return np.require(restored, requirements="W")

    def restore_image(self, image: np.ndarray) -> np.ndarray:
        """Restores one image, sent and received as PNG.

        Args:
          image: [H, W] or [H, W, 3], uint8 or uint16.

        Returns:
          The same shape and type. Raises `ServerError`.
        """
        (encoded,) = self.restore_files([encode_png(image, compression=1)])
        restored = decode_png(encoded)
        if restored is None or restored.shape != image.shape or restored.dtype != image.dtype:
            what = "no PNG file" if restored is None else f"{restored.dtype} {list(restored.shape)}"
            raise odd_answer(f"{what} for {image.dtype} {list(image.shape)}")
        return restored

    def restore_tile(self, tile: np.ndarray) -> np.ndarray:
        """Restores [H, W, 1 or 3], uint8 or uint16, without rounding to its type.

        Returns:
          The same shape, float32 in [0, 1], with the precision of the protocol. Raises `ServerError`.
        """
        colours = np.broadcast_to(to_unit_range(tile), (*tile.shape[:2], 3))
        restored = self.restore(colours[np.newaxis])[0]
        return restored.mean(axis=-1, keepdims=True) if tile.shape[-1] == 1 else restored

    def predict(self, signature: str, inputs: Values) -> Outputs:
        """Runs one of the two signatures with float32 arrays or sequences of bytes; returns arrays or lists.

        Raises `ServerError`.
        """
        outputs = self._attempt(lambda: self._predict(signature, inputs))
        name = SIGNATURES[signature][1]
        if not isinstance(outputs.get(name), list if name.endswith("_bytes") else np.ndarray):
            raise odd_answer(f"no output {name!r} of its kind among {sorted(outputs)}")
        return outputs

    def states(self, attempts: int | None = None) -> dict[int, str]:
        """The state of each version, such as {1: "AVAILABLE"}.

        Args:
          attempts: maximum number; None: as for other requests.

        Raises `ServerError`.
        """
        return self._attempt(self._states, attempts)

    def close(self) -> None:
        """Closes the connection and ends the waits of other threads."""
        self._closed.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @abc.abstractmethod
    def _predict(self, signature: str, inputs: Values) -> Outputs: ...

    @abc.abstractmethod
    def _states(self) -> dict[int, str]: ...

    def _attempt(self, ask: Callable[[], Result], attempts: int | None = None) -> Result:
        wait = _FIRST_WAIT
        for _ in range((attempts or self._attempts) - 1):
            try:
                return ask()
            except ServerError as error:
                asked = min(error.wait, _MAX_ASKED_WAIT)
                if not error.transient or self._closed.wait(max(wait, asked)):
                    raise
            wait = min(wait * _GROWTH, _MAX_WAIT)
        return ask()


def _one_line(message: str) -> str:
    """The message as one line of limited length, without control characters.

    TensorFlow appends the names of nodes in separate lines, which are removed.
    """
    line = " ".join(message.split("\n\t", 1)[0].split())
    return "".join(letter for letter in line if letter.isprintable())[:_MAX_MESSAGE]
