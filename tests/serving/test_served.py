"""The exported model as a server runs it: by the C++ loader, without Python TensorFlow."""

import io

import cv2
import numpy as np
import pytest
from engine import EngineError
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

MAX_PIXELS = 1_000_000  # of the exported model
SIZES = [
    (1, 1),
    (1, 33),
    (2, 3),
    (15, 17),
    (16, 16),
    (31, 64),
    (37, 53),
    (64, 48),
    (99, 100),
    (128, 128),
    (201, 77),
    (240, 320),
    (255, 257),
    (300, 1),
    (480, 640),
    (720, 1280),
]


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def as_file(image, kind="PNG", palette=False):
    buffer, picture = io.BytesIO(), Image.fromarray(image)
    (picture.quantize(16) if palette else picture).save(buffer, kind)
    return buffer.getvalue()


def as_deep_png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def restore_files(engine, *files):
    """The pixels of each answer, as they are stored (OpenCV's order of channels)."""
    answers = engine.run("encoded", image_bytes=np.array(files, object))["restored_bytes"]
    return [cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_UNCHANGED) for answer in answers]


def restore_floats(model, images):
    return np.clip(model.restore(images), 0, 1)


@pytest.fixture
def engine(make_engine):
    return make_engine()


def test_the_signatures_are_those_that_are_promised(engine):
    floats, encoded = engine.signatures["serving_default"], engine.signatures["encoded"]

    for side, name in (("inputs", "image"), ("outputs", "restored")):
        assert floats[side][name]["dtype"] == 1
        assert floats[side][name]["shape"] == [None, None, None, 3]
    for side, name in (("inputs", "image_bytes"), ("outputs", "restored_bytes")):
        assert encoded[side][name]["dtype"] == 7
        assert encoded[side][name]["shape"] == [None]


