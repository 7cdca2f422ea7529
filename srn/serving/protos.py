"""TensorFlow Serving's messages, and NumPy arrays in and out of them, without TensorFlow where possible.

The package of the messages imports TensorFlow, which takes seconds, though its generated modules need only
other generated modules.
"""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np

_FLOAT, _STRING = 1, 7  # tensorflow.DataType


def load_without_tensorflow() -> None:
    """Lets the messages be imported quickly; for processes that never import TensorFlow itself afterwards.

    An empty module with TensorFlow's search path stands in its place. Does nothing where TensorFlow is
    imported already.
    """
    if "tensorflow" in sys.modules:
        return
    spec = importlib.util.find_spec("tensorflow")
    stand_in = types.ModuleType("tensorflow")
    stand_in.__spec__, stand_in.__path__ = spec, list(spec.submodule_search_locations)
    sys.modules["tensorflow"] = stand_in


def to_proto(value):
    """A `TensorProto` of a float32 array, or of a list of bytes."""
    from tensorflow.core.framework import tensor_pb2

    if isinstance(value, np.ndarray):
        proto = tensor_pb2.TensorProto(dtype=_FLOAT, tensor_content=value.astype("<f4").tobytes())
        shape = value.shape
    else:
        proto = tensor_pb2.TensorProto(dtype=_STRING, string_val=value)
        shape = (len(value),)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def from_proto(proto):
    """The float32 array, or the list of bytes, of a `TensorProto`; a server sends either of two spellings."""
    if proto.dtype == _STRING:
        return list(proto.string_val)
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, "<f4").reshape(shape).copy()
    values = np.array(proto.float_val, np.float32)
    # One value stands for equal ones.
    return np.full(shape, values[0]) if values.size == 1 else values.reshape(shape)
