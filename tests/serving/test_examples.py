"""The examples of serving/README.md for other engines, as they are pasted."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import srn
from srn.serving import conversion

README = Path(srn.__file__).parents[1] / "serving" / "README.md"
EXAMPLES = {
    engine: code
    for code, engine in re.findall(r"```python\n(# ([\w ]+): pip install .*?)```", README.read_text(), re.S)
}
NEEDED = {"ONNX Runtime": "tf2onnx", "TensorFlow Lite": "tensorflow", "OpenVINO": "openvino"}
WITH_A_SERVER = {"Triton"}  # test_triton.py


@pytest.mark.parametrize("engine", [engine for engine in EXAMPLES if engine not in WITH_A_SERVER])
def test_an_example_restores_a_photograph(engine, served, command, tmp_path):
    pytest.importorskip(NEEDED[engine], reason=f"{engine} is not installed: make test-full")
    model, folder = served
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "photo.jpg")
    if engine == "ONNX Runtime":
        conversion.export_onnx(model, tmp_path / "srn.onnx")
    elif engine == "TensorFlow Lite":
        conversion.export_tflite(model, tmp_path / "srn.tflite", "float32")
    else:
        shutil.copytree(folder, tmp_path / "served/srn/1")
    (tmp_path / "example.py").write_text(EXAMPLES[engine])

    result = command(tmp_path / "example.py", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    decoded = np.asarray(Image.open(tmp_path / "photo.jpg"), np.float32)
    expected = np.clip(model.restore(decoded[np.newaxis] / 255)[0], 0, 1) * 255
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "sharp.png")), np.rint(expected), atol=1)


def test_there_is_an_example_for_each_engine():
    assert set(EXAMPLES) == set(NEEDED) | WITH_A_SERVER
