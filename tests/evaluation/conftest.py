"""`evaluate.py` called inside the test's own process."""

import importlib.util
from pathlib import Path

import pytest
from absl import flags

from srn import command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def evaluate_py():
    """The module; its flags, which other commands define too, go when the test ends."""
    before = set(flags.FLAGS)
    spec = importlib.util.spec_from_file_location("evaluate_py", ROOT / "evaluate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)


@pytest.fixture
def call(evaluate_py, capsys):
    """Calls the command with some words -> (exit code, stdout, lines on stderr)."""

    def call_with(*words):
        flags.FLAGS.unparse_flags()
        with pytest.raises(SystemExit) as ended:
            command.run(evaluate_py.main, ["evaluate.py", *map(str, words)])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err.splitlines()

    return call_with
