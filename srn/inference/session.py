"""TensorFlow's session alone: it starts in a fifth of the time that the whole of TensorFlow takes.

`import tensorflow` loads two thousand modules, most of them for building, training and distributing
networks. What runs a graph that is there already, the session of TensorFlow 1 on the same kernels, needs a
tenth of them. Python runs a package's `__init__` before any of its modules, though, and TensorFlow's imports
everything: so a package that is still to be initialised stands in for it until a public name is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np

_PACKAGE = "tensorflow"
_FLOAT = 1  # DT_FLOAT of tensorflow/core/framework/types.proto
_VALUE, _ASSIGNMENT = "/value", "/assignment"  # go behind the names of variables


class _LatePackage(types.ModuleType):
    """A package whose modules can be imported at once, and whose own names come at their first use."""

    def __init__(self, spec: importlib.machinery.ModuleSpec):
        super().__init__(spec.name)
        assert spec.loader is not None  # of a package with an `__init__`
        self.__spec__, self.__loader__, self.__file__ = spec, spec.loader, spec.origin
        self.__path__ = list(spec.submodule_search_locations or ())
        self._initialise = spec.loader.exec_module
        self._lock, self._begun = threading.RLock(), False

    def __getattr__(self, name: str) -> Any:
        with self._lock:  # another thread waits until all names are there
            if not self._begun:
                self._begun = True
                self._initialise(self)
            try:
                return self.__dict__[name]
            except KeyError:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def tensorflow_version() -> str:
    """As `tf.__version__`."""
    return _module("python.framework.versions").VERSION


def parse_graph(serialized: bytes) -> Any:
    """The `GraphDef` that `SerializeToString` has written."""
    return _module("core.framework.graph_pb2").GraphDef.FromString(serialized)


def load_function(
    definition: Any, variables: dict[str, np.ndarray], input_name: str, output_name: str
) -> Callable[[np.ndarray], np.ndarray]:
    """The function of arrays that a graph computes; may be called by several threads.

    Args:
      definition: a `GraphDef`, whose variables are placeholders of resources.
      variables: {name of such a placeholder's tensor: float32 value}.
      input_name: of the tensor that the function is given.
      output_name: of the one that it gives back.
    """
    graph = _module("python.framework.ops").Graph()
    with graph.as_default():
        _module("python.framework.importer").import_graph_def(_with_variables(definition, variables), name="")
    graph.finalize()
    running = _module("python.client.session").Session(graph=graph)
    values = {f"{_node_of(name)}{_VALUE}:0": value for name, value in variables.items()}
    running.run([_node_of(name) + _ASSIGNMENT for name in variables], values)
    return running.make_callable(output_name, [input_name])


def _with_variables(definition, variables):
    """The same graph, in which placeholders of resources are variables, with what assigns their values."""
    shapes = {_node_of(name): value.shape for name, value in variables.items()}
    changed = type(definition)(versions=definition.versions, library=definition.library)
    for node in definition.node:
        name = node.name
        if name not in shapes:
            changed.node.append(node)
            continue
        variable = changed.node.add(name=name, op="VarHandleOp")
        variable.attr["shared_name"].s = name.encode()
        # With the shape at hand TensorFlow fuses convolutions and biases, as where it runs eagerly.
        for size in shapes[name]:
            variable.attr["shape"].shape.dim.add(size=size)
        value = changed.node.add(name=name + _VALUE, op="Placeholder")
        assignment = changed.node.add(name=name + _ASSIGNMENT, op="AssignVariableOp")
        assignment.input.extend([name, value.name])
        for each in (variable, value, assignment):
            each.attr["dtype"].type = _FLOAT
    return changed


def _node_of(tensor_name):
    return tensor_name.partition(":")[0]


def _module(name):
    """A module of TensorFlow, whose package is left to be initialised later if it is not yet."""
    if _PACKAGE not in sys.modules:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None:
            raise ImportError(f"{_PACKAGE} is not installed")
        sys.modules[_PACKAGE] = _LatePackage(spec)
        os.environ["TF2_BEHAVIOR"] = "1"  # as the package itself begins
        importlib.import_module(f"{_PACKAGE}.python.tf2").enable()
    return importlib.import_module(f"{_PACKAGE}.{name}")
