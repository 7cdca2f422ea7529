"""The client for gRPC."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.request import proxy_bypass

import grpc

from srn.serving import messages
from srn.serving.address import Address
from srn.serving.connection import Client, Model, Outputs, ServerError, Values, odd_answer
from srn.serving.credentials import Credentials, reason_of_failure

_MAX_MESSAGE = 2**31 - 1  # bytes: the server's own limit
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")  # as gRPC looks them up, in this order
_OPTIONS = [
    ("grpc.max_send_message_length", _MAX_MESSAGE),
    ("grpc.max_receive_message_length", _MAX_MESSAGE),
    ("grpc.enable_retries", 0),  # `Client` retries, for both protocols
    # By default, a channel reconnects after up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcClient(Client):
    """See `srn.serving.client.connect`."""

    def __init__(
        self, address: Address, model: Model, timeout: float, attempts: int, credentials: Credentials
    ):
        super().__init__(address, model, timeout, attempts)
        self._credentials = credentials
        self._metadata = [(name.lower(), value) for name, value in credentials.headers.items()]
        if address.is_secure:
            files = (credentials.trusted, credentials.key, credentials.cert)
            own = grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))
            self._channel = grpc.secure_channel(address.target, own, _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address.target, _OPTIONS)
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

    def _predict(self, signature: str, inputs: Values) -> Outputs:
        request = messages.PredictRequest()
        self._fill(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            messages.fill_tensor(request.inputs.add(key=name).value, value)
        answer = self._call(self._ask_to_predict, request)
        try:
            return {entry.key: messages.read_tensor(entry.value) for entry in answer.outputs}
        except (ValueError, TypeError) as error:
            raise odd_answer(str(error)) from error

    def _states(self) -> dict[int, str]:
        request = messages.GetModelStatusRequest()
        self._fill(request.model_spec)
        answer = self._call(self._ask_for_status, request)
        states = messages.STATES
        return {each.version: states.get(each.state, "UNKNOWN") for each in answer.model_version_status}

    def close(self) -> None:
        """See `Client`."""
        super().close()
        self._channel.close()

    def _fill(self, spec: Any) -> None:
        spec.name = self._model.name
        if self._model.version is not None:
            spec.version.value = self._model.version
        if self._model.label is not None:
            spec.version_label = self._model.label

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._failure(error.code().name, error.details() or "") from error
        except ValueError as error:  # another thread has closed the channel
            raise ServerError("CANCELLED", str(error)) from error

    def _proxy(self) -> str:
        """Names the variable of the environment that sends connections through a proxy, if one does."""
        names = [name for name in _PROXIES if os.environ.get(name)]
        if not names or self.address.is_socket or proxy_bypass(self.address.host):
            return ""
        return f" (through the proxy that {names[0]} names)"

    def _failure(self, code: str, details: str) -> ServerError:
        if code == "INTERNAL" and "deserializing" in details.lower():
            return odd_answer("no message of TensorFlow Serving")
        if "larger than max" in details or "status: 413" in details:
            return ServerError("RESOURCE_EXHAUSTED", details, too_large=True)
        if code == "UNAVAILABLE":
            if re.search("Failed parsing HTTP/2|http1.x server|ALPN", details):
                what = "what answers there does not speak gRPC"
                rest = "https" if self.address.is_secure else "http"
                return ServerError(code, f"{what}; for REST give {rest}://HOST:PORT")
            reason = reason_of_failure(self.address, self._credentials)
            return ServerError(code, reason or details + self._proxy(), transient=reason is None)
        # gRPC's messages for a connection that breaks during a response.
        broken = code in ("INTERNAL", "UNKNOWN") and re.search("stream removed|rst_stream", details, re.I)
        return ServerError(code, details, transient=code == "RESOURCE_EXHAUSTED" or bool(broken))