def test_a_server_can_run_the_graph(served):
    """No call into Python, no operation of a package, no demand for a compiler that the server lacks."""
    model = saved_model_pb2.SavedModel.FromString((served[1] / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]

    assert len(nodes) > 100
    assert not {node.op for node in nodes} & {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
    assert not [node.op for node in nodes if ">" in node.op]
    assert not [part.name for part in nodes if part.attr["_XlaMustCompile"].b]
    assert not [function for function in functions if function.attr["_XlaMustCompile"].b]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_floats_of_any_size_are_the_models(served, engine, size):
    images = np.random.default_rng(0).random((2 if size[0] < 100 else 1, *size, 3), np.float32)

    restored = engine.run("serving_default", image=images)["restored"]

    np.testing.assert_allclose(restored, restore_floats(served[0], images), atol=1e-5)


def test_files_of_different_sizes_and_kinds_in_one_request(served, engine):
    images = [pixels(*size, 3, seed=seed) for seed, size in enumerate([(20, 31), (1, 1), (64, 50)])]
    files = [as_file(image, kind) for image, kind in zip(images, ("PNG", "BMP", "PNG"))]

    restored = restore_files(engine, *files)

    for image, answer in zip(images, restored):
        expected = restore_floats(served[0], image[np.newaxis] / np.float32(255))[0]
        np.testing.assert_allclose(answer[..., ::-1], np.rint(expected * 255), atol=1)


def test_no_images_are_an_empty_answer(engine):
    assert engine.run("encoded", image_bytes=np.array([], object))["restored_bytes"].shape == (0,)


def test_a_jpeg_is_decoded_as_accurately_as_elsewhere(served, engine):
    file = as_file(cv2.GaussianBlur(pixels(40, 56, 3), (0, 0), 2), "JPEG")

    (restored,) = restore_files(engine, file)

    decoded = np.asarray(Image.open(io.BytesIO(file)))
    expected = restore_floats(served[0], decoded[np.newaxis] / np.float32(255))[0]
    np.testing.assert_allclose(restored[..., ::-1], np.rint(expected * 255), atol=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_gray_stays_gray(served, engine, kind):
    file = as_file(cv2.GaussianBlur(pixels(33, 40), (0, 0), 2), kind)

    (restored,) = restore_files(engine, file)

    decoded = np.asarray(Image.open(io.BytesIO(file)))
    expected = restore_floats(served[0], np.stack([decoded[np.newaxis] / np.float32(255)] * 3, axis=-1))[0]
    assert restored.shape == decoded.shape
    np.testing.assert_allclose(restored, np.rint(expected.mean(axis=-1) * 255), atol=1)


@pytest.mark.parametrize("deep", [False, True])
def test_alpha_is_kept_and_the_colours_under_it_are_restored(served, engine, deep):
    kind = np.uint16 if deep else np.uint8
    levels = np.iinfo(kind).max
    image = np.random.default_rng(0).integers(0, levels + 1, (30, 42, 4)).astype(kind)

    (restored,) = restore_files(engine, as_deep_png(image))

    expected = restore_floats(served[0], np.float32(image[np.newaxis, ..., 2::-1] / levels))[0]
    assert restored.dtype == kind
    np.testing.assert_array_equal(restored[..., 3], image[..., 3])
    np.testing.assert_allclose(restored[..., 2::-1] / levels, expected, atol=1.5 / 255 if not deep else 2e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_stay_sixteen_bits(served, engine, channels):
    image = np.random.default_rng(0).integers(0, 65536, (30, 42, channels)).astype(np.uint16)

    (restored,) = restore_files(engine, as_deep_png(image))

    colours = np.repeat(image, 4 - channels, axis=-1)[..., :3] if channels == 1 else image[..., ::-1]
    expected = restore_floats(
        served[0], np.float32(np.broadcast_to(colours, (30, 42, 3)) / 65535)[np.newaxis]
    )
    assert restored.dtype == np.uint16
    if channels == 1:
        np.testing.assert_allclose(restored / 65535, expected[0].mean(axis=-1), atol=2e-5)
    else:
        np.testing.assert_allclose(restored[..., ::-1] / 65535, expected[0], atol=2e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(300, 400), (300, 400, 3)], ids=["gray", "colour"])
def test_an_encoded_image_has_the_pixels_of_srn_deblur(engine, deblurrer, kind, shape):
    image = np.random.default_rng(0).integers(0, np.iinfo(kind).max + 1, shape).astype(kind)

    (restored,) = restore_files(engine, as_deep_png(image[..., ::-1] if image.ndim == 3 else image))

    np.testing.assert_array_equal(restored[..., ::-1] if image.ndim == 3 else restored, deblurrer(image))


# Malformed requests.

BAD_FLOATS = {
    "rank 3": (np.zeros((4, 4, 3)), "not compatible with expected shape"),
    "rank 5": (np.zeros((1, 1, 4, 4, 3)), "not compatible with expected shape"),
    "6 channels": (np.zeros((1, 4, 4, 6)), "not compatible with expected shape"),
    "1 channel": (np.zeros((1, 4, 4, 1)), "not compatible with expected shape"),
    "a scalar": (np.zeros(()), "not compatible with expected shape"),
    "no rows": (np.zeros((1, 0, 4, 3)), "image has no pixels"),
    "no columns": (np.zeros((1, 4, 0, 3)), "image has no pixels"),
    "no images": (np.zeros((0, 4, 4, 3)), "image has no pixels"),
    "too large": (np.zeros((1, 1001, 1000, 3)), f"is more than {MAX_PIXELS} pixels; send it in tiles"),
    "too many": (np.zeros((101, 100, 100, 3)), f"is more than {MAX_PIXELS} pixels; send it in tiles"),
    "many tiny ones": (np.zeros((4000, 1, 1, 3)), f"is more than {MAX_PIXELS} pixels; send it in tiles"),
    "a thin one": (np.zeros((1, 1, 100_000, 3)), f"is more than {MAX_PIXELS} pixels; send it in tiles"),
    "NaN": (np.full((1, 4, 4, 3), np.nan), "NaN or infinite"),
    "infinity": (np.full((1, 4, 4, 3), np.inf), "NaN or infinite"),
    "minus infinity": (np.full((1, 4, 4, 3), -np.inf), "NaN or infinite"),
    "levels of 8 bits": (np.full((1, 4, 4, 3), 200), "values from 200 to 200; it is float32 in [0, 1]"),
    "one bright pixel": (np.eye(4)[np.newaxis, ..., np.newaxis] * [1, 2, 1], "values from 0 to 2"),
    "negative values": (np.full((1, 4, 4, 3), -5), "values from -5 to -5"),
}


@pytest.fixture(params=[True, False], ids=["oneDNN", "no oneDNN"])
def long_lived(request, make_engine):
    """One process for all malformed requests, whose next good request must be answered."""
    engine = make_engine(request.param)
    yield engine
    assert engine.is_alive
    assert restore_files(engine, as_file(pixels(20, 20, 3)))[0].shape == (20, 20, 3)


def refuse(engine, signature, **feeds):
    """The message with which a request is answered, which must be INVALID_ARGUMENT."""
    with pytest.raises(EngineError) as caught:
        engine.run(signature, **feeds)
    assert caught.value.code == "INVALID_ARGUMENT", caught.value
    return caught.value.message


@pytest.mark.parametrize("name", BAD_FLOATS)
def test_bad_floats_are_answered_with_a_message(long_lived, name):
    image, expected = BAD_FLOATS[name]

    assert expected in refuse(long_lived, "serving_default", image=image.astype(np.float32))


def claim(file, height, width):
    """A PNG whose header claims another size."""
    return file[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + file[24:]


def bad_files():
    """{what it is: (file, beginning of the answer)}."""
    png, jpeg, bmp = (as_file(pixels(20, 31, 3), kind) for kind in ("PNG", "JPEG", "BMP"))
    unknown = "image_bytes is no PNG, JPEG or BMP file"
    large = f"is more than {MAX_PIXELS} pixels; send it in tiles"
    return {
        "nothing": (b"", unknown),
        "two letters": (b"BM", unknown),
        "text": (b"This is no image at all, only words.", unknown),
        "GIF": (as_file(pixels(9, 9), "GIF"), unknown),
        "WebP": (as_file(pixels(9, 9, 3), "WEBP"), unknown),
        "TIFF": (as_file(pixels(9, 9, 3), "TIFF"), unknown),
        "40,000 x 40,000 PNG": (claim(png, 40_000, 40_000), large),
        "the largest PNG": (claim(png, 2**32 - 1, 2**32 - 1), large),
        "a PNG of no rows": (claim(png, 0, 9), "image_bytes has no pixels"),
        "a large JPEG": (as_file(pixels(1001, 1000), "JPEG"), large),
        "a large BMP": (bmp[:18] + (40_000).to_bytes(4, "little") * 2 + bmp[26:], large),
        "the tallest BMP": (bmp[:22] + (2**31).to_bytes(4, "little") + bmp[26:], large),
        "a BMP with a palette": (as_file(pixels(20, 31, 3), "BMP", palette=True), "palette of colours"),
        "a BMP of OS/2": (bmp[:14] + b"\x0c\0\0\0" + bmp[18:], "BMP file of a kind that is not read"),
        "a BMP with run lengths": (bmp[:30] + b"\1" + bmp[31:], "BMP file of a kind that is not read"),
        "a BMP with other masks": (bmp[:30] + b"\3" + bmp[31:], "BMP file of a kind that is not read"),
        "a short BMP": (bmp[:50], "BMP file of a kind that is not read"),
        "half a PNG": (png[: len(png) // 2], "Invalid PNG data"),
        "half a JPEG": (jpeg[: len(jpeg) // 2], "Invalid JPEG data"),
        "half a BMP": (bmp[: len(bmp) // 2], "Input size should match"),
    }


@pytest.mark.parametrize("name", bad_files())
def test_bad_files_are_answered_with_a_message(long_lived, name):
    file, expected = bad_files()[name]

    assert expected in refuse(long_lived, "encoded", image_bytes=np.array([file], object))


def test_a_file_of_many_pixels_costs_no_memory(long_lived):
    """A gray PNG of 20,000 x 20,000 is 0.4 GB when decoded, and 49 kB as a file."""
    bomb = cv2.imencode(".png", np.zeros((20_000, 20_000), np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    long_lived.forget_peak()
    before = long_lived.memory()["now"]

    refuse(long_lived, "encoded", image_bytes=np.array([bomb.tobytes()], object))

    assert long_lived.memory()["peak"] < before + 100


def test_one_bad_file_fails_its_whole_request(long_lived):
    files = [as_file(pixels(20, 20, 3)), b"no image"]

    assert "no PNG, JPEG or BMP" in refuse(long_lived, "encoded", image_bytes=np.array(files, object))


def test_too_many_files_are_refused(long_lived):
    files = np.array([as_file(pixels(1, 1, 3))] * 65, object)

    assert "more than 64 files" in refuse(long_lived, "encoded", image_bytes=files)


def malformed_requests(count, seed=0):
    """Yields (signature, feeds): `count` requests that no server should carry out."""
    generator = np.random.default_rng(seed)
    whole = [as_file(cv2.GaussianBlur(pixels(48, 64, 3), (0, 0), 3), kind) for kind in ("PNG", "JPEG", "BMP")]
    cuts = [file[:length] for file in whole for length in range(0, len(file) - 1, 10)]
    bad = [file for file, _ in bad_files().values()]
    for number in range(count):
        kind = number % 4
        if kind == 0:
            file = generator.bytes(int(generator.integers(0, 300)))
        elif kind == 1:
            file = cuts[int(generator.integers(len(cuts)))]
        elif kind == 2:
            file = whole[number // 4 % 2][:8] + generator.bytes(int(generator.integers(20, 300)))
        elif number // 4 % 2:
            file = bad[int(generator.integers(len(bad)))]
        else:
            image, _ = list(BAD_FLOATS.values())[int(generator.integers(len(BAD_FLOATS)))]
            yield "serving_default", {"image": image.astype(np.float32)}
            continue
        yield "encoded", {"image_bytes": np.array([file], object)}


def test_two_thousand_malformed_requests_leave_the_process_as_it_was(long_lived):
    for signature, feeds in malformed_requests(200, seed=1):  # until its buffers are as large as they get
        refuse(long_lived, signature, **feeds)
    before = long_lived.memory()["now"]

    for signature, feeds in malformed_requests(2000):
        assert len(refuse(long_lived, signature, **feeds)) > 20

    assert long_lived.memory()["now"] < before + 30


def test_flipped_bits_are_an_answer_or_a_message(long_lived):
    generator = np.random.default_rng(0)
    for number in range(300):
        file = bytearray(as_file(pixels(16, 16, 3), ("PNG", "JPEG", "BMP")[number % 3]))
        file[int(generator.integers(len(file)))] ^= 1 << int(generator.integers(8))
        try:
            long_lived.run("encoded", image_bytes=np.array([bytes(file)], object))
        except EngineError as error:
            assert error.code == "INVALID_ARGUMENT", error
