"""A bundle (export.py) as functions of JAX. Needs JAX and NumPy; see hlo.py for the other side.

    bundle = open_bundle(folder)
    results, state = bundle.train({"blurry": ..., "sharp": ...}, state)

Tried with JAX 0.10.2 (Python 3.11) and 0.11.2 (Python 3.12).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import numpy as np
from jax import export
from jax.extend import mlir

from srn.errors import InputError

from .state import read_facts

# Keras counts steps in int64. Must be set before the first array; so all code here names its dtypes.
jax.config.update("jax_enable_x64", True)

# The oldest of StableHLO 1: whatever reads any of them reads it.
STABLEHLO_VERSION = "1.0.0"


class Program:
    """A pure function `(arguments, state) -> (results, state)` of dicts of arrays.

    Args:
      module: a serialised HloModuleProto.
      description: of its parameters and outputs, as hlo.py writes it.

    Attributes:
      arguments, state: {name: `jax.ShapeDtypeStruct`} of what it takes.
    """

    def __init__(self, module: bytes, description: dict):
        self._parameters, self._outputs = description["parameters"], description["outputs"]
        self.arguments = {p["argument"]: _struct(p) for p in self._parameters if "argument" in p}
        self.state = {p["state"]: _struct(p) for p in self._parameters if "state" in p}
        stablehlo = mlir.serialize_portable_artifact(mlir.hlo_to_stablehlo(module), STABLEHLO_VERSION)
        self._call = _as_exported(bytes(stablehlo), self._parameters, self._outputs).call

    def __call__(self, arguments: dict, state: dict) -> tuple[dict, dict]:
        """`state` may have more than is read; what is not assigned is returned as it is."""
        outputs = self._call(
            *(arguments[p["argument"]] if "argument" in p else state[p["state"]] for p in self._parameters)
        )
        results, state = {}, dict(state)
        for entry, value in zip(self._outputs, outputs):
            if "state" in entry:
                state[entry["state"]] = value
            else:
                results[entry["result"]] = value
        return results, state


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A model's programs at one crop and batch size; `facts` is `bundle.json`."""

    facts: dict
    train: Program
    validate: Program

    @property
    def batch_size(self) -> int:
        return self.facts["batch_size"]

    @property
    def crop_size(self) -> int:
        return self.facts["crop_size"]


def open_bundle(folder) -> Bundle:
    """Reads a bundle and converts its programs."""
    folder = Path(folder)
    facts = read_facts(folder)
    programs = facts.pop("programs")
    return Bundle(
        facts, *(Program((folder / f"{n}.hlo.pb").read_bytes(), programs[n]) for n in ("train", "validate"))
    )


def on_device(state: dict, program: Program) -> dict:
    """The arrays of a state on the device. Raises `InputError` for one that the program would not take."""
    arrays = {}
    for key, struct in program.state.items():
        if key not in state:
            raise InputError(f"the state has no {key}: it is of another model than the bundle")
        array = np.asarray(state[key], struct.dtype)
        if array.shape != struct.shape:
            raise InputError(
                f"{key} of the state has the shape {array.shape}, not {struct.shape} as in the bundle"
            )
        arrays[key] = jax.numpy.asarray(array)
    return arrays


def _struct(entry):
    return jax.ShapeDtypeStruct(tuple(entry["shape"]), np.dtype(entry["dtype"]))


def _as_exported(stablehlo, parameters, outputs):
    """A StableHLO program as `jax.export.Exported`, whose `call` goes together with jit and scan.

    A function of the same signature is exported by the JAX that is installed, and its program exchanged:
    unlike `Exported.serialize` that asks for no agreement between two versions of JAX. `dataclasses.replace`
    of these fields is nothing that JAX promises: try a new version before trusting it.
    """

    def same_signature(*_):
        return tuple(jax.numpy.zeros(o["shape"], o["dtype"]) for o in outputs)

    unchecked = [export.DisabledSafetyCheck.platform()]
    template = export.export(jax.jit(same_signature), disabled_checks=unchecked)(*map(_struct, parameters))
    return dataclasses.replace(
        template,
        fun_name="srn",
        mlir_module_serialized=stablehlo,
        module_kept_var_idx=tuple(range(len(parameters))),
    )
