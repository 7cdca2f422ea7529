"""The client against servers that break, answer oddly, or want to know who is there."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import pytest

from srn.errors import InputError
from srn.images import encode_png
from srn.serving import client as client_module
from srn.serving import messages
from srn.serving.client import ServerError, connect
from srn.serving.credentials import Credentials

PNG = encode_png(np.zeros((2, 3, 3), np.uint8))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No long waits between attempts."""
    monkeypatch.setattr(client_module, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(client_module, "_MAX_WAIT", 0.1)


@contextlib.contextmanager
def rest_server(answer, context=None):
    """A web server: `answer(handler)` answers each request; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_):
            pass

    class Quiet(ThreadingHTTPServer):
        block_on_close = False

        def handle_error(self, *_):
            pass

    with Quiet(("127.0.0.1", 0), Handler) as web:
        if context is not None:
            web.socket = context.wrap_socket(web.socket, server_side=True)
        thread = threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http{'s' if context else ''}://localhost:{web.server_address[1]}"
        web.shutdown()
        thread.join()


def send(handler, body, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def good(handler):
    import base64

    send(handler, json.dumps({"outputs": [{"b64": base64.b64encode(PNG).decode()}]}).encode())


@contextlib.contextmanager
def grpc_server(answer, credentials=None):
    """A gRPC server whose Predict is `answer(request bytes, context) -> bytes`; yields its address."""
    handlers = {"Predict": grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.server(futures.ThreadPoolExecutor(2))
    service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers)
    server.add_generic_rpc_handlers((service,))
    if credentials is None:
        yield_address = f"grpc://localhost:{server.add_insecure_port('localhost:0')}"
    else:
        yield_address = f"grpcs://localhost:{server.add_secure_port('localhost:0', credentials)}"
    server.start()
    yield yield_address
    server.stop(0).wait()


def answer_of(**outputs):
    """The bytes of an answer with these outputs: arrays, sequences of bytes, or `Tensor`s."""
    response = messages.PredictResponse()
    for name, value in outputs.items():
        tensor = response.outputs.add(key=name).value
        if isinstance(value, messages.Tensor):
            tensor.CopyFrom(value)
        else:
            messages.fill_tensor(tensor, value)
    return response.SerializeToString()


def tensor(dtype, shape, **values):
    made = messages.Tensor(dtype=dtype, **values)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def image():
    return np.zeros((1, 2, 3, 3), np.float32)


ODD = {
    "no outputs": {},
    "another output": {"other": np.zeros(1, np.float32)},
    "half floats": {"restored": tensor(19, (1, 2, 3, 3))},
    "too few values": {"restored": tensor(1, (1, 2, 3, 3), float_val=[0.0, 1.0])},
    "no values": {"restored": tensor(1, (1, 2, 3, 3))},
    "another shape": {"restored": np.zeros((1, 3, 2, 3), np.float32)},
    "strings": {"restored": [b"x"]},
    "two strings": {"restored_bytes": [PNG, PNG]},
    "no strings": {"restored_bytes": []},
    "a scalar string": {"restored_bytes": tensor(7, (), string_val=[PNG])},
    "floats for strings": {"restored_bytes": np.zeros(1, np.float32)},
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_by_grpc_is_an_error_of_the_server(name):
    with grpc_server(lambda *_: answer_of(**ODD[name])) as address, connect(address) as server:
        with pytest.raises(ServerError) as caught:
            if "string" in name and name != "strings":
                server.restore_files([PNG])
            else:
                server.restore(image())

    assert caught.value.code == "INTERNAL" and "is not understood" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_bytes_that_are_no_message_are_an_error_of_the_server():
    with grpc_server(lambda *_: b"\xff\xff\xff") as address, connect(address) as server:
        with pytest.raises(ServerError) as caught:
            server.restore(image())

    assert caught.value.code == "INTERNAL"


@pytest.mark.parametrize("restored", [b"no image", PNG[:40], encode_png(np.zeros((3, 2, 3), np.uint8))])
def test_a_restored_image_that_is_none_is_an_error_of_the_server(restored):
    with grpc_server(lambda *_: answer_of(restored_bytes=[restored])) as address, connect(address) as server:
        with pytest.raises(ServerError, match="INTERNAL: the answer is not understood"):
            server.restore_image(np.zeros((2, 3, 3), np.uint8))


@pytest.mark.parametrize(
    "status, body, code",
    [
        (200, b"{}", "INTERNAL"),
        (200, b'{"outputs": 3}', "INTERNAL"),
        (200, b'{"outputs": [{"b64": "!"}]}', "INTERNAL"),
        (200, b'{"outputs": [{"b64": ""}, {"b64": ""}]}', "INTERNAL"),
        (200, b"[]", "INTERNAL"),
        (200, b"no JSON", "INTERNAL"),
        (400, b'["x"]', "INVALID_ARGUMENT"),
        (401, b"", "UNAUTHENTICATED"),
        (500, b"<html>", "INTERNAL"),
        (504, b"<html>", "DEADLINE_EXCEEDED"),
    ],
)
def test_an_odd_answer_by_rest_is_an_error_of_the_server(status, body, code):
    with rest_server(lambda handler: send(handler, body, status)) as address, connect(address) as server:
        with pytest.raises(ServerError) as caught:
            server.restore_files([PNG])

    assert caught.value.code == code


@pytest.mark.parametrize("how", ["closed", "reset", "half an answer", "503", "429"])
def test_a_connection_that_breaks_is_made_again_by_rest(how):
    asked = []

    def answer(handler):
        asked.append(handler.path)
        if len(asked) > 2:
            good(handler)
        elif how == "half an answer":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            handler.close_connection = True
        elif how in ("503", "429"):
            send(handler, b"busy", int(how))
        else:
            if how == "reset":
                linger = np.array([1, 0], np.int32).tobytes()
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()
            handler.close_connection = True

    with rest_server(answer) as address, connect(address) as server:
        assert server.restore_files([PNG]) == [PNG]

    assert len(asked) == 3


def test_what_took_too_long_is_not_asked_again():
    asked, release = [], threading.Event()

    def answer(handler):
        asked.append(handler.path)
        release.wait(10)

    with rest_server(answer) as address, connect(address, timeout=0.3) as server:
        with pytest.raises(ServerError, match=r"DEADLINE_EXCEEDED: no answer in 0\.3 s"):
            server.restore_files([PNG])
        release.set()

    assert len(asked) == 1


def test_attempts_are_counted_by_grpc_too():
    asked = []

    def answer(_, context):
        asked.append(1)
        if len(asked) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return answer_of(restored_bytes=[PNG])

    with grpc_server(answer) as address, connect(address, attempts=3) as server:
        assert server.restore_files([PNG]) == [PNG]
    asked.clear()
    with grpc_server(answer) as address, connect(address, attempts=2) as server:
        with pytest.raises(ServerError, match="UNAVAILABLE: not yet"):
            server.restore_files([PNG])
    assert len(asked) == 2


def test_closing_ends_the_waits_of_other_threads(monkeypatch):
    monkeypatch.setattr(client_module, "_FIRST_WAIT", 100.0)
    monkeypatch.setattr(client_module, "_MAX_WAIT", 100.0)
    with rest_server(lambda handler: send(handler, b"busy", 503)) as address:
        server, failed = connect(address), []

        def ask():
            try:
                server.restore_files([PNG])
            except ServerError as error:
                failed.append(error.code)

        thread = threading.Thread(target=ask)
        thread.start()
        server.close()
        thread.join(20)

    assert failed == ["UNAVAILABLE"]


def test_a_path_a_query_a_user_and_headers_reach_the_server():
    seen = {}

    def answer(handler):
        seen.update(path=handler.path, **{name.lower(): value for name, value in handler.headers.items()})
        good(handler)

    with rest_server(answer) as address:
        address = address.replace("http://", "http://me:secret@") + "/deep?key=1"
        own = Credentials(headers={"X-Api-Key": "k"})
        with connect(address, model="a b", version=3, credentials=own) as server:
            server.restore_files([PNG])

    assert seen["path"] == "/deep/v1/models/a%20b/versions/3:predict?key=1"
    assert seen["authorization"] == "Basic bWU6c2VjcmV0"
    assert seen["x-api-key"] == "k"


def test_headers_are_metadata_of_grpc():
    seen = {}

    def answer(_, context):
        seen.update({key: value for key, value in context.invocation_metadata()})
        return answer_of(restored_bytes=[PNG])

    own = Credentials(headers={"Authorization": "Bearer t"})
    with grpc_server(answer) as address, connect(address, credentials=own) as server:
        server.restore_files([PNG])

    assert seen["authorization"] == "Bearer t"


# TLS, with certificates made by openssl.


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Names of PEM files: ca, and server and client with their keys, which it vouches for."""
    folder = tmp_path_factory.mktemp("pem")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl(
        "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca", "-subj", "/CN=Own authority", "-days", "2"
    )
    for name in ("server", "client"):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-out", name, "-extfile", "names", "-days", "2"),
        )
    return {path.name: str(path) for path in folder.iterdir()}


