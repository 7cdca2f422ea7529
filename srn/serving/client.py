"""A client for a model on TensorFlow Serving, by gRPC or REST; needs no TensorFlow.

    with connect("localhost:8500", model="srn") as server:
        (png,) = server.restore_files([open("photo.png", "rb").read()])

Whatever a server answers that is not a result, and its silence, is a `ServerError`.
"""

from __future__ import annotations

import re

from srn.errors import InputError
from srn.serving.address import parse_address
from srn.serving.connection import Client, Model, ServerError
from srn.serving.credentials import Credentials, check

__all__ = ["DEFAULT_ATTEMPTS", "MAX_ATTEMPTS", "Client", "Credentials", "ServerError", "connect"]

DEFAULT_ATTEMPTS = 7  # with the waits between them some 24 s: a server that is restarted is back
MAX_ATTEMPTS = 100
MAX_VERSION = 2**63 - 1
MAX_TIMEOUT = 1e6  # seconds; clocks have an end


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
      server: `HOST:PORT` or `grpc://HOST:PORT` (port 8500 where it is left out), `grpcs://` for TLS (443),
        `unix:PATH` for a socket on this machine; `http://HOST:PORT` (80; TensorFlow Serving's own is 8501)
        or `https://` (443) for REST, there also `USER:PASSWORD@` before, and a path and a query behind.
      model: its name on the server.
      version, label: which version answers; by default the highest.
      timeout: seconds that one attempt may take; for REST the longest pause in an answer. A request that
        took too long is not made again.
      attempts: made while the connection breaks, or the server is UNAVAILABLE or full, with growing waits
        between, or such as the server asks for. A request may reach a server twice, which changes nothing
        there.
      credentials: certificates and headers; None: those of the system, and no headers.

    Raises `InputError` for an address that is none, and for certificates and headers that cannot be used.
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
