"""The client and servers with TLS, whose certificates are made by openssl."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import grpc
import pytest
from odd import PNG, answer_of, good, grpc_server, rest_server

from srn.errors import InputError
from srn.serving import connection
from srn.serving.client import ServerError, connect
from srn.serving.credentials import Credentials


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Names of PEM files: two authorities, and certificates with keys, good and otherwise."""
    folder = tmp_path_factory.mktemp("pem")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    for ca in ("ca", "other_ca"):
        openssl("req", "-x509", *new, "-keyout", f"{ca}.key", "-out", ca, "-subj", f"/CN={ca}", "-days", "2")
    here = "DNS:localhost,IP:127.0.0.1"
    for name, ca, names, days in (
        ("server", "ca", here, 2),
        ("client", "ca", here, 2),
        ("expired", "ca", here, -1),
        ("elsewhere", "ca", "DNS:elsewhere.example", 2),
        ("stranger", "other_ca", here, 2),
    ):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text(f"subjectAltName={names}")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", ca, "-CAkey", f"{ca}.key", "-CAcreateserial"),
            *("-out", name, "-extfile", "names", "-days", str(days)),
        )
    openssl("rsa", "-in", "client.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key")
    return {path.name: str(path) for path in folder.iterdir()}


@pytest.fixture(params=["grpcs", "https"])
def secure_server(request, pem):
    """`start(wants_certificate, name)` -> a context that yields the address of a server with TLS."""

    def start(wants_certificate=False, name="server"):
        if request.param == "grpcs":
            key, certificate, ca = (Path(pem[each]).read_bytes() for each in (f"{name}.key", name, "ca"))
            own = grpc.ssl_server_credentials([(key, certificate)], ca, wants_certificate)
            return grpc_server(lambda *_: answer_of(restored_bytes=[PNG]), own)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem[name], pem[f"{name}.key"])
        if wants_certificate:
            context.load_verify_locations(pem["ca"])
            context.verify_mode = ssl.CERT_REQUIRED
        return rest_server(good, context)

    return start


def test_an_own_authority_is_trusted_when_it_is_named(secure_server, pem):
    with secure_server() as address, connect(address, credentials=Credentials(ca=pem["ca"])) as server:
        assert server.restore_files([PNG]) == [PNG]


def test_the_authorities_of_the_environment_are_trusted_by_both_protocols(secure_server, pem, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # which have precedence by REST
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", pem["ca"])
    with secure_server() as address, connect(address) as server:
        assert server.restore_files([PNG]) == [PNG]


def test_an_authority_that_is_named_takes_precedence(secure_server, pem, monkeypatch):
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, pem["other_ca"])
    with secure_server() as address, connect(address, credentials=Credentials(ca=pem["ca"])) as server:
        assert server.restore_files([PNG]) == [PNG]


def test_a_file_of_authorities_that_is_not_there_is_an_error_of_the_server(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    assert "/no/such/file" in refusal("https://localhost:1")


def test_a_web_server_is_told_to_a_caller_by_grpc(pem):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem["server"], pem["server.key"])
    with rest_server(good, context) as address:
        line = refusal(address.replace("https", "grpcs"), ca=pem["ca"])
    assert "does not speak gRPC; for REST give https://" in line


def test_a_certificate_of_the_client_is_shown(secure_server, pem):
    own = Credentials(pem["ca"], pem["client"], pem["client.key"])
    with secure_server(wants_certificate=True) as address, connect(address, credentials=own) as server:
        assert server.restore_files([PNG]) == [PNG]


def refusal(address, **credentials):
    """The error of a request, which must not have been tried again."""
    with connect(address, credentials=Credentials(**credentials), timeout=20) as server:
        with pytest.raises(ServerError) as caught:
            server.restore_files([PNG])
    assert not caught.value.transient
    return str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_named_as_the_reason(secure_server):
    with secure_server() as address:
        assert "certificate is not accepted" in (line := refusal(address)) and "`ca`" in line


@pytest.mark.parametrize(
    "name, reason, advises",
    [
        ("expired", "certificate has expired", False),
        ("elsewhere", "not valid for 'localhost'", False),
        ("stranger", "unable to get local issuer certificate", True),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told_and_advice_only_where_it_helps(
    secure_server, pem, name, reason, advises
):
    with secure_server(name=name) as address:
        line = refusal(address, ca=pem["ca"])

    assert "certificate is not accepted: " in line and reason in line
    assert ("`ca`" in line) == advises


def test_a_certificate_of_the_client_that_the_server_does_not_accept_is_named(secure_server, pem):
    with secure_server(wants_certificate=True) as address:
        line = refusal(address, ca=pem["ca"], cert=pem["stranger"], key=pem["stranger.key"])

    assert "`cert`" in line


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_a_server_that_ends_in_the_middle_of_a_handshake_is_asked_again(scheme, monkeypatch):
    """As one does that is restarted, or the proxy before it."""
    monkeypatch.setattr(connection, "_FIRST_WAIT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def end():
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        with connect(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", attempts=1) as server:
            with pytest.raises(ServerError) as caught:
                server.restore_files([PNG])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)

    assert caught.value.code == "UNAVAILABLE" and caught.value.transient


def test_a_missing_certificate_of_the_client_is_named_as_the_reason(secure_server, pem):
    with secure_server(wants_certificate=True) as address:
        assert "certificate of its client" in refusal(address, ca=pem["ca"])


def test_a_server_without_tls_is_told_from_one_that_is_not_there():
    with rest_server(good) as address:
        assert "does not speak TLS; give http://" in refusal(address.replace("http:", "https:"))
    with grpc_server(lambda *_: b"") as address:
        assert "does not speak TLS; give grpc://" in refusal(address.replace("grpc:", "grpcs:"))


def test_a_server_with_tls_is_told_to_a_caller_without(secure_server):
    with secure_server() as address:
        assert "the server speaks TLS" in refusal(address.replace("s://", "://"))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"ca": "nothing.pem"}, "ca=nothing.pem: cannot be read"),
        ({"cert": "CA"}, "`cert` and `key` belong together"),
        ({"ca": "TEXT"}, "no certificate and key in PEM"),
        ({"cert": "CA", "key": "KEY"}, "no certificate and key in PEM that belong together"),
        ({"ca": "FOLDER"}, "cannot be read"),
        ({"cert": "CERT", "key": "LOCKED"}, "locked by a passphrase"),
        ({"headers": {"a b": "c"}}, "header=a b: no header"),
        ({"headers": {"grpc-timeout": "1S"}}, "not for callers to set by gRPC"),
        ({"headers": {"x-bin": "c"}}, "not for callers to set by gRPC"),
        ({"headers": {"Content-Length": "1"}}, "not for callers to set"),
        ({"headers": {"a": "c\nd"}}, "header=a: no header"),
    ],
)
def test_certificates_and_headers_that_cannot_be_used_are_refused_at_once(pem, tmp_path, given, message):
    (tmp_path / "text").write_text("no certificate")
    files = {"CA": pem["ca"], "KEY": pem["server.key"], "TEXT": str(tmp_path / "text")}
    files |= {"FOLDER": str(tmp_path), "CERT": pem["client"], "LOCKED": pem["locked.key"]}
    known = {name: files.get(value, value) if name != "headers" else value for name, value in given.items()}

    with pytest.raises(InputError, match=message):
        connect("grpcs://localhost", credentials=Credentials(**known))


def test_a_certificate_for_a_connection_without_tls_is_refused(pem):
    with pytest.raises(InputError, match="is not encrypted, so `ca` would do nothing"):
        connect("localhost:8500", credentials=Credentials(ca=pem["ca"]))
