"""A client for a model on TensorFlow Serving, by gRPC or REST; needs no TensorFlow.

    with connect("localhost:8500", model="srn") as server:
        (png,) = server.restore_files([open("photo.png", "rb").read()])

Whatever a server answers that is not a result, and its silence, is a `ServerError`.
"""

from __future__ import annotations

import abc
import base64
import dataclasses
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, quote

import numpy as np

from srn.errors import InputError, WorkError
from srn.images import decode_png, encode_png, from_unit_range, to_unit_range
from srn.serving.address import Address, parse_address
from srn.serving.contract import SIGNATURES
from srn.serving.credentials import Credentials, check, reason_of_failure

DEFAULT_ATTEMPTS = 7  # with the waits between them some 24 s: a server that is restarted is back
MAX_ATTEMPTS = 100
_MAX_CONNECT = 10.0  # seconds
_FIRST_WAIT, _MAX_WAIT, _GROWTH = 0.5, 8.0, 2.0  # seconds before an attempt is repeated
_MAX_MESSAGE = 2**31 - 1  # bytes: the server's own limit

Result = TypeVar("Result")
Values = Mapping[str, "np.ndarray | Sequence[bytes]"]


class ServerError(WorkError):
    """The response of a server, or its failure.

    Attributes:
      code: gRPC's name, such as INVALID_ARGUMENT.
      transient: whether asking again may help: a broken connection, a server that is not ready or full.
    """

    def __init__(self, code: str, message: str, transient: bool = False):
        super().__init__(f"{code}: {_first_words(message)}")
        self.code, self.transient = code, transient


def connect(
    server: str,
    model: str = "srn",
    *,
    version: int | None = None,
    label: str | None = None,
    timeout: float = 300.0,
    attempts: int = DEFAULT_ATTEMPTS,
    credentials: Credentials | None = None,
) -> Client:
    """A client of `server`.

    Args:
      server: `HOST:PORT` or `grpc://HOST:PORT` (port 8500 where it is left out), `grpcs://` for TLS (443);
        `http://HOST:PORT` (80; TensorFlow Serving's own is 8501) or `https://` (443) for REST, there also
        `USER:PASSWORD@` before, and a path and a query behind.
      model: its name on the server.
      version, label: which version answers; by default the highest.
      timeout: seconds that one attempt may take; for REST the longest pause in an answer. A request that
        took too long is not made again.
      attempts: made while the connection breaks, or the server is UNAVAILABLE or full, with growing waits
        between. A request may reach a server twice, which changes nothing there.
      credentials: certificates and headers; None: those of the system, and no headers.

    Raises `InputError` for an address that is none, and for certificates and headers that cannot be used.
    """
    address = parse_address(server)
    if not 1 <= attempts <= MAX_ATTEMPTS:
        raise InputError(f"attempts={attempts}: give 1 to {MAX_ATTEMPTS}")
    if version is not None and label is not None:
        raise InputError("give `version` or `label`, not both")
    if label is not None and not re.fullmatch(r"\w+", label):
        raise InputError(f"label={label}: a label has letters, digits and underscores")
    credentials = credentials or Credentials()
    check(credentials, address)
    make = _RestClient if address.scheme.startswith("http") else _GrpcClient
    return make(address, _Model(model, version, label), timeout, attempts, credentials)


@dataclasses.dataclass(frozen=True)
class _Model:
    name: str
    version: int | None
    label: str | None


