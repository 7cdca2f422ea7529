import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def stablehlo():
    """Imports a module of tools/stablehlo by name."""
    sys.path.insert(0, str(ROOT))
    yield lambda name: importlib.import_module(f"tools.stablehlo.{name}")
    sys.path.remove(str(ROOT))


@pytest.fixture(scope="session")
def in_jax(stablehlo, tmp_path_factory):
    """Runs Python code, or `-m` a module of tools/stablehlo, where JAX is, with nothing but `TRANSFERRED`.

    Skips where JAX is not installed.
    """
    python = Path(os.environ.get("JAX_PYTHON", ROOT / ".venv-jax" / "bin" / "python"))
    if not python.exists():
        pytest.skip("JAX is not installed; `make rehearse` does that, or set JAX_PYTHON")

    transferred = tmp_path_factory.mktemp("transferred")
    stablehlo("rehearse").copy_transferred(transferred)

    def run(*words, **options):
        environment = {**os.environ, "PYTHONPATH": str(transferred)}
        words = [str(word) for word in words]
        return subprocess.run(
            [str(python), *words], env=environment, capture_output=True, text=True, **options
        )

    return run
