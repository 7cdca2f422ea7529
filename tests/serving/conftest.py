"""What the tests of serving share: a small exported model, and engines that run it as a server would."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `engine` and `double`, which also run as programs

import srn
from srn.config import ModelConfig
from srn.serving.export import export_savedmodel
from srn.weights import save_npz

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """(a small colour model, the folder of its exported version 1)."""
    model = srn.build_model(SMALL)
    folder = tmp_path_factory.mktemp("models") / "srn"
    return model, export_savedmodel(model, folder, max_pixels=1_000_000, warm_up_sizes=[(64, 48)])


@pytest.fixture(scope="session")
def deblurrer(served, tmp_path_factory):
    """What `srn-deblur` restores with, for the small model."""
    path = tmp_path_factory.mktemp("weights") / "small.npz"
    save_npz(served[0], path)
    return srn.Deblurrer(str(path))


@pytest.fixture(scope="session")
def make_engine(served):
    """Starts an engine for the small model: `make_engine(onednn=True)`; all are closed at the end."""
    from engine import Engine

    engines = {}

    def make(onednn=None):
        if onednn not in engines:
            engines[onednn] = Engine(served[1], onednn)
        return engines[onednn]

    yield make
    for engine in engines.values():
        engine.close()
