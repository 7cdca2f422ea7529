"""All public functions of `srn` have type annotations."""

import ast
from pathlib import Path

import srn

PACKAGE = Path(srn.__file__).parent


def public_functions(body):
    """The public functions of a module, and constructors and methods of its public classes."""
    for node in body:
        name = getattr(node, "name", "_")
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(node, ast.ClassDef):
            yield from public_functions(node.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def missing_annotations(function):
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    for argument in filter(None, arguments):
        if argument.annotation is None and argument.arg not in ("self", "cls"):
            yield argument.arg
    if function.returns is None and function.name != "__init__":
        yield "its result"


def test_public_functions_are_annotated_in_full():
    bare = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for function in public_functions(ast.parse(path.read_text()).body):
            missing = list(missing_annotations(function))
            if missing:
                bare.append(f"{path.relative_to(PACKAGE)}: {function.name}: {', '.join(missing)}")

    assert not bare, "\n".join(bare)
