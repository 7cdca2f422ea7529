"""The client's messages against those that TensorFlow Serving's own package generates."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from srn.serving import messages


@pytest.mark.parametrize("version", [{"version": 7}, {"label": "stable"}], ids=str)
def test_a_request_is_read_by_the_servers_own_messages(version):
    request = messages.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "srn", "encoded"
    if "version" in version:
        request.model_spec.version.value = version["version"]
    else:
        request.model_spec.version_label = version["label"]
    values = np.random.default_rng(0).random((2, 3, 1), np.float32)
    messages.fill_tensor(request.inputs.add(key="image").value, values)
    messages.fill_tensor(request.inputs.add(key="image_bytes").value, [b"one", b"\0\xff"])

    read = predict_pb2.PredictRequest.FromString(request.SerializeToString())

    assert (read.model_spec.name, read.model_spec.signature_name) == ("srn", "encoded")
    if "version" in version:
        assert read.model_spec.version.value == 7
    else:
        assert read.model_spec.version_label == "stable"
    np.testing.assert_array_equal(tf.make_ndarray(read.inputs["image"]), values)
    assert list(tf.make_ndarray(read.inputs["image_bytes"])) == [b"one", b"\0\xff"]


@pytest.mark.parametrize("spelling", ["content", "list", "one value for all"])
def test_an_answer_of_the_server_is_read_in_each_of_its_spellings(spelling):
    values = np.full((2, 3), 0.5, np.float32)
    answer = predict_pb2.PredictResponse()
    proto = answer.outputs["restored"]
    proto.CopyFrom(tf.make_tensor_proto(values))
    if spelling != "content":
        proto.tensor_content = b""
        proto.float_val.extend([0.5] if spelling == "one value for all" else [0.5] * 6)

    (entry,) = messages.PredictResponse.FromString(answer.SerializeToString()).outputs
    found = messages.read_tensor(entry.value)

    assert entry.key == "restored"
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    "values",
    [np.zeros((2, 3), np.float16), np.zeros((2, 3)), np.zeros((2, 3), np.int32)],
    ids=lambda values: values.dtype.name,
)
def test_a_tensor_of_another_type_is_no_array(values):
    proto = messages.Tensor.FromString(tf.make_tensor_proto(values).SerializeToString())

    with pytest.raises(ValueError, match="neither float32 nor string"):
        messages.read_tensor(proto)


def test_the_state_of_versions_has_the_servers_names():
    answer = get_model_status_pb2.GetModelStatusResponse()
    states = get_model_status_pb2.ModelVersionStatus.State
    for number, state in enumerate(states.values()):
        answer.model_version_status.add(version=number, state=state)

    read = messages.GetModelStatusResponse.FromString(answer.SerializeToString())

    assert [each.version for each in read.model_version_status] == list(range(len(states.values())))
    assert {each.state: messages.STATES[each.state] for each in read.model_version_status} == {
        value: name for name, value in states.items()
    }
