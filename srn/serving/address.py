"""Addresses of servers: `HOST`, `HOST:PORT`, `grpc://`, `grpcs://`, `http://`, `https://`."""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import unquote, urlsplit

from srn.errors import InputError

_PORTS = {"grpc": 8500, "grpcs": 443, "http": 80, "https": 443}
_FORMS = "give HOST:PORT for gRPC, http://HOST:PORT for REST, grpcs://HOST or https://HOST for TLS"


@dataclasses.dataclass(frozen=True)
class Address:
    """The address of a server.

    Attributes:
      scheme: grpc, grpcs, http or https.
      host: name, or IP address without brackets.
      port: given, or the usual one of the scheme.
      path: before /v1, of REST alone; begins with / or is empty.
      query: without ?, of REST alone.
      user: (name, password), of REST alone.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    query: str = ""
    user: tuple[str, str] | None = dataclasses.field(default=None, repr=False)

    @property
    def is_secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in ("grpcs", "https")

    @property
    def target(self) -> str:
        """HOST:PORT, as gRPC takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """With the port, without query and password, which may be secrets."""
        return f"{self.scheme}://{self.target}{self.path}"


def parse_address(server: str) -> Address:
    """Reads an address; what is left out is the usual.

    Raises `InputError` that says what is wrong with it.
    """
    text = server.strip()
    scheme, sign, rest = text.partition("://")
    if not sign:
        scheme, rest = "grpc", text
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise InputError(f"server={server}: there is no {scheme}://; {_FORMS}")
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError as error:  # a port that is none, brackets that do not match
        raise InputError(f"server={server}: {str(error).lower()}; {_FORMS}") from error
    host = parts.hostname or ""
    if not re.fullmatch(r"[\w.:%-]+", host) or port == 0:
        raise InputError(f"server={server}: no address of a server; {_FORMS}")
    if parts.fragment:
        raise InputError(f"server={server}: a server has no #; {_FORMS}")
    path = parts.path.rstrip("/")
    if scheme.startswith("grpc") and (path or parts.query or parts.username is not None):
        what = "a path" if path else "a query" if parts.query else "a user"
        raise InputError(
            f"server={server}: {what} is for http:// and https:// alone; with gRPC give HOST:PORT, and a "
            "password or token as a header"
        )
    user = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return Address(scheme, host, port or _PORTS[scheme], path, parts.query, user)
