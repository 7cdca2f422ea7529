"""The recipe for Triton: its configuration, and where Triton is installed, the server itself.

The server is started where SRN_TRITON names the environment that serving/triton/run.sh asks for.
"""

import io
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import requests
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from PIL import Image

from srn.serving.contract import SIGNATURES

RECIPE = Path(__file__).resolve().parents[2] / "serving" / "triton"
FIELD = descriptor_pb2.FieldDescriptorProto
# Of Triton's model_config.proto, what the recipe may use: number, type, whether repeated.
CONFIG = {
    "ModelInput": {
        "name": (1, FIELD.TYPE_STRING, False),
        "data_type": (2, "DataType", False),
        "dims": (4, FIELD.TYPE_INT64, True),
        "optional": (8, FIELD.TYPE_BOOL, False),
    },
    "ModelOutput": {
        "name": (1, FIELD.TYPE_STRING, False),
        "data_type": (2, "DataType", False),
        "dims": (3, FIELD.TYPE_INT64, True),
    },
    "ModelInstanceGroup": {"kind": (4, "Kind", False), "count": (2, FIELD.TYPE_INT32, False)},
    "ModelConfig": {
        "name": (1, FIELD.TYPE_STRING, False),
        "backend": (17, FIELD.TYPE_STRING, False),
        "max_batch_size": (4, FIELD.TYPE_INT32, False),
        "input": (5, "ModelInput", True),
        "output": (6, "ModelOutput", True),
        "instance_group": (7, "ModelInstanceGroup", True),
    },
}
ENUMS = {
    "DataType": {"TYPE_INVALID": 0, "TYPE_FP32": 11, "TYPE_STRING": 13},
    "Kind": {"KIND_AUTO": 0, "KIND_CPU": 2},
}


def read_config(text):
    """The configuration as Triton's message; raises for a field or value that it does not have."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="triton", syntax="proto3")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in CONFIG.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            added = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                added.type = FIELD.TYPE_ENUM if kind in ENUMS else FIELD.TYPE_MESSAGE
                added.type_name = f".triton.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    config = message_factory.GetMessageClass(pool.FindMessageTypeByName("triton.ModelConfig"))()
    return text_format.Parse(text, config)


def test_the_configuration_has_what_the_export_has(served):
    config = read_config((RECIPE / "srn" / "config.pbtxt").read_text())
    signatures = tf.saved_model.load(str(served[1])).signatures

    for name, (entry, outcome) in SIGNATURES.items():
        (wanted,) = signatures[name].structured_input_signature[1].values()
        given = signatures[name].structured_outputs[outcome]
        for side, key, spec in ((config.input, entry, wanted), (config.output, outcome, given)):
            (found,) = (each for each in side if each.name == key)
            assert (
                found.data_type
                == ENUMS["DataType"]["TYPE_STRING" if spec.dtype == tf.string else "TYPE_FP32"]
            )
            assert len(found.dims) == len(spec.shape) if spec.dtype != tf.string else list(found.dims) == [-1]
    assert all(each.optional for each in config.input) and len(config.input) == len(config.output) == 2
    assert config.backend == "python" and config.max_batch_size == 0


def test_a_field_that_triton_does_not_know_is_found():
    with pytest.raises(text_format.ParseError):
        read_config("max_batchsize: 0")


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "give the folder of the environment"),
        (["."], "give the folder of an exported version"),
        ([".", "."], "no exported version (it has no saved_model.pb)"),
    ],
)
def test_a_wrong_call_is_told_before_anything_is_started(tmp_path, words, message):
    done = subprocess.run([RECIPE / "run.sh", *words], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 2 and message in done.stderr


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def triton(served):
    """The address of the model on a Triton that runs."""
    if "SRN_TRITON" not in os.environ:
        pytest.skip("SRN_TRITON names no environment with nvidia-pytriton: serving/triton/run.sh")
    port = free_port()
    words = [RECIPE / "run.sh", os.environ["SRN_TRITON"], served[1]]
    options = [
        f"--http-port={port}",
        "--http-address=127.0.0.1",
        "--allow-grpc=false",
        "--allow-metrics=false",
    ]
    server = subprocess.Popen([*words, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}/v2/models/srn"
    until = time.monotonic() + 180
    while not is_ready(address):
        assert server.poll() is None and time.monotonic() < until, server.stdout.read()[-2000:]
        time.sleep(0.5)
    yield address
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)


def is_ready(address):
    try:
        return requests.get(f"{address}/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def ask(address, name, array):
    """(output, array) of a request with one input, by Triton's extension for binary data."""
    if array.dtype == object:
        kind, data = "BYTES", b"".join(len(item).to_bytes(4, "little") + item for item in array)
    else:
        kind, data = "FP32", array.astype("<f4").tobytes()
    entry = {
        "name": name,
        "shape": array.shape,
        "datatype": kind,
        "parameters": {"binary_data_size": len(data)},
    }
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = requests.post(f"{address}/infer", data=head + data, headers=headers, timeout=120)
    if answer.status_code != 200:
        raise ValueError(answer.json()["error"])
    length = int(answer.headers["Inference-Header-Content-Length"])
    (outcome,), rest = json.loads(answer.content[:length])["outputs"], answer.content[length:]
    if outcome["datatype"] == "FP32":
        return outcome["name"], np.frombuffer(rest, "<f4").reshape(outcome["shape"])
    items = []
    while rest:
        size = int.from_bytes(rest[:4], "little")
        items.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return outcome["name"], items


