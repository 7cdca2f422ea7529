"""The client against a stand-in for the server, over gRPC and REST on this machine."""

import io
import socket

import numpy as np
import pytest
from PIL import Image

from srn.serving.client import ServerError, connect


@pytest.fixture(scope="session")
def start_double(served):
    """Starts stand-ins: `start_double("--fail", 2)`; all end with the tests."""
    from double import Double

    started = []

    def start(*options):
        started.append(Double(served[1], *options))
        return started[-1]

    yield start
    for double in started:
        double.close()


@pytest.fixture(scope="session")
def double(start_double):
    return start_double()


@pytest.fixture(params=["grpc", "rest"])
def server(request, double):
    """A client for each protocol."""
    with connect(getattr(double, request.param), timeout=60) as client:
        yield client


def png(*shape, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_floats_are_the_models(served, server):
    images = np.random.default_rng(0).random((2, 21, 34, 3), np.float32)

    restored = server.restore(images)

    np.testing.assert_allclose(restored, np.clip(served[0].restore(images), 0, 1), atol=1e-5)
    restored *= 2  # the caller's own


def test_files_of_several_sizes_in_one_request(server):
    restored = server.restore_files([png(20, 31, 3), png(9, 12), png(5, 5, 4)])

    images = [Image.open(io.BytesIO(file)) for file in restored]
    assert [(image.size, image.mode) for image in images] == [
        ((31, 20), "RGB"),
        ((12, 9), "L"),
        ((5, 5), "RGBA"),
    ]


def test_answers_may_be_larger_than_the_usual_limit(double):
    """4 MiB is what gRPC takes by default; this answer has 5.5."""
    with connect(double.grpc, timeout=60) as client:
        assert client.restore(np.zeros((1, 600, 800, 3), np.float32)).nbytes > 4 * 2**20


def test_the_state_of_each_version(server):
    assert server.states() == {1: "AVAILABLE"}


@pytest.mark.parametrize("which", [{"version": 1}, {"label": "stable"}])
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_version_can_be_named(double, protocol, which):
    with connect(getattr(double, protocol), **which) as client:
        assert len(client.restore_files([png(8, 8, 3)])) == 1


@pytest.mark.parametrize(
    "options, code",
    [
        ({"model": "other"}, "NOT_FOUND"),
        ({"version": 9}, "NOT_FOUND"),
        ({"label": "canary"}, "INVALID_ARGUMENT"),
    ],
    ids=str,
)
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_what_is_not_served_is_said(double, protocol, options, code):
    with connect(getattr(double, protocol), **options) as client, pytest.raises(ServerError) as caught:
        client.restore_files([png(8, 8, 3)])

    assert caught.value.code == code


def test_a_bad_image_is_refused_with_the_servers_words(server):
    with pytest.raises(ServerError, match="no PNG, JPEG or BMP file") as caught:
        server.restore_files([b"no image"])

    assert caught.value.code == "INVALID_ARGUMENT"
    assert "node" not in str(caught.value)


def test_values_that_are_no_numbers_are_refused(server):
    with pytest.raises(ServerError) as caught:
        server.restore(np.full((1, 4, 4, 3), np.nan))

    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_wrong_type_is_refused(double):
    """Only a caller without this client can send it: float64."""
    import grpc
    from tensorflow.core.framework import tensor_pb2
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "srn"
    content = np.zeros((1, 4, 4, 3)).tobytes()
    proto = tensor_pb2.TensorProto(dtype=2, tensor_content=content)
    for size in (1, 4, 4, 3):
        proto.tensor_shape.dim.add(size=size)
    request.inputs["image"].CopyFrom(proto)

    with grpc.insecure_channel(double.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_an_unavailable_server_is_asked_again(start_double, protocol):
    """With an image beyond the 256 KiB that gRPC would keep for another attempt by default."""
    double = start_double("--fail", 2)

    with connect(getattr(double, protocol), timeout=60) as client:
        assert len(client.restore_files([png(400, 400, 3)])) == 1


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_after_the_last_attempt_it_is_an_error(start_double, protocol):
    double = start_double("--fail", 1)

    with connect(getattr(double, protocol), attempts=1) as client, pytest.raises(ServerError) as caught:
        client.restore_files([png(8, 8, 3)])

    assert caught.value.code == "UNAVAILABLE"


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_deadline_ends_the_wait(start_double, protocol):
    double = start_double("--wait", 3)

    client = connect(getattr(double, protocol), timeout=0.5, attempts=1)
    with client, pytest.raises(ServerError) as caught:
        client.restore_files([png(8, 8, 3)])

    assert caught.value.code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_nobody_there_is_unavailable(scheme):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"

    with connect(address, attempts=1, timeout=10) as client, pytest.raises(ServerError) as caught:
        client.states()

    assert caught.value.code == "UNAVAILABLE"
