"""The client against servers that break, or answer oddly."""

import base64
import json
import socket
import threading

import grpc
import numpy as np
import pytest
from odd import PNG, answer_of, good, grpc_server, rest_server, send

from srn.errors import InputError
from srn.images import encode_png
from srn.serving import connection, messages
from srn.serving.client import ServerError, connect
from srn.serving.credentials import Credentials


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No long waits between attempts."""
    monkeypatch.setattr(connection, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(connection, "_MAX_WAIT", 0.1)


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
    "doubles": {"restored": tensor(2, (1, 2, 3, 3), tensor_content=bytes(144))},
    "NaN": {"restored": np.full((1, 2, 3, 3), np.nan, np.float32)},
    "levels of 8 bits": {"restored": np.full((1, 2, 3, 3), 255, np.float32)},
    "half a value": {"restored": tensor(1, (1, 2, 3, 3), tensor_content=bytes(71))},
    "a negative shape": {"restored": tensor(1, (1, -1, 3, 3), float_val=[0.0])},
    "an enormous shape": {"restored": tensor(1, (1, 2**15, 2**14, 1), float_val=[0.0])},
    "a shape beyond all": {"restored": tensor(1, (2**62, 2**62), float_val=[0.0])},
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
        (200, b"", "INTERNAL"),
        (200, b"<html>log in</html>", "INTERNAL"),
        (200, b"[" * 100_000, "INTERNAL"),
        (200, b'{"outputs": ' + b"9" * 6000 + b"}", "INTERNAL"),
        (200, b'{"outputs": [{"b64": null}]}', "INTERNAL"),
        (200, b'{"predictions": [{"b64": ""}]}', "INTERNAL"),
        (204, b"", "INTERNAL"),
        (304, b"", "INTERNAL"),
        (400, b'["x"]', "INVALID_ARGUMENT"),
        (400, b'{"error": null}', "INVALID_ARGUMENT"),
        (401, b"", "UNAUTHENTICATED"),
        (500, b"<html>", "INTERNAL"),
        (504, b"<html>", "DEADLINE_EXCEEDED"),
        (405, b"", "UNIMPLEMENTED"),
        (407, b"", "UNAUTHENTICATED"),
        (413, b"<html>", "RESOURCE_EXHAUSTED"),
        (599, b"", "INTERNAL"),
    ],
)
def test_an_odd_answer_by_rest_is_an_error_of_the_server(status, body, code):
    with rest_server(lambda handler: send(handler, body, status)) as address, connect(address) as server:
        with pytest.raises(ServerError) as caught:
            server.restore_files([PNG])

    assert caught.value.code == code
    assert len(str(caught.value)) > len(code) + 2  # it is said what came


@pytest.mark.parametrize(
    "outputs", ["null", "true", '"abc"', "[[1, 2], [3]]", '{"restored": {}}', "[[[[1e400]]]]", "9" * 400]
)
def test_odd_floats_by_rest_are_an_error_of_the_server(outputs):
    body = b'{"outputs": %s}' % outputs.encode()
    with rest_server(lambda handler: send(handler, body)) as address, connect(address) as server:
        with pytest.raises(ServerError, match="INTERNAL: the answer is not understood"):
            server.restore(image())


@pytest.mark.parametrize("states", ["null", "[]", '"abc"', '[{"version": 1e999, "state": "AVAILABLE"}]'])
def test_odd_states_by_rest_are_an_error_of_the_server_or_none(states):
    body = b'{"model_version_status": %s}' % states.encode()
    with rest_server(lambda handler: send(handler, body)) as address, connect(address) as server:
        if states == "[]":
            assert server.states() == {}
        else:
            with pytest.raises(ServerError, match="INTERNAL: the answer is not understood"):
                server.states()


def test_what_a_server_says_cannot_steer_a_terminal_nor_fill_it():
    body = json.dumps({"error": "a\x1b[2Jb\rc\n" + "d" * 100_000}).encode()
    with rest_server(lambda handler: send(handler, body, 400)) as address, connect(address) as server:
        with pytest.raises(ServerError, match=r"INVALID_ARGUMENT: a\[2Jb c ddd") as caught:
            server.restore_files([PNG])

    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_told_and_not_followed(status):
    """A POST would become a GET, and headers with secrets go to another server."""
    asked = []

    def answer(handler):
        asked.append(handler.path)
        handler.send_response(status)
        handler.send_header("Location", "https://other.example/v1/models/srn:predict")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with rest_server(answer) as address, connect(address) as server:
        with pytest.raises(ServerError, match=rf"redirects \(HTTP {status}\) to https://other\.example"):
            server.restore_files([PNG])

    assert len(asked) == 1


@pytest.mark.parametrize(
    "after, waits", [("7", [7.0]), ("Fri, 31 Dec 2099 23:59:59 GMT", [60.0]), ("x", [0.05])]
)
def test_a_server_is_asked_again_when_it_wants_to_be(monkeypatch, after, waits):
    asked, waited = [], []

    def answer(handler):
        asked.append(1)
        if len(asked) > 1:
            return good(handler)
        handler.send_response(503)
        handler.send_header("Retry-After", after)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with rest_server(answer) as address, connect(address) as server:
        monkeypatch.setattr(server._closed, "wait", waited.append)
        assert server.restore_files([PNG]) == [PNG]

    assert waited == waits


@pytest.mark.parametrize(
    "words", [b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00\x00\x18\x04\x00\r\n"]
)
def test_a_server_of_another_kind_is_told_at_once_by_rest(words):
    asked = []

    def answer(handler):
        asked.append(1)
        handler.wfile.write(words)
        handler.close_connection = True

    with rest_server(answer) as address, connect(address) as server:
        with pytest.raises(ServerError, match=r"does not speak HTTP/1\.1 .*; for gRPC give HOST:PORT"):
            server.restore_files([PNG])

    assert len(asked) == 1


def test_a_server_of_the_other_protocol_is_told_at_once():
    with rest_server(good) as address:
        server = connect(address.replace("http:", "grpc:"))
        with server, pytest.raises(ServerError, match="does not speak gRPC; for REST give") as caught:
            server.restore_files([PNG])
    assert not caught.value.transient


def test_a_body_in_another_encoding_than_it_says_is_an_error_of_the_server():
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", "7")
        handler.end_headers()
        handler.wfile.write(b"no gzip")

    with rest_server(answer) as address, connect(address) as server:
        with pytest.raises(ServerError, match="INTERNAL: the answer is not understood"):
            server.restore_files([PNG])


def test_a_request_that_is_too_large_is_told_from_a_server_that_is_full():
    def answer(_, context):
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (5 vs. 4)")

    with rest_server(lambda handler: send(handler, b"", 413)) as rest, grpc_server(answer) as rpc:
        for address in (rest, rpc):
            with connect(address) as server, pytest.raises(ServerError) as caught:
                server.restore_files([PNG])
            assert caught.value.too_large and not caught.value.transient


def test_a_socket_of_this_machine_is_an_address(tmp_path):
    path = tmp_path / "serving.sock"
    with grpc_server(lambda *_: answer_of(restored_bytes=[PNG]), target=f"unix:{path}"):
        with connect(f"unix:{path}") as server:
            assert server.restore_files([PNG]) == [PNG]
    with connect(f"unix:{tmp_path}/none", attempts=1) as server:
        with pytest.raises(ServerError, match="UNAVAILABLE"):
            server.restore_files([PNG])


@pytest.mark.parametrize(
    "options",
    [
        {"model": ""},
        {"model": "a\nb"},
        {"model": "\udcff"},
        {"version": -1},
        {"version": 2**63},
        {"label": ""},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"attempts": 0},
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused_before(options):
    (name,) = options
    with pytest.raises(InputError, match=f"^{name}="):
        connect("localhost", **options)


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
    monkeypatch.setattr(connection, "_FIRST_WAIT", 100.0)
    monkeypatch.setattr(connection, "_MAX_WAIT", 100.0)
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
        address = address.replace("http://", "http://me:secret@") + "/deep?key=1&key=2&flag"
        own = Credentials(headers={"X-Api-Key": "k"})
        with connect(address, model="a b", version=3, credentials=own) as server:
            server.restore_files([PNG])

    assert seen["path"] == "/deep/v1/models/a%20b/versions/3:predict?key=1&key=2&flag"
    assert seen["authorization"] == "Basic bWU6c2VjcmV0"
    assert seen["x-api-key"] == "k"


@pytest.mark.parametrize("headers, expected", [({"Authorization": "Bearer t"}, "Bearer t"), ({}, None)])
def test_a_password_in_netrc_does_not_take_the_place_of_a_token(monkeypatch, tmp_path, headers, expected):
    (tmp_path / "netrc").write_text("machine localhost login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen = []

    def answer(handler):
        seen.append(handler.headers["Authorization"])
        good(handler)

    with rest_server(answer) as address, connect(address, credentials=Credentials(headers=headers)) as server:
        server.restore_files([PNG])

    assert seen == [expected]


def test_a_password_may_have_any_letters():
    seen = []

    def answer(handler):
        seen.append(handler.headers["Authorization"])
        good(handler)

    with rest_server(answer) as address:
        with connect(address.replace("http://", "http://ich:5%E2%82%AC@")) as server:
            server.restore_files([PNG])

    assert seen == ["Basic " + base64.b64encode("ich:5€".encode()).decode()]


def test_two_ways_to_say_who_asks_are_refused():
    with pytest.raises(InputError, match="server=http://localhost:80: names a user, and there is a header"):
        connect("http://me:x@localhost", credentials=Credentials(headers={"Authorization": "Bearer t"}))


def test_a_proxy_of_the_environment_is_named_where_it_is_not_there(monkeypatch):
    for name in ("grpc_proxy", "https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with connect("example.invalid:8500", attempts=1) as server:
            with pytest.raises(ServerError, match=r"\(through the proxy that http_proxy names\)"):
                server.restore_files([PNG])


def test_headers_are_metadata_of_grpc():
    seen = {}

    def answer(_, context):
        seen.update({key: value for key, value in context.invocation_metadata()})
        return answer_of(restored_bytes=[PNG])

    own = Credentials(headers={"Authorization": "Bearer t"})
    with grpc_server(answer) as address, connect(address, credentials=own) as server:
        server.restore_files([PNG])

    assert seen["authorization"] == "Bearer t"
