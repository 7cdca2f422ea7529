"""Fixtures of all tests: small images that are drawn here, and larger references where ../shared has them."""

import contextlib
import importlib.util
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import absl.logging  # noqa: F401 (its flags must be there before a test looks which flags a script adds)
import cv2
import numpy as np
import pytest
from absl import flags

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# As in a terminal: processes in the background of a shell, or by nohup, ignore these signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def shared():
    """The folder of references and real images; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("the references in ../shared are not there")
    return SHARED


def draw(seed, height=64, width=64):
    """A uint8 RGB image with edges: coloured rectangles on noise."""
    generator = np.random.default_rng(seed)
    image = generator.integers(90, 160, (height, width, 3)).astype(np.uint8)
    for _ in range(6):
        left, top = generator.integers(0, width), generator.integers(0, height)
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        cv2.rectangle(
            image, (int(left), int(top)), (int(left) + width // 3, int(top) + height // 4), colour, -1
        )
    return image


def write_image(path, image):
    """Writes RGB by the suffix of `path`, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def write_pairs(folder, count=4, height=64, width=64, blur_folder="blur", suffix=".png"):
    """`count` pairs in `folder/{BLUR_FOLDER,sharp}/0000.png`, ...; blurry is a mean over 5 columns."""
    for number in range(count):
        sharp = draw(number, height, width)
        write_image(folder / "sharp" / f"{number:04d}{suffix}", sharp)
        write_image(folder / blur_folder / f"{number:04d}{suffix}", cv2.blur(sharp, (5, 1)))
    return folder


@pytest.fixture
def pairs_dir(tmp_path):
    """A data set of the layout `pairs`: 4 pairs of 64x64."""
    return write_pairs(tmp_path / "pairs")


@pytest.fixture
def gopro_dir(tmp_path):
    """A data set of GOPRO's layout: two training sequences and one for tests, of 2 pairs each."""
    for folder in ("train/GOPR0001", "train/GOPR0002", "test/GOPR0003"):
        write_pairs(tmp_path / "gopro" / folder, count=2)
    return tmp_path / "gopro"


def run_command(*words, cwd=ROOT, timeout=300):
    """Runs a Python script of the repository as a process of its own; see `call` for what it costs."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture(scope="session")
def command():
    """`run_command`."""
    return run_command


@contextlib.contextmanager
def restored_flags():
    """Removes the flags that were defined meanwhile: several scripts define flags of the same names."""
    before = set(flags.FLAGS)
    try:
        yield
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a script, or `-m` a module, as `command` does, but in the process of the test.

    A process of its own imports TensorFlow anew, which takes seconds.
    """
    monkeypatch.chdir(ROOT)

    def call_with(*words):
        words = [str(word) for word in words]
        is_module = words[0] == "-m"
        monkeypatch.setattr(sys, "argv", words[1:] if is_module else words)
        capsys.readouterr()  # what was printed before
        code = 0
        with restored_flags(), monkeypatch.context() as patch:
            try:
                if is_module:
                    runpy.run_module(words[1], run_name="__main__", alter_sys=True)
                else:
                    patch.syspath_prepend(ROOT / Path(words[0]).parent)
                    runpy.run_path(words[0], run_name="__main__")
            except SystemExit as ended:
                code = ended.code or 0
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return call_with


@pytest.fixture(scope="session")
def make_pairs():
    """`write_pairs`."""
    return write_pairs


@pytest.fixture
def load_script(monkeypatch):
    """Imports a script of the repository by its path there; its flags are gone when the test ends."""

    def load(path):
        spec = importlib.util.spec_from_file_location(f"script_{Path(path).stem}", ROOT / path)
        script = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, script)  # where absl looks for who defines a flag
        spec.loader.exec_module(script)
        return script

    with restored_flags():
        yield load