@pytest.fixture(params=["grpcs", "https"])
def secure_server(request, pem):
    """`start(wants_certificate)` -> a context that yields the address of a server with TLS."""

    def start(wants_certificate=False):
        if request.param == "grpcs":
            read = {name: Path(pem[name]).read_bytes() for name in ("server", "server.key", "ca")}
            own = grpc.ssl_server_credentials(
                [(read["server.key"], read["server"])], read["ca"], wants_certificate
            )
            return grpc_server(lambda *_: answer_of(restored_bytes=[PNG]), own)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem["server"], pem["server.key"])
        if wants_certificate:
            context.load_verify_locations(pem["ca"])
            context.verify_mode = ssl.CERT_REQUIRED
        return rest_server(good, context)

    return start


def test_an_own_authority_is_trusted_when_it_is_named(secure_server, pem):
    with secure_server() as address, connect(address, credentials=Credentials(ca=pem["ca"])) as server:
        assert server.restore_files([PNG]) == [PNG]


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
        ({"headers": {"a b": "c"}}, "header=a b: no header"),
        ({"headers": {"a": "c\nd"}}, "header=a: no header"),
    ],
)
def test_certificates_and_headers_that_cannot_be_used_are_refused_at_once(pem, tmp_path, given, message):
    (tmp_path / "text").write_text("no certificate")
    files = {"CA": pem["ca"], "KEY": pem["server.key"], "TEXT": str(tmp_path / "text")}
    known = {name: files.get(value, value) if name != "headers" else value for name, value in given.items()}

    with pytest.raises(InputError, match=message):
        connect("grpcs://localhost", credentials=Credentials(**known))


def test_a_certificate_for_a_connection_without_tls_is_refused(pem):
    with pytest.raises(InputError, match="is not encrypted, so `ca` would do nothing"):
        connect("localhost:8500", credentials=Credentials(ca=pem["ca"]))
