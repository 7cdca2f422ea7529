"""Certificates and headers of a client, and reasons why a TLS connection fails."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from srn.errors import InputError
from srn.serving.address import Address

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEY_OF_GRPC = re.compile(r"(?!grpc-)[0-9a-z_.-]+(?<!-bin)")
# Set by the protocol itself.
_OF_THE_PROTOCOL = {"connection", "content-length", "content-type", "te", "transfer-encoding"}


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Certificates and headers for authentication.

    Attributes:
      ca: PEM file of the trusted certificate authorities; None: the file that SSL_CERT_FILE names,
        or those that come with the libraries (certifi, gRPC).
      cert, key: PEM files of the client's certificate and key, if the server requires them.
      headers: sent with every request, such as {"authorization": "Bearer TOKEN"}.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def trusted(self) -> str | None:
        """Path of the trusted authorities: `ca`, or SSL_CERT_FILE, which OpenSSL ignores if it is missing."""
        of_environment = os.environ.get("SSL_CERT_FILE", "")
        return self.ca or (of_environment if Path(of_environment).is_file() else None)


def check(credentials: Credentials, address: Address) -> None:
    """Raises `InputError` for values that would fail during a connection or be ignored."""
    for name, value in credentials.headers.items():
        _check_header(name, value, address)
    if address.user is not None and "authorization" in map(str.lower, credentials.headers):
        raise InputError(f"server={address}: names a user, and there is a header `authorization`; give one")
    if (credentials.cert is None) != (credentials.key is None):
        raise InputError("`cert` and `key` belong together; give both")
    named = {name: getattr(credentials, name) for name in ("ca", "cert", "key")}
    if not address.is_secure and any(named.values()):
        given = " and ".join(f"`{name}`" for name, value in named.items() if value)
        raise InputError(
            f"server={address}: is not encrypted, so {given} would do nothing; give grpcs:// or https://"
        )
    for name, path in named.items():
        if path is not None:
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise InputError(f"{name}={path}: cannot be read ({error.strerror})") from error
    try:
        if address.is_secure:
            make_context(credentials)
    except (ssl.SSLError, ValueError) as error:
        files = ", ".join(path for path in named.values() if path)
        raise InputError(f"{files}: no certificate and key in PEM that belong together ({error})") from error


def _check_header(name: str, value: str, address: Address) -> None:
    if not _HEADER.fullmatch(name) or not value.isprintable() or not value.isascii():
        raise InputError(f"header={name}: no header; give NAME: VALUE in ASCII")
    own = name.lower() in _OF_THE_PROTOCOL
    if own or not (address.is_http or _KEY_OF_GRPC.fullmatch(name.lower())):
        protocol = "REST" if address.is_http else "gRPC"
        raise InputError(f"header={name}: is not for callers to set by {protocol}")


def make_context(credentials: Credentials) -> ssl.SSLContext:
    """Returns the TLS options."""
    context = ssl.create_default_context(cafile=credentials.ca)
    if credentials.cert:
        context.load_cert_chain(credentials.cert, credentials.key, _refuse_passphrase)
    return context


def _refuse_passphrase() -> str:
    """Without this callback OpenSSL would prompt at the terminal; gRPC has no support for passphrases."""
    raise ValueError("the key is locked by a passphrase; openssl pkey -in KEY -out OPEN opens it")


def reason_of_failure(address: Address, credentials: Credentials) -> str | None:
    """Finds the reason why a connection with or without TLS fails, by a separate handshake.

    None if TLS is not the reason.
    """
    if address.is_socket:
        return None
    try:
        if not address.is_secure:
            anyone = ssl.create_default_context()
            anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
            _shake_hands(address, anyone)
            return f"the server speaks TLS; give {address.scheme}s://"
        _shake_hands(address, make_context(credentials))
    except ssl.SSLCertVerificationError as error:
        return explain_certificate(error)
    except ssl.SSLEOFError:  # the server or a proxy is shutting down
        return None
    except ssl.SSLError as error:
        if not address.is_secure:
            return None
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if "wrong version number" in reason or "packet length" in reason or "record layer" in reason:
            return f"the server does not speak TLS; give {address.scheme[:-1]}://"
        if "certificate" in reason:
            return f"the server wants another certificate of its client ({reason}); give `cert` and `key`"
        if "unknown ca" in reason:
            return f"the server does not know the authority of `cert` ({reason})"
        if "handshake failure" in reason and credentials.cert is None:
            reason += "; the server may want a certificate of its client (`cert` and `key`), or other ciphers"
        return f"no connection by TLS: {reason}"
    except _ClosedError:
        if credentials.cert is None:
            return "the server ends the connection; it may want a certificate of its client: `cert` and `key`"
        return "the server ends the connection; it may not accept `cert`"
    except OSError:
        pass
    return None


def explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    """Why a certificate of a server is not accepted, and advice."""
    advice = "; `ca` names its authority" if error.verify_code in _UNKNOWN_AUTHORITY else ""
    return f"the server's certificate is not accepted: {error.verify_message.rstrip('.')}{advice}"


# OpenSSL's X509_V_ERR_… for missing issuers and self-signed certificates.
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)


class _ClosedError(Exception):
    """The server has closed the connection right after the handshake."""


def _shake_hands(address: Address, context: ssl.SSLContext) -> None:
    context.set_alpn_protocols(["h2" if address.scheme.startswith("grpc") else "http/1.1"])
    connection = socket.create_connection((address.host, address.port), timeout=5)
    with connection, context.wrap_socket(connection, server_hostname=address.host) as secure:
        if address.is_secure:
            secure.settimeout(0.5)  # with TLS 1.3, servers reject client certificates after the handshake
            if _is_closed(secure):
                raise _ClosedError


def _is_closed(connection: ssl.SSLSocket) -> bool:
    """Whether the server closes the connection before its timeout; a TLS alert raises `ssl.SSLError`."""
    try:
        return not connection.recv(1)
    except socket.timeout:
        return False
    except ConnectionError:  # gRPC servers reject clients without an alert
        return True