def as_file(height, width, kind):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(cv2.GaussianBlur(pixels, (0, 0), 2)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.slow
def test_triton_gives_what_the_saved_model_gives(triton, served):
    signatures = tf.saved_model.load(str(served[1])).signatures
    images = np.random.default_rng(0).random((2, 37, 53, 3), np.float32)
    files = np.array([as_file(20, 31, "PNG"), as_file(64, 50, "JPEG")], object)

    name, restored = ask(triton, "image", images)
    expected = signatures["serving_default"](image=tf.constant(images))["restored"]
    assert name == "restored"
    np.testing.assert_allclose(restored, expected, atol=1e-5)

    name, restored = ask(triton, "image_bytes", files)
    expected = signatures["encoded"](image_bytes=tf.constant(files))["restored_bytes"].numpy()
    assert name == "restored_bytes" and len(restored) == 2
    for found, wanted in zip(restored, expected):
        pair = [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_UNCHANGED) for each in (found, wanted)]
        np.testing.assert_allclose(*(np.float32(each) for each in pair), atol=1)


@pytest.mark.slow
def test_the_example_restores_a_photograph(triton, served, tmp_path):
    """By the Python of Triton's environment, which has its client too."""
    (code,) = re.findall(
        r"```python\n(# Triton: pip install .*?)```", (RECIPE.parent / "README.md").read_text(), re.S
    )
    (tmp_path / "example.py").write_text(code.replace("localhost:8000", urlsplit(triton).netloc))
    file = as_file(40, 56, "JPEG")
    (tmp_path / "photo.jpg").write_bytes(file)

    done = subprocess.run(
        [Path(os.environ["SRN_TRITON"]) / "bin" / "python", "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    signature = tf.saved_model.load(str(served[1])).signatures["encoded"]
    (expected,) = signature(image_bytes=tf.constant([file]))["restored_bytes"].numpy()
    pair = [np.float32(Image.open(each)) for each in (tmp_path / "sharp.png", io.BytesIO(expected))]
    np.testing.assert_allclose(*pair, atol=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, array, message",
    [
        (
            "image_bytes",
            np.array([b"no image at all, only words"], object),
            "image_bytes is no PNG, JPEG or BMP",
        ),
        ("image", np.full((1, 4, 4, 3), np.nan, np.float32), "image has NaN"),
        ("image", np.zeros((1, 0, 4, 3), np.float32), "image has no pixels"),
        ("image", np.zeros((4, 4, 3), np.float32), "unexpected shape"),
    ],
)
def test_triton_refuses_with_the_words_of_the_model_and_lives_on(triton, name, array, message):
    with pytest.raises(ValueError, match=message) as caught:
        ask(triton, name, array)

    assert len(str(caught.value).splitlines()) == 1
    assert is_ready(triton)
