"""What trains elsewhere needs neither TensorFlow nor the rest of the project."""

import ast
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "stablehlo"
COMMANDS = ["train", "agreement", "return_state", "time_step", "engine", "twin/engine"]


def imported(path):
    """(absolute names, files of the package) that a file imports when it is imported itself."""
    names, files = set(), set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1]
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            files |= {folder / f"{module}.py" for module in modules}
    return names, files


@pytest.mark.parametrize("command", COMMANDS)
def test_what_runs_elsewhere_imports_only_what_is_there(command):
    waiting, seen, names = {TOOLS / f"{command}.py"}, set(), set()
    while waiting - seen:
        path = (waiting - seen).pop()
        found, files = imported(path)
        seen.add(path)
        names |= found
        waiting |= files

    assert len(seen) > 2 and "numpy" in names
    assert names.isdisjoint({"srn", "tensorflow", "absl", "PIL", "scipy"})
