"""A compiled TensorFlow function as a program for other frameworks: TensorFlow's side; see program.py.

XLA turns each variable that a `tf.function(jit_compile=True)` reads into a plain parameter, each that it
assigns into one more output, and notes in the module's `input_output_alias` which output is the new value of
which parameter. So the function becomes a pure one,

    (arguments, state) -> (results, new values of what was assigned)

without being written a second time.
"""

from __future__ import annotations

import collections

from tensorflow.compiler.xla.service import hlo_pb2

# PrimitiveType of xla_data.proto -> name of the dtype.
XLA_DTYPES = {1: "bool", 4: "int32", 5: "int64", 6: "uint8", 11: "float32", 12: "float64", 16: "bfloat16"}
TUPLE = 13
# These cannot leave TensorFlow's runtime, or have a state of their own.
NOT_PORTABLE = {
    *("custom-call", "infeed", "outfeed", "send", "recv", "all-reduce"),
    *("rng", "rng-get-and-update-state", "partition-id", "replica-id"),
}
HIGHEST = 2  # PrecisionConfig: float32 stays float32 where a GPU would take TF32


def export_function(function, arguments: dict, variables: dict, exact: bool = False) -> tuple[bytes, dict]:
    """Turns a function into an HLO module and a description of its parameters and outputs.

    Args:
      function: a `tf.function(jit_compile=True)` of tensors that returns a flat dict of tensors.
      arguments: {name: `tf.TensorSpec` with a static shape}, in the order of the call.
      variables: {key: `tf.Variable`} of all that the function reads or assigns.
      exact: whether float32 convolutions must not be rounded to TF32.

    Returns:
      (serialised HloModuleProto, {"parameters": [...], "outputs": [...]}); each entry has `shape`, `dtype`
      and one of `argument`, `state`, `result` with its name or key.

    Raises ValueError for operations that no other framework has, and for variables that `variables` lacks.
    """
    specs = list(arguments.values())
    concrete = function.get_concrete_function(*specs)
    serialised = function.experimental_get_compiler_ir(*specs)(stage="hlo_serialized")
    module = hlo_pb2.HloModuleProto.FromString(serialised)
    _require_portable(module)
    shapes = module.host_program_shape
    parameters = _described(
        [{"argument": name} for name in arguments] + _captured(concrete, variables),
        shapes.parameters,
    )
    results = shapes.result.tuple_shapes if shapes.result.element_type == TUPLE else [shapes.result]
    updated = {e.output_shape_index[0]: e.parameter_number for e in module.input_output_alias.entries}
    names = sorted(concrete.structured_outputs)  # as tf.nest flattens a dict
    outputs = _described(
        [
            {"state": parameters[updated[index]]["state"]} if index in updated else {"result": names[index]}
            for index in range(len(results))
        ],
        results,
    )
    _require_same_shapes(outputs, parameters)
    _make_portable(module, exact)
    return module.SerializeToString(), {"parameters": parameters, "outputs": outputs}


def _captured(concrete, variables):
    """What a function reads beside its arguments, in the order of its parameters."""
    keys = {id(variable.handle): key for key, variable in variables.items()}
    names = {id(variable.handle): variable.name for variable in concrete.graph.variables}
    captured = []
    for tensor in concrete.captured_inputs:
        if id(tensor) not in keys:
            raise ValueError(
                f"the function reads {names.get(id(tensor), tensor)}, which is no part of the state"
            )
        captured.append({"state": keys[id(tensor)]})
    return captured


def _described(entries, shapes):
    if len(entries) != len(shapes):
        raise ValueError(f"the module has {len(shapes)} parameters or outputs, not {len(entries)}")
    return [
        {**entry, "shape": list(shape.dimensions), "dtype": XLA_DTYPES[shape.element_type]}
        for entry, shape in zip(entries, shapes)
    ]


def _require_portable(module):
    instructions = [
        instruction for computation in module.computations for instruction in computation.instructions
    ]
    opcodes = collections.Counter(instruction.opcode for instruction in instructions)
    found = sorted(NOT_PORTABLE & set(opcodes))
    if found:
        targets = sorted({i.custom_call_target for i in instructions if i.opcode == "custom-call"})
        raise ValueError(f"the function is not portable: {', '.join(found)} {targets or ''}")


def _require_same_shapes(outputs, parameters):
    of_state = {entry["state"]: entry for entry in parameters if "state" in entry}
    for entry in outputs:
        if "state" in entry and entry != of_state[entry["state"]]:
            raise ValueError(f"{entry} would become {of_state[entry['state']]}")


def _make_portable(module, exact):
    """Leaves mathematics alone, in place.

    No paths of this machine, no aliases, no operation that StableHLO lacks.
    """
    for computation in module.computations:
        for instruction in computation.instructions:
            instruction.ClearField("metadata")
            if instruction.opcode == "copy":  # into a buffer of its own; the same shape
                instruction.opcode = "reshape"
            if exact and instruction.opcode in ("convolution", "dot"):
                del instruction.precision_config.operand_precision[:]
                instruction.precision_config.operand_precision.extend([HIGHEST] * 2)
    module.ClearField("input_output_alias")
    module.ClearField("stack_frame_index")
    module.name = "srn"