class Client(abc.ABC):
    """A connection to one model. Safe to use from several threads.

    Attributes:
      address: of the server, port included.
    """

    def __init__(self, address: Address, model: _Model, timeout: float, attempts: int):
        self.address, self._model, self._timeout, self._attempts = address, model, timeout, attempts
        self._closed = threading.Event()

    def restore_files(self, files: Sequence[bytes]) -> list[bytes]:
        """Restores PNG, JPEG or BMP files of any sizes; returns PNG files of the same kinds.

        Raises `ServerError`; one bad file fails them all.
        """
        restored = self.predict("encoded", {"image_bytes": list(files)})["restored_bytes"]
        if len(restored) != len(files):
            raise _odd(f"{len(restored)} images for {len(files)}")
        return list(restored)

    def restore(self, images: np.ndarray) -> np.ndarray:
        """Restores floating point [N, H, W, 3] in [0, 1]; the same, float32. Raises `ServerError`."""
        images = np.asarray(images, np.float32)
        restored = np.asarray(self.predict("serving_default", {"image": images})["restored"])
        if restored.shape != images.shape:
            raise _odd(f"an array {list(restored.shape)} for {list(images.shape)}")
        return restored

    def restore_image(self, image: np.ndarray) -> np.ndarray:
        """Restores one image through a PNG file.

        Args:
          image: [H, W] or [H, W, 3], uint8 or uint16.

        Returns:
          The same shape and type. Raises `ServerError`.
        """
        (encoded,) = self.restore_files([encode_png(image, compression=1)])
        restored = decode_png(encoded)
        if restored is None or restored.shape != image.shape or restored.dtype != image.dtype:
            what = "no PNG file" if restored is None else f"{restored.dtype} {list(restored.shape)}"
            raise _odd(f"{what} for {image.dtype} {list(image.shape)}")
        return restored

    def restore_tile(self, tile: np.ndarray) -> np.ndarray:
        """Restores [H, W, 1 or 3], uint8 or uint16, without rounding to its type.

        Returns:
          The same shape, float32 in [0, 1], as exact as the protocol can carry it. Raises `ServerError`.
        """
        colours = np.broadcast_to(to_unit_range(tile), (*tile.shape[:2], 3))
        restored = self.restore(colours[np.newaxis])[0]
        return restored.mean(axis=-1, keepdims=True) if tile.shape[-1] == 1 else restored

    def predict(self, signature: str, inputs: Values) -> dict[str, np.ndarray | list[bytes]]:
        """Runs one of the two signatures: float32 arrays and sequences of bytes in, arrays and lists out.

        Raises `ServerError`.
        """
        outputs = self._attempt(lambda: self._predict(signature, inputs))
        name = SIGNATURES[signature][1]
        if not isinstance(outputs.get(name), list if name.endswith("_bytes") else np.ndarray):
            raise _odd(f"no output {name!r} of its kind among {sorted(outputs)}")
        return outputs

    def states(self, attempts: int | None = None) -> dict[int, str]:
        """The state of each version, such as {1: "AVAILABLE"}.

        Args:
          attempts: None: as many as of other requests.

        Raises `ServerError`.
        """
        return self._attempt(self._states, attempts)

    def close(self) -> None:
        """Ends the connection, and the waits of other threads."""
        self._closed.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @abc.abstractmethod
    def _predict(self, signature: str, inputs: Values) -> dict[str, np.ndarray | list[bytes]]: ...

    @abc.abstractmethod
    def _states(self) -> dict[int, str]: ...

    def _attempt(self, ask: Callable[[], Result], attempts: int | None = None) -> Result:
        wait = _FIRST_WAIT
        for _ in range((attempts or self._attempts) - 1):
            try:
                return ask()
            except ServerError as error:
                if not error.transient or self._closed.wait(wait):
                    raise
            wait = min(wait * _GROWTH, _MAX_WAIT)
        return ask()


