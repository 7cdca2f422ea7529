"""Other engines on the same weights."""

import importlib

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import srn
from srn import weights
from srn.config import ModelConfig
from srn.errors import InputError, WorkError
from srn.serving import conversion

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)
SHAPES = [(1, 1, 1), (2, 37, 53), (1, 64, 48), (1, 15, 99)]


@pytest.fixture(scope="module", params=[1, 3], ids=["gray", "colour"])
def model(request):
    return srn.build_model(SMALL.replace(channels=request.param))


def images(shape):
    return np.random.default_rng(0).random((*shape, 3), np.float32)


def restored_by(model, image):
    return np.clip(model.restore(image), 0, 1)


@pytest.mark.slow
def test_onnx_runtime_gives_what_the_model_gives(model, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: make test-full")
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: make test-full")

    conversion.export_onnx(model, tmp_path / "small.onnx")

    session = runtime.InferenceSession(str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"])
    for shape in SHAPES:
        (restored,) = session.run(["restored"], {"image": images(shape)})
        np.testing.assert_allclose(restored, restored_by(model, images(shape)), atol=1e-5)


@pytest.mark.parametrize("weights, tolerance", [("float32", 1e-5), ("float16", 5e-3)])
def test_tensorflow_lite_gives_what_the_model_gives(model, tmp_path, weights, tolerance):
    conversion.export_tflite(model, tmp_path / "small.tflite", weights)

    content = (tmp_path / "small.tflite").read_bytes()
    for shape in SHAPES:
        restored = conversion.run_tflite(content, images(shape))
        np.testing.assert_allclose(restored, restored_by(model, images(shape)), atol=tolerance)


@pytest.mark.parametrize("size", [(37, 53), (64, 48)])
def test_tensorflow_lite_of_one_size_is_static_throughout_and_delegates_take_it(model, tmp_path, size):
    conversion.export_tflite(model, tmp_path / "small.tflite", "float32", size)

    interpreter = tf.lite.Interpreter(str(tmp_path / "small.tflite"))
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert [list(each["shape_signature"]) for each in details] == [[1, *size, 3]] * 2
    restored = conversion.run_tflite((tmp_path / "small.tflite").read_bytes(), images((1, *size)))
    np.testing.assert_allclose(restored, restored_by(model, images((1, *size))), atol=1e-5)


@pytest.mark.parametrize("size", [(64, 48), None])
def test_with_a_size_no_tensor_of_a_tflite_file_is_dynamic(tmp_path, size):
    """Delegates take graphs of static sizes only."""
    conversion.export_tflite(srn.build_model(SMALL), tmp_path / "small.tflite", "float32", size)

    interpreter = tf.lite.Interpreter(str(tmp_path / "small.tflite"))
    interpreter.allocate_tensors()
    is_dynamic = any(-1 in tensor["shape_signature"] for tensor in interpreter.get_tensor_details())
    assert is_dynamic == (size is None)


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, (40, 56)])
def test_an_onnx_file_names_its_dimensions_and_says_what_it_is(tmp_path, size):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: make test-full")
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: make test-full")
    model = srn.build_model(SMALL)

    conversion.export_onnx(model, tmp_path / "small.onnx", size, {"name": "srn", "licence": "Apache-2.0"})

    written = onnx.load(str(tmp_path / "small.onnx"))
    onnx.checker.check_model(written)
    for value in (*written.graph.input, *written.graph.output):
        dimensions = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        assert dimensions == ["batch", *(size or ("height", "width")), 3]
    facts = {each.key: each.value for each in written.metadata_props}
    assert (facts["name"], facts["licence"]) == ("srn", "Apache-2.0")
    assert facts["weights_sha256"] == weights.checksum(model)
    assert "[0, 1]" in facts["input"]


def test_values_that_are_of_no_image_come_back_as_nan(tmp_path):
    model = srn.build_model(SMALL)
    conversion.export_tflite(model, tmp_path / "small.tflite", "float32")

    for value in (200.0, -5.0, np.nan):
        image = images((1, 16, 16))
        image[0, 3, 4, 1] = value
        assert np.isnan(conversion.run_tflite((tmp_path / "small.tflite").read_bytes(), image)).all()


@pytest.mark.parametrize("export", [conversion.export_tflite, conversion.export_onnx])
def test_what_cannot_be_converted_is_told_before_work_begins(tmp_path, export):
    if export is conversion.export_onnx:
        pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: make test-full")
    model = srn.build_model(SMALL)

    with pytest.raises(InputError, match="is a folder"):
        export(model, tmp_path)
    with pytest.raises(InputError, match=r"^size=99999x99999: is more than \d+ pixels"):
        export(model, tmp_path / "small", size=(99_999, 99_999))


@pytest.mark.parametrize("text", ["64", "0x5", "12x", "axb", "\uff14x5", "64X64"])
def test_a_size_that_is_none_is_one_line(call, text):
    result = call("-m", "srn.export_tflite", "--ckpt=x", "--output=y", f"--size={text}")

    (line,) = result.stderr.splitlines()
    assert result.returncode == 2 and f"--size: {text}: give WIDTHxHEIGHT" in line


@pytest.mark.slow
def test_openvino_reads_the_export_directly(served):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed: make test-full")
    model, folder = served

    compiled = openvino.Core().compile_model(str(folder), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    for shape in SHAPES:
        restored = compiled(images(shape))[0]
        np.testing.assert_allclose(restored, restored_by(model, images(shape)), atol=1e-5)


def test_a_wrong_conversion_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "run_tflite", lambda _, image: image)

    with pytest.raises(WorkError, match="away from the model"):
        conversion.export_tflite(srn.build_model(SMALL), tmp_path / "small.tflite")

    assert not list(tmp_path.iterdir())


def test_bfloat16_is_refused(tmp_path):
    with pytest.raises(InputError, match="float32 only"):
        conversion.export_tflite(srn.build_model(SMALL, "bfloat16"), tmp_path / "small.tflite")


@pytest.mark.parametrize("kind", ["tflite", pytest.param("onnx", marks=pytest.mark.slow)])
def test_the_commands_write_a_file(call, tmp_path, kind):
    if kind == "onnx":
        pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: make test-full")
    output = tmp_path / f"small.{kind}"

    result = call("-m", f"srn.export_{kind}", "--ckpt=sr_edrb1", f"--output={output}")

    assert result.returncode == 0, result.stderr
    assert output.stat().st_size > 4e6
    missing = call("-m", f"srn.export_{kind}", "--ckpt=sr_edrb1")
    (line,) = missing.stderr.splitlines()
    assert missing.returncode == 2
    assert line.startswith(f"export_{kind}.py: ") and "required: --output" in line


def test_both_commands_can_be_imported_and_define_no_flags():
    before = set(flags.FLAGS)

    for name in ("onnx", "tflite"):
        importlib.import_module(f"srn.export_{name}")

    assert set(flags.FLAGS) == before
