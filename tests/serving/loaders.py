"""Opens an exported model as a server does: TensorFlow's C++ loader and session, without its Python.

The script that drives them without Python lies in ../shared/tools/cpp_loader. Where that is not there,
TensorFlow's Python drives the same loader, session and kernels; what this cannot show is that the model
needs no Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

LOADER = Path(__file__).resolve().parents[3] / "shared" / "tools" / "cpp_loader"
WITHOUT_PYTHON = LOADER.is_dir()


class RunError(Exception):
    """A run with a status that is not OK: `code`, such as INVALID_ARGUMENT, and `message`."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class CallError(Exception):
    """A signature or an input that the model does not have, or one of another dtype."""


def open_model(folder, threads: int):
    """The model of a version's folder: `signatures`, and `run(signature, feeds)`.

    `run` takes and gives dicts of arrays. It raises `RunError` and `CallError`.
    """
    return (_ModelWithoutPython if WITHOUT_PYTHON else _ModelInSession)(str(folder), threads)


class _ModelWithoutPython:
    def __init__(self, folder, threads):
        sys.path.insert(0, str(LOADER))
        import run_savedmodel

        self._loader = run_savedmodel
        self._model = run_savedmodel.SavedModel(folder, intra=threads)
        self.signatures = self._model.signatures

    def run(self, signature, feeds):
        try:
            return self._model.run(signature, feeds)
        except self._loader.TFError as error:
            raise RunError(error.code, str(error).partition(": ")[2]) from error
        except self._loader.UseError as error:
            raise CallError(str(error)) from error


class _ModelInSession:
    def __init__(self, folder, threads):
        import tensorflow as tf

        v1 = tf.compat.v1
        self._tf = tf
        config = v1.ConfigProto(intra_op_parallelism_threads=threads)
        self._session = v1.Session(graph=tf.Graph(), config=config)
        with self._session.graph.as_default():
            definitions = v1.saved_model.load(self._session, ["serve"], folder).signature_def
        self.signatures = {
            name: {"inputs": _describe(definition.inputs), "outputs": _describe(definition.outputs)}
            for name, definition in definitions.items()
        }

        self._callables = {}

    def run(self, signature, feeds):
        if signature not in self.signatures:
            raise CallError(f"no signature {signature!r}; the model has {sorted(self.signatures)}")
        inputs, outputs = (self.signatures[signature][side] for side in ("inputs", "outputs"))
        if set(feeds) != set(inputs):
            raise CallError(f"signature {signature} takes {sorted(inputs)}, got {sorted(feeds)}")
        for name, value in feeds.items():
            wanted = self._tf.as_dtype(inputs[name]["dtype"])
            if self._tf.as_dtype(value.dtype) != wanted:
                raise CallError(f"input {name} is {wanted.name}, got {value.dtype}")
        try:
            values = self._callable_of(signature)(*(feeds[name] for name in inputs))
        except self._tf.errors.OpError as error:
            raise RunError(_name_of_status(error.error_code), error.message) from error
        return dict(zip(outputs, values))

    def _callable_of(self, signature):
        """Not `Session.run`, whose Python compares shapes first: a server leaves that to the graph."""
        from tensorflow.core.protobuf import config_pb2

        if signature not in self._callables:
            sides = (self.signatures[signature][side].values() for side in ("inputs", "outputs"))
            feed, fetch = ([info["tensor"] for info in side] for side in sides)
            options = config_pb2.CallableOptions(feed=feed, fetch=fetch)
            self._callables[signature] = self._session._make_callable_from_options(options)
        return self._callables[signature]


def _describe(infos):
    return {
        name: {
            "dtype": info.dtype,
            "shape": [None if axis.size < 0 else axis.size for axis in info.tensor_shape.dim],
            "tensor": info.name,
        }
        for name, info in infos.items()
    }


def _name_of_status(number):
    import grpc

    return {code.value[0]: code.name for code in grpc.StatusCode}[number]