class _GrpcClient(Client):
    def __init__(self, address, model, timeout, attempts, credentials):
        import grpc

        from srn.serving import messages

        super().__init__(address, model, timeout, attempts)
        self._grpc, self._messages, self._credentials = grpc, messages, credentials
        self._metadata = [(name.lower(), value) for name, value in credentials.headers.items()]
        options = [
            ("grpc.max_send_message_length", _MAX_MESSAGE),
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.enable_retries", 0),  # attempts are counted here, for both protocols alike
            # A channel would let a server that is back wait for up to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 250),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if address.is_secure:
            files = (credentials.ca, credentials.key, credentials.cert)
            own = grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))
            self._channel = grpc.secure_channel(address.target, own, options)
        else:
            self._channel = grpc.insecure_channel(address.target, options)
        self._ask_to_predict = self._channel.unary_unary(
            messages.PREDICT,
            request_serializer=messages.PredictRequest.SerializeToString,
            response_deserializer=messages.PredictResponse.FromString,
        )
        self._ask_for_status = self._channel.unary_unary(
            messages.GET_MODEL_STATUS,
            request_serializer=messages.GetModelStatusRequest.SerializeToString,
            response_deserializer=messages.GetModelStatusResponse.FromString,
        )

    def _predict(self, signature, inputs):
        request = self._messages.PredictRequest()
        self._fill(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            self._messages.fill_tensor(request.inputs.add(key=name).value, value)
        answer = self._call(self._ask_to_predict, request)
        try:
            return {entry.key: self._messages.read_tensor(entry.value) for entry in answer.outputs}
        except (ValueError, TypeError) as error:
            raise _odd(str(error)) from error

    def _states(self):
        request = self._messages.GetModelStatusRequest()
        self._fill(request.model_spec)
        answer = self._call(self._ask_for_status, request)
        states = self._messages.STATES
        return {each.version: states.get(each.state, "UNKNOWN") for each in answer.model_version_status}

    def close(self) -> None:
        super().close()
        self._channel.close()

    def _fill(self, spec):
        spec.name = self._model.name
        if self._model.version is not None:
            spec.version.value = self._model.version
        if self._model.label is not None:
            spec.version_label = self._model.label

    def _call(self, method, request):
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except self._grpc.RpcError as error:
            code, details = error.code().name, error.details() or ""
        except ValueError as error:  # a channel that another thread has closed
            code, details = "CANCELLED", str(error)
        if code == "INTERNAL" and "deserializing" in details.lower():
            raise _odd("no message of TensorFlow Serving")
        if code == "UNAVAILABLE":
            reason = reason_of_failure(self.address, self._credentials)
            raise ServerError(code, reason or details, transient=reason is None)
        full = code == "RESOURCE_EXHAUSTED" and "larger than max" not in details
        # A connection that breaks in the middle of an answer is told in these words.
        broken = code in ("INTERNAL", "UNKNOWN") and re.search("stream removed|rst_stream", details, re.I)
        raise ServerError(code, details, transient=full or bool(broken))


class _RestClient(Client):
    def __init__(self, address, model, timeout, attempts, credentials):
        import requests
        from requests.adapters import HTTPAdapter

        super().__init__(address, model, timeout, attempts)
        which = f"/labels/{model.label}" if model.label else ""
        if model.version is not None:
            which = f"/versions/{model.version}"
        self._url = f"{address}/v1/models/{quote(model.name, safe='')}{which}"
        self._errors, self._session, self._credentials = requests.exceptions, requests.Session(), credentials
        self._session.params = dict(parse_qsl(address.query, keep_blank_values=True))
        self._session.auth = address.user
        self._session.headers.update(credentials.headers)
        self._session.mount(f"{address.scheme}://", HTTPAdapter(pool_maxsize=64))
        # Given with each request: a session's own would give way to REQUESTS_CA_BUNDLE of the environment.
        self._verify = {"verify": credentials.ca} if credentials.ca else {}
        if credentials.cert:
            self._session.cert = (credentials.cert, credentials.key)

    def _predict(self, signature, inputs):
        body = {
            "signature_name": signature,
            "inputs": {key: _to_json(value) for key, value in inputs.items()},
        }
        name = SIGNATURES[signature][1]
        answer = self._ask("POST", f"{self._url}:predict", body)
        try:
            outputs = answer["outputs"]
            # A single output comes without its name.
            return {name: _from_json(name, outputs[name] if isinstance(outputs, dict) else outputs)}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _odd(str(answer)) from error

    def _states(self):
        answer = self._ask("GET", self._url)
        try:
            return {int(status["version"]): str(status["state"]) for status in answer["model_version_status"]}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _odd(str(answer)) from error

    def restore_tile(self, tile: np.ndarray) -> np.ndarray:
        """See `Client`; through a PNG of 16 bits, since floats are slow as JSON."""
        deep = from_unit_range(to_unit_range(tile), np.uint16)
        restored = self.restore_image(deep[..., 0] if tile.shape[-1] == 1 else deep)
        return to_unit_range(restored).reshape(tile.shape)

    def close(self) -> None:
        super().close()
        self._session.close()

    def _ask(self, method, url, body=None):
        try:
            timeout = (min(_MAX_CONNECT, self._timeout), self._timeout)
            response = self._session.request(
                method,
                url,
                data=_dump(body),
                headers={"Content-Type": "application/json"},
                timeout=timeout,
                **self._verify,
            )
        except self._errors.RequestException as error:
            raise self._failure(error) from error
        if response.status_code != 200:
            code = _code_of(response.status_code)
            raise ServerError(code, _message_of(response), transient=response.status_code in (429, 502, 503))
        try:
            return response.json()
        except ValueError as error:
            raise _odd(response.text or response.reason) from error

    def _failure(self, error):
        cause = error.args[0] if error.args else error
        timed_out = isinstance(error, self._errors.Timeout) or "Read timed out" in str(cause)
        if timed_out and not isinstance(error, self._errors.ConnectTimeout):
            return ServerError("DEADLINE_EXCEEDED", f"no answer in {self._timeout:g} s")
        if isinstance(error, self._errors.ConnectTimeout):
            return ServerError("UNAVAILABLE", f"no connection in {min(_MAX_CONNECT, self._timeout):g} s")
        reason = reason_of_failure(self.address, self._credentials)
        broken = isinstance(error, (self._errors.ConnectionError, self._errors.ChunkedEncodingError))
        transient = broken and reason is None and not isinstance(error, self._errors.SSLError)
        return ServerError("UNAVAILABLE", reason or str(error), transient)


def _dump(body) -> bytes | None:
    """JSON, which has no NaN: a value that is none is refused as the server would."""
    if body is None:
        return None
    try:
        return json.dumps(body, allow_nan=False).encode()
    except ValueError as error:
        raise ServerError("INVALID_ARGUMENT", f"the request cannot be written as JSON ({error})") from error


def _to_json(value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [{"b64": base64.b64encode(item).decode()} for item in value]


def _from_json(name, value):
    if name.endswith("_bytes"):
        return [base64.b64decode(item["b64"], validate=True) for item in value]
    return np.array(value, np.float32)


def _message_of(response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return response.text.strip()[:200] or response.reason
    return str(answer.get("error", answer) if isinstance(answer, dict) else answer)


def _odd(what: str) -> ServerError:
    return ServerError("INTERNAL", f"the answer is not understood: {what[:100]}")


def _code_of(status: int) -> str:
    """The name that gRPC has for a status of HTTP; where it has several, the likeliest."""
    names = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        409: "ABORTED",
        429: "RESOURCE_EXHAUSTED",
        499: "CANCELLED",
        501: "UNIMPLEMENTED",
        502: "UNAVAILABLE",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
    return names.get(status, "INTERNAL")


def _first_words(message: str) -> str:
    """The message in one line, without the names of nodes that TensorFlow adds in lines of their own."""
    return " ".join(message.split("\n\t", 1)[0].split())
