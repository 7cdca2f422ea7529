"""The messages of TensorFlow Serving that a client needs, and their conversion from and to NumPy arrays.

They are defined here by the names and numbers of their fields (`predict`, `model` and `get_model_status` of
tensorflow_serving/apis, `tensor` and `tensor_shape` of tensorflow/core/framework), in a separate descriptor
pool, since the package with the generated classes requires TensorFlow. The wire format is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_FLOAT, _STRING = 1, 7  # of the enumeration tensorflow.DataType, which is an int32 on the wire
_MAX_VALUES = 2**29  # floats in the 2 GiB that a message may have
_TYPES = {
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
}
# Message -> {field: (number, type, whether repeated)}; other types are messages.
_MESSAGES = {
    "Dim": {"size": (1, "int64", False), "name": (2, "string", False)},
    "TensorShape": {"dim": (2, "Dim", True)},
    "Tensor": {
        "dtype": (1, "int32", False),
        "tensor_shape": (2, "TensorShape", False),
        "tensor_content": (4, "bytes", False),
        "float_val": (5, "float", True),
        "string_val": (8, "bytes", True),
    },
    "NamedTensor": {"key": (1, "string", False), "value": (2, "Tensor", False)},  # an entry of a map
    "ModelSpec": {
        "name": (1, "string", False),
        "version": (2, "google.protobuf.Int64Value", False),
        "signature_name": (3, "string", False),
        "version_label": (4, "string", False),
    },
    "PredictRequest": {"model_spec": (1, "ModelSpec", False), "inputs": (2, "NamedTensor", True)},
    "PredictResponse": {"outputs": (1, "NamedTensor", True), "model_spec": (2, "ModelSpec", False)},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec", False)},
    "ModelVersionStatus": {"version": (1, "int64", False), "state": (2, "int32", False)},
    "GetModelStatusResponse": {"model_version_status": (1, "ModelVersionStatus", True)},
}
_PACKAGE = "srn.serving"


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="srn/serving/messages.proto", package=_PACKAGE, syntax="proto3"
    )
    file.dependency.append("google/protobuf/wrappers.proto")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            field_type = _TYPES.get(kind, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE)
            added = message.field.add(name=field, number=number, type=field_type, label=3 if repeated else 1)
            if kind not in _TYPES:
                added.type_name = f".{kind}" if "." in kind else f".{_PACKAGE}.{kind}"
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(wrappers)
    pool.Add(file)
    names = [name for name in _MESSAGES if name.startswith(("Predict", "GetModelStatus", "Tensor"))]
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in names
    }


_CLASSES = _build()
Tensor = _CLASSES["Tensor"]
PredictRequest = _CLASSES["PredictRequest"]
PredictResponse = _CLASSES["PredictResponse"]
GetModelStatusRequest = _CLASSES["GetModelStatusRequest"]
GetModelStatusResponse = _CLASSES["GetModelStatusResponse"]


def fill_tensor(tensor: Any, value: np.ndarray | Sequence[bytes]) -> None:
    """Writes a float32 array, or a sequence of bytes, into a `Tensor`."""
    shape: tuple[int, ...]
    if isinstance(value, np.ndarray):
        tensor.dtype, tensor.tensor_content = _FLOAT, value.astype("<f4").tobytes()
        shape = value.shape
    else:
        tensor.dtype = _STRING
        tensor.string_val.extend(value)
        shape = (len(value),)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)


def read_tensor(tensor: Any) -> np.ndarray | list[bytes]:
    """The float32 array, or the list of bytes, of a `Tensor`; servers encode floats in one of two fields.

    The array may be a read-only view.

    Raises `ValueError` for other types, and if values and shape do not agree.
    """
    shape = [dimension.size for dimension in tensor.tensor_shape.dim]
    if tensor.dtype == _STRING:
        if len(shape) != 1 or shape[0] != len(tensor.string_val):
            raise ValueError(f"{len(tensor.string_val)} strings of the shape {shape}")
        return list(tensor.string_val)
    if tensor.dtype != _FLOAT:
        raise ValueError(f"a tensor of type {tensor.dtype}, neither float32 nor string")
    if math.prod(shape) > _MAX_VALUES:
        raise ValueError(f"a tensor of the shape {shape}")
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, "<f4").reshape(shape)
    values = np.array(tensor.float_val, np.float32)
    # A single value is repeated for the whole shape; a view, since the shape may be very large.
    return np.broadcast_to(values, shape) if values.size == 1 else values.reshape(shape)
