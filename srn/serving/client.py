"""A client for a model on TensorFlow Serving, by gRPC or REST; needs no TensorFlow.

    with connect("localhost:8500", model="srn") as server:
        (png,) = server.restore_files([open("photo.png", "rb").read()])

Errors, malformed responses and missing responses of a server are raised as `ServerError`.
"""

from __future__ import annotations

import re

from srn.errors import InputError
from srn.serving.address import parse_address
from srn.serving.connection import Client, Model, ServerError
from srn.serving.credentials import Credentials, check

__all__ = ["DEFAULT_ATTEMPTS", "MAX_ATTEMPTS", "Client", "Credentials", "ServerError", "connect"]

DEFAULT_ATTEMPTS = 7  # 24 s with the waits in between: enough for a server to restart
MAX_ATTEMPTS = 100
MAX_VERSION = 2**63 - 1
MAX_TIMEOUT = 1e6  # seconds; larger values overflow in system calls


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
    """Connects to a model on a server.

    Args:
      server: `HOST:PORT` or `grpc://HOST:PORT` for gRPC (default port 8500), `grpcs://` for TLS (443),
        `unix:PATH` for a socket on this machine; `http://HOST:PORT` (80; TensorFlow Serving listens on 8501)
        or `https://` (443) for REST, optionally with `USER:PASSWORD@`, a path and a query.
      model: its name on the server.
      version, label: of the model; default: the highest version.
      timeout: of one attempt in seconds; for REST the longest pause in a response. Requests that time out
        are not retried.
      attempts: maximum number, if the connection breaks or the server is UNAVAILABLE or at capacity, with
        exponential backoff or after the delay that the server asks for. A server may process a request twice,
        which has no side effects.
      credentials: certificates and headers; None: the system's certificates, and no headers.

    Raises `InputError` for invalid addresses, certificates and headers.
    """
    address = parse_address(server)
    if not 1 <= attempts <= MAX_ATTEMPTS:
        raise InputError(f"attempts={attempts}: give 1 to {MAX_ATTEMPTS}")
    if not 0 < timeout <= MAX_TIMEOUT:
        raise InputError(f"timeout={timeout:g}: give seconds, more than 0 and at most {MAX_TIMEOUT:g}")
    if not model or not model.isprintable():
        raise InputError(f"model={model!r}: no name of a model")
    if version is not None and label is not None:
        raise InputError("give `version` or `label`, not both")
    if version is not None and not 0 <= version <= MAX_VERSION:
        raise InputError(f"version={version}: a version is a whole number from 0")
    if label is not None and not re.fullmatch(r"\w+", label):
        raise InputError(f"label={label}: a label has letters, digits and underscores")
    credentials = credentials or Credentials()
    check(credentials, address)
    which = Model(model, version, label)
    if address.is_http:
        from srn.serving.rest_client import RestClient

        return RestClient(address, which, timeout, attempts, credentials)
    from srn.serving.grpc_client import GrpcClient

    return GrpcClient(address, which, timeout, attempts, credentials)
