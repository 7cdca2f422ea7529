"""A client for a model on TensorFlow Serving, by gRPC or REST.

    with connect("localhost:8500", model="srn") as server:
        (png,) = server.restore_files([open("photo.png", "rb").read()])

Whatever a server answers that is not a result, and its silence, is a `ServerError`.
"""

from __future__ import annotations

import abc
import base64
import contextlib
import json
from collections.abc import Sequence
from urllib.parse import urlsplit

import numpy as np

from srn.errors import InputError, WorkError

_OUTPUTS = {"encoded": "restored_bytes", "serving_default": "restored"}  # of each signature
_LONGEST_CONNECT = 10.0  # seconds
_FIRST_WAIT, _LONGEST_WAIT, _GROWTH = 0.5, 8.0, 2.0  # seconds before an attempt is repeated
_LARGEST_MESSAGE = 2**31 - 1  # bytes: the server's own limit


class ServerError(WorkError):
    """What a server answered, or that it did not: `code` is gRPC's name, such as INVALID_ARGUMENT."""

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {_first_words(message)}")
        self.code = code


def connect(
    server: str,
    model: str = "srn",
    *,
    version: int | None = None,
    label: str | None = None,
    timeout: float = 300.0,
    attempts: int = 5,
) -> Client:
    """A client of `server`.

    Args:
      server: `HOST:PORT` or `grpc://HOST:PORT` (usually 8500), `grpcs://` for TLS; `http://HOST:PORT`
        (usually 8501) or `https://` for REST.
      model: its name on the server.
      version, label: which version answers; by default the highest.
      timeout: seconds that one request may take, all attempts together for gRPC; for REST the longest pause
        in an answer.
      attempts: 1 to 5; made while the server is UNAVAILABLE or has no thread left, with growing waits
        between. A request may reach a server twice, which changes nothing there.

    Raises `InputError` for an address that is none.
    """
    scheme, host, path = _split(server)
    if not 1 <= attempts <= 5:  # more than five gRPC does not make
        raise InputError(f"attempts={attempts}: give 1 to 5")
    if version is not None and label is not None:
        raise InputError("give a version or a label, not both")
    if scheme.startswith("grpc"):
        return _GrpcClient(host, scheme == "grpcs", model, version, label, timeout, attempts)
    return _RestClient(f"{scheme}://{host}{path}", model, version, label, timeout, attempts)


def _split(server: str) -> tuple[str, str, str]:
    """(scheme, HOST:PORT, path before /v1, which only REST may have)."""
    scheme, host = server.split("://", 1) if "://" in server else ("grpc", server)
    with contextlib.suppress(ValueError):  # of a port that is no number
        parts = urlsplit(f"//{host}")
        path = parts.path.rstrip("/")
        known = scheme in ("http", "https") or (scheme in ("grpc", "grpcs") and not path)
        if known and parts.hostname and parts.port:
            return scheme, parts.netloc, path
    raise InputError(f"{server}: no address of a server; give HOST:PORT, or http://HOST:PORT for REST")


