"""A stand-in for TensorFlow Serving: gRPC and REST on 127.0.0.1, its engine the C++ loader.

Written after the server's source and guides (branch r2.15), to test the client. It shows that client,
messages and model go together, not that the real server behaves so in all things.

    python double.py FOLDER [--fail N] [--wait SECONDS]

serves the version FOLDER under the name `srn` (label `stable`), prints its two ports in a line, and ends
when its standard input does. The first N predictions are answered UNAVAILABLE; each waits SECONDS first.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import json
import math
import re
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from loaders import WITHOUT_PYTHON, CallError, RunError, open_model

HTTP_STATUS = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503}


class Double:
    """The stand-in in a child process: `grpc` and `rest` are its addresses."""

    def __init__(self, folder, *options):
        self._child = subprocess.Popen(
            [sys.executable, __file__, str(folder), *map(str, options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ports = self._child.stdout.readline().split()
        self.grpc, self.rest = f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
        self.process = self._child.pid

    def close(self) -> int:
        """Ends the child; returns how many predictions it had under way at most, 0 where it has ended."""
        if self._child.stdout.closed:
            return 0
        self._child.stdin.close()
        max_at_once = int(self._child.stdout.read() or 0)
        self._child.wait(30)
        self._child.stdout.close()
        return max_at_once

    def kill(self) -> None:
        """Ends the child as a crash would."""
        self._child.kill()
        self._child.wait(30)


class FailureError(Exception):
    """An answer that is an error: gRPC's code and a message."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class Service:
    """What both protocols share."""

    def __init__(self, folder, fail, wait):
        self._model = open_model(folder, threads=2)
        self.version = int(Path(folder).name)
        self.signatures = self._model.signatures
        self._fail, self._wait, self._lock = fail, wait, threading.Lock()
        self._at_once, self.max_at_once = 0, 0

    def find(self, name, version=None, label=None):
        """Raises `FailureError` unless this model is meant."""
        if not name:
            raise FailureError("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        if label not in (None, "", "stable"):
            raise FailureError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        if name != "srn" or version not in (None, self.version):
            which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise FailureError("NOT_FOUND", f"Servable not found for request: {which}")

    def predict(self, signature, inputs):
        """{output: array}. Raises `FailureError`."""
        with self._lock:
            self._fail -= 1
            if self._fail >= 0:
                raise FailureError("UNAVAILABLE", "not yet")
            self._at_once += 1
            self.max_at_once = max(self.max_at_once, self._at_once)
        try:
            time.sleep(self._wait)
            return self._run(signature, inputs)
        finally:
            with self._lock:
                self._at_once -= 1

    def _run(self, signature, inputs):
        signature = signature or "serving_default"
        if signature not in self.signatures:
            raise FailureError("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
        wanted = self.signatures[signature]["inputs"]
        if set(inputs) != set(wanted):
            message = f"input size does not match signature: {len(inputs)}!={len(wanted)} len({set(wanted)})"
            raise FailureError("INVALID_ARGUMENT", message)
        try:
            return self._model.run(signature, inputs)
        except RunError as error:
            raise FailureError(error.code, error.message) from error
        except CallError as error:
            raise FailureError("INVALID_ARGUMENT", str(error)) from error


def serve_grpc(service, port):
    """Starts the gRPC server; returns (server, port)."""
    import grpc
    from tensorflow_serving.apis import (
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    def answering(answer):
        def call(request, context):
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            try:
                service.find(spec.name, version, spec.version_label)
                return answer(request)
            except FailureError as failure:
                context.abort(grpc.StatusCode[failure.code], failure.message)

        return call

    def predict(request):
        inputs = {name: from_proto(value) for name, value in request.inputs.items()}
        outputs = service.predict(request.model_spec.signature_name, inputs)
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.version.value = "srn", service.version
        for name, value in outputs.items():
            fill_proto(response.outputs[name], value)
        return response

    def status(_):
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(version=service.version, state="AVAILABLE")
        return response

    class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
        Predict = staticmethod(answering(predict))

    class Models(model_service_pb2_grpc.ModelServiceServicer):
        GetModelStatus = staticmethod(answering(status))

    limit = 2**31 - 1
    options = [("grpc.max_receive_message_length", limit), ("grpc.max_send_message_length", limit)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predictions(), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def from_proto(proto):
    """A request's tensor as an array, of whatever type it is."""
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    if proto.dtype == 7:
        return np.array(list(proto.string_val), object).reshape(shape)
    kinds = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 9: "<i8"}
    return np.frombuffer(proto.tensor_content, kinds[proto.dtype]).reshape(shape)


def fill_proto(proto, value):
    """As the server answers: in lists, not as raw content."""
    proto.dtype = 7 if value.dtype == object else 1
    for size in value.shape:
        proto.tensor_shape.dim.add(size=size)
    (proto.string_val if value.dtype == object else proto.float_val).extend(value.ravel().tolist())


def serve_rest(service):
    """Starts the REST server; returns (server, port)."""
    path = re.compile(
        r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>\d+)|/labels/(?P<label>\w+))?(?P<what>/metadata|:predict)?"
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(lambda match: self.describe(match["what"]), ("/metadata", None))

        def do_POST(self):
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            self.answer(lambda _: predict_json(service, body), (":predict",))

        def answer(self, compute, known):
            match = path.fullmatch(self.path)
            try:
                if not match or match["what"] not in known:
                    raise FailureError("INVALID_ARGUMENT", f"Malformed request: {self.command} {self.path}")
                service.find(match["name"], match["version"] and int(match["version"]), match["label"])
                status, value = 200, compute(match)
            except FailureError as failure:
                status, value = HTTP_STATUS.get(failure.code, 500), {"error": failure.message}
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def describe(self, what):
            if what == "/metadata":
                return {
                    "model_spec": {"name": "srn"},
                    "metadata": {"signature_def": list(service.signatures)},
                }
            status = {"error_code": "OK", "error_message": ""}
            version = {"version": str(service.version), "state": "AVAILABLE", "status": status}
            return {"model_version_status": [version]}

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_address[1]


def predict_json(service, body):
    """The answer to a body by row (`instances`) or by column (`inputs`)."""
    try:
        request = json.loads(body)
    except ValueError as error:
        raise FailureError("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
    if ("instances" in request) == ("inputs" in request):
        raise FailureError("INVALID_ARGUMENT", "Request must have either instances or inputs")
    signature = request.get("signature_name", "serving_default")
    if signature not in service.signatures:
        raise FailureError(
            "INVALID_ARGUMENT", f'Serving signature name: "{signature}" not found in signature def'
        )
    (name,) = service.signatures[signature]["inputs"]
    by_row = "instances" in request
    value = request["instances" if by_row else "inputs"]
    if by_row and value and isinstance(value[0], dict) and set(value[0]) == {name}:
        value = [row[name] for row in value]
    elif isinstance(value, dict) and set(value) == {name}:
        value = value[name]
    outputs = service.predict(signature, {name: from_json(value)})
    (output,) = outputs
    return {"predictions" if by_row else "outputs": to_json(output, outputs[output])}


def from_json(value):
    if value and isinstance(value[0], dict):
        return np.array([base64.b64decode(item["b64"]) for item in value], object)
    try:
        return np.array(value, np.float32)
    except ValueError as error:
        raise FailureError("INVALID_ARGUMENT", "lists are not rectangular") from error


def to_json(name, value):
    if value.dtype != object:
        assert all(map(math.isfinite, value.ravel()[:9]))
        return value.tolist()
    assert name.endswith("_bytes"), "the server writes other strings raw"
    return [{"b64": base64.b64encode(item).decode()} for item in value]


def load_protos_without_tensorflow():
    """The package of the messages imports TensorFlow; an empty module with its search path will do."""
    spec = importlib.util.find_spec("tensorflow")
    stand_in = types.ModuleType("tensorflow")
    stand_in.__spec__, stand_in.__path__ = spec, list(spec.submodule_search_locations)
    sys.modules["tensorflow"] = stand_in


def main():
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--fail", type=int, default=0)
    parser.add_argument("--wait", type=float, default=0.0)
    parser.add_argument("--grpc_port", type=int, default=0)
    arguments = parser.parse_args()
    if WITHOUT_PYTHON:
        load_protos_without_tensorflow()
    service = Service(arguments.folder, arguments.fail, arguments.wait)
    servers = [serve_grpc(service, arguments.grpc_port), serve_rest(service)]
    print(*(port for _, port in servers), flush=True)
    sys.stdin.read()
    servers[0][0].stop(0)
    print(service.max_at_once, flush=True)
    assert not (WITHOUT_PYTHON and "tensorflow.python" in sys.modules)


if __name__ == "__main__":
    main()
