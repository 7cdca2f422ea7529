"""Warm-up requests, read with TensorFlow Serving's own messages and replayed by the C++ loader."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from srn.serving.warm_up import WARM_UP_FILE


@pytest.fixture(scope="module")
def requests(served):
    """The requests in the file, its framing read by hand: length, checksum, record, checksum."""
    data, found = (served[1] / WARM_UP_FILE).read_bytes(), []
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