class Client(abc.ABC):
    """A connection to one model. Safe to use from several threads."""

    def restore_files(self, files: Sequence[bytes]) -> list[bytes]:
        """Restores PNG, JPEG or BMP files of any sizes; returns PNG files of the same kinds.

        Raises `ServerError`; one bad file fails them all.
        """
        return self.predict("encoded", {"image_bytes": list(files)})["restored_bytes"]

    def restore(self, images: np.ndarray) -> np.ndarray:
        """Restores floating point [N, H, W, 3] in [0, 1]; the same, float32. Raises `ServerError`."""
        return self.predict("serving_default", {"image": np.asarray(images, np.float32)})["restored"]

    @abc.abstractmethod
    def predict(self, signature: str, inputs: dict) -> dict:
        """Runs one of the two signatures: float32 arrays and lists of bytes in and out.

        Raises `ServerError`.
        """

    @abc.abstractmethod
    def states(self) -> dict[int, str]:
        """The state of each version, such as {1: "AVAILABLE"}. Raises `ServerError`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Ends the connection."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _GrpcClient(Client):
    def __init__(self, host, secure, model, version, label, timeout, attempts):
        import grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        self._grpc, self._timeout = grpc, timeout
        self._model, self._version, self._label = model, version, label
        options = _channel_options(attempts)
        self._channel = (
            grpc.secure_channel(host, grpc.ssl_channel_credentials(), options)
            if secure
            else grpc.insecure_channel(host, options)
        )
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(self, signature: str, inputs: dict) -> dict:
        from tensorflow_serving.apis import predict_pb2

        from srn.serving.protos import from_proto, to_proto

        request = predict_pb2.PredictRequest()
        self._fill(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(to_proto(value))
        answer = self._call(self._predictions.Predict, request)
        return {name: from_proto(value) for name, value in answer.outputs.items()}

    def states(self) -> dict[int, str]:
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest()
        self._fill(request.model_spec)
        answer = self._call(self._models.GetModelStatus, request)
        names = get_model_status_pb2.ModelVersionStatus.State
        return {status.version: names.Name(status.state) for status in answer.model_version_status}

    def close(self) -> None:
        self._channel.close()

    def _fill(self, spec):
        spec.name = self._model
        if self._version is not None:
            spec.version.value = self._version
        if self._label is not None:
            spec.version_label = self._label

    def _call(self, method, request):
        try:
            return method(request, timeout=self._timeout)
        except self._grpc.RpcError as error:
            raise ServerError(error.code().name, error.details() or "") from error


def _channel_options(attempts) -> list:
    options = [
        ("grpc.max_send_message_length", _LARGEST_MESSAGE),
        ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ]
    if attempts == 1:
        return [*options, ("grpc.enable_retries", 0)]
    policy = {
        "maxAttempts": attempts,
        "initialBackoff": f"{_FIRST_WAIT}s",
        "maxBackoff": f"{_LONGEST_WAIT}s",
        "backoffMultiplier": _GROWTH,
        # A server out of threads says RESOURCE_EXHAUSTED.
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
    # A request is kept for the next attempt only while it fits this buffer, by default 256 KiB.
    return [*options, ("grpc.service_config", config), ("grpc.per_rpc_retry_buffer_size", _LARGEST_MESSAGE)]


class _RestClient(Client):
    def __init__(self, address, model, version, label, timeout, attempts):
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        which = f"/versions/{version}" if version is not None else f"/labels/{label}" if label else ""
        self._address, self._timeout = f"{address}/v1/models/{model}{which}", timeout
        self._errors, self._session = requests.exceptions, requests.Session()
        retry = Retry(
            attempts - 1,
            read=False,  # a time-out is the answer
            backoff_factor=_FIRST_WAIT,
            backoff_max=_LONGEST_WAIT,
            status_forcelist=[429, 503],
            allowed_methods=None,  # predictions are POST and may be repeated
            raise_on_status=False,
            respect_retry_after_header=False,  # it could be hours
        )
        self._session.mount(address, HTTPAdapter(max_retries=retry))

    def predict(self, signature: str, inputs: dict) -> dict:
        body = {
            "signature_name": signature,
            "inputs": {key: _to_json(value) for key, value in inputs.items()},
        }
        name = _OUTPUTS[signature]
        answer = self._ask("POST", f"{self._address}:predict", body)
        with _understanding(answer):
            outputs = answer["outputs"]
            # A single output comes without its name.
            return {name: _from_json(name, outputs[name] if isinstance(outputs, dict) else outputs)}

    def states(self) -> dict[int, str]:
        answer = self._ask("GET", self._address)
        with _understanding(answer):
            return {int(status["version"]): status["state"] for status in answer["model_version_status"]}

    def close(self) -> None:
        self._session.close()

    def _ask(self, method, address, body=None):
        try:
            timeout = (min(_LONGEST_CONNECT, self._timeout), self._timeout)
            response = self._session.request(method, address, json=body, timeout=timeout)
        except self._errors.ReadTimeout as error:
            raise ServerError("DEADLINE_EXCEEDED", f"no answer in {self._timeout:g} s") from error
        except self._errors.InvalidJSONError as error:  # JSON has no NaN; the server would refuse it too
            raise ServerError(
                "INVALID_ARGUMENT", f"the request cannot be written as JSON ({error})"
            ) from error
        except self._errors.RequestException as error:
            raise ServerError("UNAVAILABLE", str(error)) from error
        try:
            answer = response.json()
        except ValueError as error:
            raise ServerError(_code_of(response.status_code), response.text or response.reason) from error
        if response.status_code != 200:
            message = answer.get("error", answer) if isinstance(answer, dict) else answer
            raise ServerError(_code_of(response.status_code), str(message))
        return answer


def _to_json(value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [{"b64": base64.b64encode(item).decode()} for item in value]


def _from_json(name, value):
    if name.endswith("_bytes"):
        return [base64.b64decode(item["b64"]) for item in value]
    return np.array(value, np.float32)


@contextlib.contextmanager
def _understanding(answer):
    """Turns whatever comes of an answer in another form into a `ServerError`."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ServerError("INTERNAL", f"the answer is not understood: {str(answer)[:100]}") from error


def _code_of(status: int) -> str:
    """The name that gRPC has for a status of HTTP; where several share one, the likeliest."""
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
    """The message without the names of nodes that TensorFlow adds in lines of their own."""
    return message.split("\n\t", 1)[0].strip()
