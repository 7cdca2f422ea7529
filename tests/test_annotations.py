"""Whoever calls a public function of `srn` finds the kinds of its arguments and of its result in its first line."""

import ast
from pathlib import Path

import pytest

import srn

PACKAGE = Path(srn.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def public_functions(body):
    """The functions of a module and the methods of its public classes that other modules may call."""
    for node in body:
        if getattr(node, "name", "_").startswith("_"):
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
    if function.returns is None:
        yield "its result"


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_are_annotated_in_full(module):
    functions = public_functions(ast.parse((PACKAGE / module).read_text()).body)

    bare = [
        f"{function.name}: {', '.join(missing)}"
        for function in functions
        if (missing := list(missing_annotations(function)))
    ]

    assert not bare
