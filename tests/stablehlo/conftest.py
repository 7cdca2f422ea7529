import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "stablehlo"


@pytest.fixture(scope="session")
def stablehlo():
    """Imports a module of tools/stablehlo by name: its scripts see each other as neighbours."""
    sys.path.insert(0, str(TOOLS))
    yield importlib.import_module
    sys.path.remove(str(TOOLS))


@pytest.fixture(scope="session")
def in_jax():
    """Runs Python code, or a script of tools/stablehlo, where JAX is; skips where it is not installed."""
    python = Path(os.environ.get("JAX_PYTHON", ROOT / ".venv-jax" / "bin" / "python"))
    if not python.exists():
        pytest.skip("JAX is not installed; `make rehearse` does that, or set JAX_PYTHON")

    def run(*words, **options):
        environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
        words = [str(word) for word in words]
        return subprocess.run(
            [str(python), *words], env=environment, capture_output=True, text=True, **options
        )

    return run
