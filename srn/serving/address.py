"""Addresses of servers: `HOST`, `HOST:PORT`, `grpc://`, `grpcs://`, `http://`, `https://`, `unix:PATH`."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, unquote, urlsplit

from srn.errors import InputError

_PORTS = {"grpc": 8500, "grpcs": 443, "http": 80, "https": 443}
_UNIX = "unix"
_FORMS = "give HOST:PORT for gRPC, http://HOST:PORT for REST, grpcs://HOST or https://HOST for TLS"
# Typing errors in schemes.
_HALF_A_SIGN = re.compile(rf"({'|'.join(_PORTS)})(:/?(?=[^/\d])|//)", re.I)
_PATH_OF_A_CALL = re.compile(r"/v1(/.*)?$")


@dataclasses.dataclass(frozen=True)
class Address:
    """The address of a server.

    Attributes:
      scheme: grpc, grpcs, http, https or unix, which is gRPC too.
      host: name, or IP address without brackets; for unix the path of the socket.
      port: the given one, or the default of the scheme; 0 for unix.
      path: before /v1, for REST only; begins with / or is empty.
      query: without ?, for REST only.
      user: (name, password), for REST only.
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
    def is_http(self) -> bool:
        """Whether the protocol is REST instead of gRPC."""
        return self.scheme in ("http", "https")

    @property
    def is_socket(self) -> bool:
        """Whether it is a Unix socket instead of a host and a port."""
        return self.scheme == _UNIX

    @property
    def target(self) -> str:
        """HOST:PORT, as gRPC takes it."""
        if self.is_socket:
            return f"{_UNIX}:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """With the port; without query and password, which may be secret."""
        if self.is_socket:
            return self.target
        return f"{self.scheme}://{self.target.replace('%', '%25')}{self.path}"


def parse_address(server: str) -> Address:
    """Parses an address; missing parts have defaults.

    Raises `InputError` with the reason if it is invalid.
    """
    text = server.strip()
    kind, sign, socket = text.partition(":")
    if sign and kind.lower() == _UNIX:
        return Address(_UNIX, _path_of_socket(server, socket), 0)
    scheme, rest = _split_scheme(server, text)
    if re.search(r"\s", rest):  # `urlsplit` would remove some of it
        raise _wrong(server, "has a blank in it")
    if _is_bare_ipv6(rest.partition("/")[0]):
        raise InputError(f"server={server}: write an IPv6 address in brackets, such as [::1]:8500")
    try:
        parts = urlsplit(f"//{rest}")
        host = _check_host(parts.hostname or "")
    except ValueError as error:  # brackets that do not match, and what `_check_host` finds
        raise _wrong(server, str(error)) from error
    port = _port_of(server, parts)
    if parts.fragment:
        raise _wrong(server, "a server has no #")
    path = parts.path.rstrip("/")
    if scheme.startswith("grpc") and (path or parts.query or parts.username is not None):
        what = "a path" if path else "a query" if parts.query else "a user"
        raise InputError(
            f"server={server}: {what} is for http:// and https:// alone; with gRPC give HOST:PORT, and a "
            "password or token as a header"
        )
    if _PATH_OF_A_CALL.search(path):
        raise InputError(f"server={server}: give the part before /v1, and the model as `model`")
    user = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return Address(scheme, host, port or _PORTS[scheme], path, parts.query, user)


def _wrong(server: str, reason: str) -> InputError:
    return InputError(f"server={server}: {reason}; {_FORMS}")


def _path_of_socket(server: str, path: str) -> str:
    """`/x` of unix:/x and unix:///x, `x` of unix:x, as gRPC has it."""
    path = path[2:] if path.startswith("//") else path
    if not path:
        raise InputError(f"server={server}: no path of a socket; give unix:PATH")
    return path


def _split_scheme(server: str, text: str) -> tuple[str, str]:
    """Returns (scheme, the part after ://)."""
    scheme, sign, rest = text.partition("://")
    if sign and scheme.lower() not in _PORTS:
        raise _wrong(server, f"there is no {scheme.lower()}://")
    if not sign and (half := _HALF_A_SIGN.match(text)):
        raise _wrong(server, f"after {half[1]} comes ://")
    return (scheme.lower(), rest) if sign else ("grpc", text)


def _check_host(host: str) -> str:
    """Returns the host, an IPv6 zone without URL encoding. Raises `ValueError` if it is invalid."""
    if ":" in host:
        return host.replace("%25", "%")
    if not re.fullmatch(r"[\w.-]+", host) or host.isdecimal():
        raise ValueError("no address of a server")
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError("no name of a server: its parts have 1 to 63 letters") from error
    return host


def _port_of(server: str, parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError as error:
        raise _wrong(server, "no port from 1 to 65535") from error
    if port == 0:
        raise _wrong(server, "no port from 1 to 65535")
    return port


def _is_bare_ipv6(text: str) -> bool:
    try:
        return bool(IPv6Address(text.partition("%")[0]))
    except ValueError:
        return False
