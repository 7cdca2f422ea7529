"""What the server reads, parsed as its own messages; warm-up requests replayed by the C++ loader."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from srn.serving import server_files

OPTIONAL, REPEATED = 1, 3
INT64, BOOL, STRING, MESSAGE = 3, 8, 9, 11


def message_class(name, *messages):
    """A class made from (name of the message, [(field, number, type, its message, label)]).

    No package has these messages; numbers and types are those of TensorFlow Serving 2.15.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", syntax="proto3", package="test")
    file.dependency.append("google/protobuf/wrappers.proto")
    for title, fields in messages:
        message = file.message_type.add(name=title)
        for field, number, kind, type_name, label in fields:
            message.field.add(name=field, number=number, type=kind, type_name=type_name, label=label)
    from google.protobuf import wrappers_pb2

    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))


@pytest.fixture
def files(tmp_path):
    server_files.write_server_files(tmp_path / "srn", "srn")
    return {path.name: path.read_text() for path in (tmp_path / "srn").iterdir()}


def test_the_models_are_those_of_the_folder_that_is_mounted(files):
    parsed = text_format.Parse(files["models.config"], model_server_config_pb2.ModelServerConfig())

    (model,) = parsed.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("srn", "/models/srn", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


@pytest.mark.parametrize("folder", ['a"b', "a\\b", "a\nb", "fürth"])
def test_the_name_of_a_folder_is_quoted(tmp_path, folder):
    server_files.write_server_files(tmp_path / folder, "srn")

    text = (tmp_path / folder / "models.config").read_text(encoding="utf-8")
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert parsed.model_config_list.config[0].base_path == f"/models/{folder}"


def test_prometheus_is_told_where_to_look(files):
    prometheus = ("Prometheus", [("enable", 1, BOOL, None, OPTIONAL), ("path", 2, STRING, None, OPTIONAL)])
    fields = [("prometheus_config", 1, MESSAGE, ".test.Prometheus", OPTIONAL)]
    monitoring = message_class("Monitoring", prometheus, ("Monitoring", fields))

    parsed = text_format.Parse(files["monitoring.config"], monitoring())

    assert parsed.prometheus_config.enable
    assert parsed.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_the_batching_parameters_are_wrapped_numbers(files):
    names = ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"]
    wrapped = ".google.protobuf.Int64Value"
    fields = [(name, number, MESSAGE, wrapped, OPTIONAL) for number, name in enumerate(names, 1)]
    batching = message_class("Batching", ("Batching", fields))

    parsed = text_format.Parse(files["batching.txt"], batching())

    assert parsed.max_batch_size.value == 4
    with pytest.raises(text_format.ParseError):
        text_format.Parse("max_batch_size: 4", batching())


@pytest.fixture(scope="module")
def requests(served):
    """The requests in the file, its framing read by hand: length, checksum, record, checksum."""
    data, found = (served[1] / server_files.WARM_UP_FILE).read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        log = prediction_log_pb2.PredictionLog.FromString(data[12 : 12 + length])
        found.append(log.predict_log.request)
        data = data[16 + length :]
    return found


def test_there_is_one_request_for_each_signature_and_size(requests):
    assert [(r.model_spec.name, r.model_spec.signature_name) for r in requests] == [
        ("srn", "serving_default"),
        ("srn", "encoded"),
    ]
    assert tf.make_ndarray(requests[0].inputs["image"]).shape == (1, 64, 48, 3)


def test_every_request_succeeds_or_the_server_would_refuse_the_version(requests, make_engine):
    for request in requests:
        feeds = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}

        outputs = make_engine().run(request.model_spec.signature_name, **feeds)

        assert all(np.size(output) for output in outputs.values())
