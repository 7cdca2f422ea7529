"""Settings: frozen dataclasses whose fields are also the flags of a command and the lines of a flagfile.

A field made by `setting` has a help text and constraints, from which checks, flags and flagfiles are derived.
This module does not import TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

from absl import flags

from srn import command
from srn.errors import InputError

# Flags defined here belong to the command that calls `define_flags`.
flags.disclaim_key_flags()

Settings = TypeVar("Settings", bound=Any)


def setting(
    default: Any,
    help_text: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] | None = None,
) -> Any:
    """A field of a settings class, annotated as `str`, `int`, `float` or `bool`, with or without `| None`.

    The module of the class says `from __future__ import annotations`: annotations are read as text.

    Args:
      default: the default value.
      help_text: description, with the unit and the meaning of 0 or None.
      minimum, maximum: inclusive bounds of a number.
      choices: the allowed values.
    """
    return dataclasses.field(
        default=default,
        metadata={"help": help_text, "minimum": minimum, "maximum": maximum, "choices": choices},
    )


def check(settings: Any) -> None:
    """Checks each field of a settings object against its type, bounds and choices.

    Raises `InputError` with a line for each invalid field.
    """
    problems = []
    for field in dataclasses.fields(settings):
        value, allowed = getattr(settings, field.name), _allowed(field)
        if not _is_allowed(field, value):
            problems.append(f"{field.name}={value!r} is not possible; give {allowed}")
    if problems:
        raise InputError("\n".join(problems))


def _kind(field) -> tuple[str, bool]:
    """The type of a field by its annotation, and whether None is one of its values."""
    kind, *others = field.type.split(" | ")
    return kind, "None" in others


def _is_allowed(field, value) -> bool:
    kind, optional = _kind(field)
    if value is None:
        return optional
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "str":
        choices = field.metadata["choices"]
        return isinstance(value, str) and value != "" and (choices is None or value in choices)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral if kind == "int" else numbers.Real):
        return False
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    maximum = sys.maxsize if kind == "int" and maximum is None else maximum
    return (
        math.isfinite(value)
        and (minimum is None or value >= minimum)
        and (maximum is None or value <= maximum)
    )


def _allowed(field) -> str:
    """`a whole number of at least 1`, `one of xavier, identity`, ..."""
    kind, optional = _kind(field)
    words = {"bool": "True or False", "str": "some text", "int": "a whole number", "float": "a number"}[kind]
    minimum, maximum, choices = (field.metadata[name] for name in ("minimum", "maximum", "choices"))
    if choices is not None:
        words = f"one of {', '.join(choices)}"
    if minimum is not None:
        words += f" of at least {minimum}" if maximum is None else f" from {minimum} to {maximum}"
    return words + (" or None" if optional else "")


# Flags


def define_flags(settings_class: Any, registry: flags.FlagValues = flags.FLAGS) -> None:
    """Defines a flag for each field of `settings_class`, with its name, default and help text."""
    for field in dataclasses.fields(settings_class):
        kind, _ = _kind(field)
        default: Any = field.default
        text, bounds = field.metadata["help"], {}
        if kind in ("int", "float"):
            bounds = {"lower_bound": field.metadata["minimum"], "upper_bound": field.metadata["maximum"]}
        if field.metadata["choices"] is not None:
            flags.DEFINE_enum(field.name, default, list(field.metadata["choices"]), text, registry)
            continue
        define: Any = {
            "str": flags.DEFINE_string,
            "int": flags.DEFINE_integer,
            "float": flags.DEFINE_float,
            "bool": flags.DEFINE_boolean,
        }[kind]
        define(field.name, default, text, flag_values=registry, **bounds)


def from_flags(
    settings_class: type[Settings], registry: flags.FlagValues = flags.FLAGS, **changes: Any
) -> Settings:
    """The settings that parsed flags hold, with some fields changed. Raises `InputError` as `check` does."""
    names = [field.name for field in dataclasses.fields(settings_class)]
    return settings_class(**{**{name: registry[name].value for name in names}, **changes})


def from_flagfile(
    settings_class: type[Settings], path: str | os.PathLike[str], ignored: Sequence[str] = (), **changes: Any
) -> Settings:
    """Reads settings from a flagfile: `--name=value` a line, `#` before a comment.

    Args:
      settings_class: class of the result.
      path: the flagfile.
      ignored: flags of the command that are not fields and may be in the file.
      **changes: fields to change.

    Raises `InputError` naming the file for one that cannot be read, or holds anything else.
    """
    registry = flags.FlagValues()
    define_flags(settings_class, registry)
    for name in ignored:
        flags.DEFINE_string(name, None, "", registry)
    words = command.expand_flagfiles([f"--flagfile={os.fspath(path)}"])
    try:
        others = registry(["", *words])[1:]
    except flags.Error as error:
        raise InputError(f"{path}: not a flagfile of this command ({error})") from error
    if others:
        raise InputError(f"{path}: what is {others[0]!r}? each line is --name=value")
    return from_flags(settings_class, registry, **changes)


def to_flagfile(settings: Any, **others: str) -> str:
    """The lines of a flagfile with every field that is not None; the inverse of `from_flagfile`.

    Args:
      settings: an object of a settings class.
      **others: flags of the command that are not fields, with their values.
    """
    registry = flags.FlagValues()
    define_flags(type(settings), registry)
    for name in others:
        flags.DEFINE_string(name, None, "", registry)
    values = {
        **{field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)},
        **others,
    }
    for name, value in values.items():
        registry[name].value = value
    return "".join(f"{registry[name].serialize()}\n" for name, value in values.items() if value is not None)
