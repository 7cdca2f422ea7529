"""Servers by REST and gRPC whose answers a test makes up."""

import base64
import contextlib
import json
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np

from srn.images import encode_png
from srn.serving import messages

PNG = encode_png(np.zeros((2, 3, 3), np.uint8))


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
    send(handler, json.dumps({"outputs": [{"b64": base64.b64encode(PNG).decode()}]}).encode())


@contextlib.contextmanager
def grpc_server(answer, credentials=None, target="localhost:0"):
    """A gRPC server whose Predict is `answer(request bytes, context) -> bytes`; yields its address."""
    handlers = {"Predict": grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.server(futures.ThreadPoolExecutor(2))
    service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers)
    server.add_generic_rpc_handlers((service,))
    if credentials is None:
        yield_address = f"grpc://localhost:{server.add_insecure_port(target)}"
    else:
        yield_address = f"grpcs://localhost:{server.add_secure_port(target, credentials)}"
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
