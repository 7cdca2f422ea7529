"""Other engines on the same weights."""

import importlib

import numpy as np
import pytest
from absl import flags

import srn
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
def test_the_commands_write_a_file(command, tmp_path, kind):
    if kind == "onnx":
        pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: make test-full")
    output = tmp_path / f"small.{kind}"

    result = command("-m", f"srn.export_{kind}", "--ckpt=sr_edrb1", f"--output={output}")

    assert result.returncode == 0, result.stderr
    assert output.stat().st_size > 4e6
    missing = command("-m", f"srn.export_{kind}", "--ckpt=sr_edrb1")
    (line,) = missing.stderr.splitlines()
    assert missing.returncode == 2
    assert line.startswith(f"export_{kind}.py: ") and "required: --output" in line


def test_both_commands_can_be_imported_and_define_no_flags():
    before = set(flags.FLAGS)

    for name in ("onnx", "tflite"):
        importlib.import_module(f"srn.export_{name}")

    assert set(flags.FLAGS) == before
