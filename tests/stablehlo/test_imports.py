"""What runs on the training machine needs neither TensorFlow nor the rest of the project."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "stablehlo"
COMMANDS = ["train", "agreement", "return_state", "time_step", "engine", "twin/engine"]


def imported(path):
    """(names of other packages, files of this repository) that a file imports when it is imported itself."""
    names, files = set(), set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module.startswith("srn."):
            files.add(ROOT / f"{node.module.replace('.', '/')}.py")
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1]
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            files |= {folder / f"{module}.py" for module in modules}
    return names, files


@pytest.mark.parametrize("command", COMMANDS)
def test_the_training_machine_needs_only_what_is_transferred(command, stablehlo):
    waiting, seen, names = {TOOLS / f"{command}.py"}, set(), set()
    while waiting - seen:
        path = (waiting - seen).pop()
        found, files = imported(path)
        seen.add(path)
        names |= found
        waiting |= files

    assert len(seen) > 2 and "numpy" in names
    assert names.isdisjoint({"srn", "tensorflow", "absl", "PIL", "scipy"})
    transferred = importlib.import_module("tools.stablehlo").TRANSFERRED
    allowed = [ROOT / name for name in transferred]
    assert all(any(path == top or top in path.parents for top in allowed) for path in seen)
