"""The client for REST."""

from __future__ import annotations

import base64
import email.utils
import http.client
import json
import os
import ssl
import time
from typing import Any
from urllib.parse import quote

import numpy as np
import requests
import urllib3
from requests.adapters import HTTPAdapter

from srn.images import from_unit_range, to_unit_range
from srn.serving.address import Address
from srn.serving.connection import Client, Model, Outputs, ServerError, Values, odd_answer
from srn.serving.contract import SIGNATURES
from srn.serving.credentials import Credentials, explain_certificate, reason_of_failure

_MAX_CONNECT = 10.0  # seconds
# Exceptions that malformed responses cause when they are converted.
_ODD = (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError)
# gRPC's codes for HTTP statuses; where several match, the most likely.
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    407: "UNAUTHENTICATED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TOO_LARGE, _TRANSIENT = 413, (429, 502, 503)


class RestClient(Client):
    """See `srn.serving.client.connect`."""

    def __init__(
        self, address: Address, model: Model, timeout: float, attempts: int, credentials: Credentials
    ):
        super().__init__(address, model, timeout, attempts)
        which = f"/labels/{model.label}" if model.label else ""
        if model.version is not None:
            which = f"/versions/{model.version}"
        self._url = f"{address}/v1/models/{quote(model.name, safe='')}{which}"
        self._session, self._credentials = requests.Session(), credentials
        self._session.auth = _auth_of(address)
        self._session.headers.update(credentials.headers)
        self._session.mount(f"{address.scheme}://", HTTPAdapter(pool_maxsize=64))
        # Passed with each request, since REQUESTS_CA_BUNDLE overrides that of a session.
        of_requests = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        trusted = credentials.ca if of_requests else credentials.trusted
        self._verify: dict[str, Any] = {"verify": trusted} if trusted else {}
        if credentials.cert:
            self._session.cert = (credentials.cert, credentials.key or "")

    def _predict(self, signature: str, inputs: Values) -> Outputs:
        body = {
            "signature_name": signature,
            "inputs": {key: _to_json(value) for key, value in inputs.items()},
        }
        name = SIGNATURES[signature][1]
        answer = self._ask("POST", f"{self._url}:predict", body)
        try:
            outputs = answer["outputs"]
            # A single output is returned without its name.
            return {name: _from_json(name, outputs[name] if isinstance(outputs, dict) else outputs)}
        except _ODD as error:
            raise odd_answer(str(answer)) from error

    def _states(self) -> dict[int, str]:
        answer = self._ask("GET", self._url)
        try:
            return {int(status["version"]): str(status["state"]) for status in answer["model_version_status"]}
        except _ODD as error:
            raise odd_answer(str(answer)) from error

    def restore_tile(self, tile: np.ndarray) -> np.ndarray:
        """See `Client`; sent as 16-bit PNG, since floats are slow as JSON."""
        deep = from_unit_range(to_unit_range(tile), np.uint16)
        restored = self.restore_image(deep[..., 0] if tile.shape[-1] == 1 else deep)
        return to_unit_range(restored).reshape(tile.shape)

    def close(self) -> None:
        """See `Client`."""
        super().close()
        self._session.close()

    def _ask(self, method: str, url: str, body: object = None) -> Any:
        try:
            response = self._session.request(
                method,
                url,
                params=self.address.query,
                data=_dump(body),
                headers={"Content-Type": "application/json"},
                timeout=(min(_MAX_CONNECT, self._timeout), self._timeout),
                allow_redirects=False,  # a POST would become a GET, and headers go to another server
                **self._verify,
            )
        except (OSError, urllib3.exceptions.HTTPError) as error:  # those of requests are OSErrors
            raise self._failure(error) from error
        if response.status_code != 200:
            raise _refusal(response)
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise odd_answer(response.text or "nothing") from error

    def _failure(self, error: Exception) -> ServerError:
        errors = requests.exceptions
        cause = _innermost(error)
        if isinstance(error, errors.ConnectTimeout):
            return ServerError("UNAVAILABLE", f"no connection in {min(_MAX_CONNECT, self._timeout):g} s")
        if isinstance(error, errors.Timeout) or "Read timed out" in str(error):
            return ServerError("DEADLINE_EXCEEDED", f"no answer in {self._timeout:g} s")
        if isinstance(error, errors.ContentDecodingError):
            return odd_answer(str(cause))
        if isinstance(cause, http.client.HTTPException) and not isinstance(cause, _BREAKS):
            what = f"what answers there does not speak HTTP/1.1 ({cause})"
            return ServerError("UNAVAILABLE", f"{what}; for gRPC give HOST:PORT")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ServerError("UNAVAILABLE", explain_certificate(cause))
        proxy = "the proxy of the environment: " if isinstance(error, errors.ProxyError) else ""
        reason = None if proxy else reason_of_failure(self.address, self._credentials)
        broken = isinstance(error, (errors.ConnectionError, errors.ChunkedEncodingError))
        return ServerError("UNAVAILABLE", reason or f"{proxy}{cause}", broken and reason is None)


def _auth_of(address: Address) -> Any:
    """For requests, which would otherwise replace a token in the headers by a password from ~/.netrc."""
    if address.user is None:
        return lambda request: request
    name, password = address.user
    return name.encode(), password.encode()  # UTF-8; letters beyond Latin-1 would be an error


_BREAKS = (http.client.RemoteDisconnected, http.client.IncompleteRead)  # of a connection that speaks HTTP


def _innermost(error: BaseException) -> BaseException:
    """The cause of an error of requests, which wraps those of urllib3 and Python."""
    for inner in (getattr(error, "reason", None), *reversed(error.args)):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error


def _refusal(response: requests.Response) -> ServerError:
    status = response.status_code
    if response.is_redirect:
        what = f"the server redirects (HTTP {status}) to {response.headers['Location']}"
        return ServerError("UNAVAILABLE", f"{what}; give that address, as far as /v1")
    return ServerError(
        _CODES.get(status, "INTERNAL"),
        _message_of(response),
        transient=status in _TRANSIENT,
        wait=_asked_wait(response.headers.get("Retry-After", "")),
        too_large=status == _TOO_LARGE,
    )


def _asked_wait(text: str) -> float:
    """The delay of a Retry-After header, a number or a date, in seconds; 0 if it is neither."""
    if text.isdecimal():
        return float(text)
    date = email.utils.parsedate_tz(text)
    return max(email.utils.mktime_tz(date) - time.time(), 0.0) if date else 0.0


def _message_of(response: requests.Response) -> str:
    """The error message: from JSON, or the text; for an HTML page the status."""
    text = response.text.strip()
    try:
        answer = response.json()
        text = answer.get("error") if isinstance(answer, dict) else text
    except (ValueError, RecursionError):
        pass
    if not text or str(text).startswith("<"):
        return f"HTTP {response.status_code} {response.reason or ''}"
    return str(text)


def _dump(body: object) -> bytes | None:
    """Encodes JSON, which has no NaN; such values are rejected as by the server."""
    if body is None:
        return None
    try:
        return json.dumps(body, allow_nan=False).encode()
    except ValueError as error:
        raise ServerError("INVALID_ARGUMENT", f"the request cannot be written as JSON ({error})") from error


def _to_json(value: Any) -> list:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [{"b64": base64.b64encode(item).decode()} for item in value]


def _from_json(name: str, value: Any) -> np.ndarray | list[bytes]:
    if name.endswith("_bytes"):
        return [base64.b64decode(item["b64"], validate=True) for item in value]
    return np.array(value, np.float32)
