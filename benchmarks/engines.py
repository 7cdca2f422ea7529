"""Start-up and run time of the same network in TensorFlow, OpenVINO and ONNX Runtime, on one image.

    pip install -e .[onnx,openvino]
    python benchmarks/engines.py --ckpt srn --size 1280x720

Each engine and precision runs in a process of its own, after one that fills the caches (the stored graph of
TensorFlow, the compiled model of OpenVINO). Times are wall-clock time / CPU time in seconds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ENGINES = (
    ("tensorflow", "bfloat16"),
    ("openvino", "bfloat16"),
    ("tensorflow", "float32"),
    ("openvino", "float32"),
    ("onnxruntime", "float32"),
)
WARM_UP = (1, 64, 64, 3)


def load_tensorflow(ckpt, precision, folder):
    """As `srn-deblur` loads it."""
    from srn.inference import stored_graph

    stored = stored_graph.load(ckpt, precision)
    assert stored is not None, "the first process writes it"
    return stored.restore


def load_openvino(ckpt, precision, folder):
    """From ONNX; later starts read the compiled model from the cache."""
    import openvino

    core = openvino.Core()
    core.set_property({"CACHE_DIR": str(folder / "openvino")})
    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    compiled = core.compile_model(str(folder / "model.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": hint})
    request = compiled.create_infer_request()
    return lambda image: request.infer({0: image}, share_inputs=True)[0]


def load_onnxruntime(ckpt, precision, folder):
    """From ONNX."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def measure_engine(engine: str, precision: str, ckpt: str, folder: Path) -> None:
    """Prints the times of loading, the first small run, the first and the second run of the image."""
    image = np.load(folder / "image.npy")
    marks = [(time.perf_counter(), time.process_time())]

    def mark(_: object) -> None:
        marks.append((time.perf_counter(), time.process_time()))

    run = globals()[f"load_{engine}"](ckpt, precision, folder)
    mark(None)
    mark(run(np.zeros(WARM_UP, np.float32)))
    mark(run(image))
    restored = run(image)
    mark(None)
    np.save(folder / f"{engine}-{precision}.npy", np.clip(restored, 0, 1))
    steps = (f"{b[0] - a[0]:.2f} / {b[1] - a[1]:.2f}" for a, b in zip(marks, marks[1:]))
    print(f"{engine} {precision}", *steps, sep=" | ", end="", flush=True)


def main() -> None:
    """Measures all engines and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ckpt", default="srn")
    parser.add_argument("--size", default="1280x720", help="WIDTHxHEIGHT")
    parser.add_argument("--engine", nargs=3, metavar=("NAME", "PRECISION", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.engine:
        engine, precision, folder = arguments.engine
        measure_engine(engine, precision, arguments.ckpt, Path(folder))
        return
    with tempfile.TemporaryDirectory() as name:
        measure_all(arguments.ckpt, arguments.size, Path(name))


def measure_all(ckpt: str, size: str, folder: Path) -> None:
    """Exports the model, then runs each engine twice in a process and prints the second result."""
    import srn
    from srn.serving.conversion import export_onnx

    os.environ["XDG_CACHE_HOME"] = str(folder)
    width, height = map(int, size.split("x"))
    image = np.random.default_rng(0).random((1, height, width, 3), np.float32)
    np.save(folder / "image.npy", image)
    export_onnx(srn.load_model(ckpt), folder / "model.onnx")
    for precision in ("float32", "bfloat16"):
        srn.Deblurrer(ckpt, precision=precision, keep_graph=True)
    print(f"{ckpt}, {size}, load average {os.getloadavg()[0]:.1f}")
    print("engine | import and load | first run, 64x64 | first run | second run | difference", flush=True)
    words = [sys.executable, __file__, "--ckpt", ckpt, "--engine"]
    for engine, precision in ENGINES:
        if engine == "openvino":  # compiles and caches
            subprocess.run([*words, engine, precision, folder], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*words, engine, precision, folder], check=True)
        restored = np.load(folder / f"{engine}-{precision}.npy")
        expected = np.load(folder / f"tensorflow-{precision}.npy")
        print(f" | {np.abs(restored - expected).max():.1e}", flush=True)


if __name__ == "__main__":
    main()
