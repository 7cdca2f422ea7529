"""Loading of weights: checkpoints of this project and of the authors, `.npz` files, released weights.

`load_model` implements `--ckpt` of all commands.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from srn import official, released, run_files
from srn.config import ModelConfig
from srn.errors import InputError, first_line
from srn.files import write_atomically
from srn.released import WHICH
from srn.zoo import build_model, get_config, name_of

if TYPE_CHECKING:
    from srn.network import DeblurringNetwork

MODEL_FILE = "model.json"
AVERAGE = "average"  # of own checkpoints: what `srn.training.average.WeightAverage` keeps
KINDS = (
    "a model directory, a checkpoint prefix (own or the authors'), weights as .npz, "
    "or the name of released weights"
)
_PART = re.compile(r"^(?P<stem>.*_)\d+\.npz$")
_SHARD = re.compile(r"^(?P<prefix>.+)\.data-\d+-of-\d+$")


def load_model(
    ckpt: str | os.PathLike[str],
    model: str | ModelConfig | None = None,
    precision: str = "float32",
    prefer_average: bool = True,
    which: str | None = None,
) -> DeblurringNetwork:
    """Builds the network that `ckpt` belongs to, and loads the weights. All variables must match.

    Args:
      ckpt: a directory written by train.py (its latest checkpoint), a checkpoint prefix (in both
        cases the averaged weights, if any), a prefix of the authors' checkpoints, an `.npz` file (all its
        parts where it is one of `NAME_0.npz`, `NAME_1.npz`, ...), a folder of such parts, or the name of
        released weights (`srn.released`). Files and folders with weights take precedence over names.
      model: name of the model; None to take it from the weights.
      precision: see `srn.build_model`.
      prefer_average: whether to load averaged weights, if the checkpoint has any, or the latest ones.
      which: weights of the run in the folder `ckpt`: "best" by validation, "latest" (not averaged),
        "average" of the latest; `RUN/best` is short for it. By default as `prefer_average` says.

    Returns:
      A `DeblurringNetwork`.

    Raises `InputError` naming `ckpt` and what does not match.
    """
    found = _find(ckpt if which is None else Path(ckpt) / which)
    if found.parts:
        return _load_npz(found.parts, model, precision)
    prefer_average = prefer_average and found.which != "latest"
    if official.is_official(found.prefix):
        network = official.load_checkpoint(found.prefix, precision)
        _agree(network.config, model, found.prefix)
        return network
    return _load_own(found.prefix, model, precision, prefer_average)


def find_card(ckpt: str | os.PathLike[str]) -> dict[str, Any]:
    """The model card of the weights that `load_model(ckpt)` loads; empty unless they are released weights.

    Raises `InputError` like `load_model` if `ckpt` does not exist.
    """
    name = _find(ckpt).released
    return released.read_card(name) if name else {}


@dataclasses.dataclass(frozen=True)
class _Found:
    """Location of weights: parts of an `.npz` (of a released name), or a checkpoint prefix."""

    parts: tuple[Path, ...] = ()
    prefix: str = ""
    released: str | None = None
    which: str | None = None


def _find(ckpt) -> _Found:
    """Finds the location of `ckpt`; see `load_model`."""
    ckpt, path = str(ckpt), Path(ckpt)
    if not ckpt:
        raise InputError(f"no weights are named; give {KINDS}")
    if path.suffix == ".npz":
        return _Found(parts=_parts(path), released=released.name_of_file(path))
    if path.name in WHICH and path.parent.is_dir() and not path.exists():
        return _Found(prefix=_choose(path.parent, path.name), which=path.name)
    prefix = _prefix(path)
    if prefix is not None:
        return _Found(prefix=prefix)
    parts = tuple(sorted(path.glob("*.npz"))) if path.is_dir() else ()
    if parts:
        return _Found(parts=parts)
    file = released.find(ckpt)
    if file is not None:
        return _Found(parts=(file,), released=ckpt)
    raise InputError(_say_what_is_wrong(ckpt, path))


def _say_what_is_wrong(ckpt: str, path: Path) -> str:
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            return f"{ckpt}: is an exported model; give the weights that it was exported from ({KINDS})"
        return f"{ckpt}: holds no checkpoint; give {KINDS}"
    if path.exists():
        shard = _SHARD.match(path.name)
        if shard:
            return f"{ckpt}: is a part of a checkpoint; give its prefix, {path.with_name(shard['prefix'])}"
        return f"{ckpt}: does not contain weights; give {KINDS}"
    there = ", ".join(released.list_released()) or "none yet"
    return (
        f"{ckpt}: there is no such file, and no released weights have this name (there are: {there}); "
        f"give {KINDS}"
    )


# Weights by name: names as in the authors' checkpoints.


def named_variables(model: DeblurringNetwork, scope: str = "") -> dict[str, tf.Variable]:
    """{`<scope><convolution>/weights` or `.../biases`: variable}, in the authors' order of creation."""
    variables = {}
    for name, convolution in model.convolutions():
        variables[f"{scope}{name}/weights"] = convolution.kernel
        variables[f"{scope}{name}/biases"] = convolution.bias
    return variables


def assign(model: DeblurringNetwork, arrays: Mapping[str, np.ndarray], source: str, scope: str = "") -> None:
    """Copies `arrays` into `model`, all or nothing.

    Args:
      model: a `DeblurringNetwork`.
      arrays: {`<scope><convolution>/weights` or `.../biases`: array}, named as by `model.convolutions()`.
      source: name for error messages.
      scope: prefix of each name.

    Raises `InputError` naming every array that is missing, unknown or of another shape.
    """
    variables = named_variables(model, scope)
    problems = [f"{name} is missing" for name in variables if name not in arrays]
    problems += [f"{name} is not of this model" for name in arrays if name not in variables]
    problems += [
        f"{name} has the shape {tuple(arrays[name].shape)}, not {tuple(variable.shape)}"
        for name, variable in variables.items()
        if name in arrays and tuple(arrays[name].shape) != tuple(variable.shape)
    ]
    if problems:
        heading = f"{source}: does not fit the model {model.name!r}: {len(problems)} of its arrays differ"
        raise InputError("\n".join([heading, *(f"  {problem}" for problem in problems)]))
    for name, variable in variables.items():
        variable.assign(np.asarray(arrays[name], np.float32))


def checksum(model: DeblurringNetwork) -> str:
    """SHA-256 of the names, shapes and float32 values of all weights."""
    digest = hashlib.sha256()
    for name, variable in sorted(named_variables(model).items()):
        digest.update(f"{name}{list(variable.shape)}".encode())
        digest.update(variable.numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def _agree(config: ModelConfig, model: str | ModelConfig | None, source) -> ModelConfig:
    """The configuration to build: that of the weights, or the requested one if the weights match it.

    The two may differ in fields that only affect training. Raises `InputError` naming other differences.
    """
    if model is None:
        return config
    wanted = get_config(model)
    if not config.is_same_network(wanted):
        have, want = config.to_dict(), wanted.to_dict()
        differences = [
            f"{name} is {have[name]!r}, not {want[name]!r}" for name in have if have[name] != want[name]
        ]
        raise InputError(
            f"{source}: no weights of the model {model!r} as asked for: {', '.join(differences)}"
        )
    return wanted


def _prefix(path: Path) -> str | None:
    """The checkpoint prefix given by `path`, or None."""
    if path.suffix == ".index" and path.exists():
        return str(path.with_suffix(""))
    if Path(f"{path}.index").exists():
        return str(path)
    if not path.is_dir():
        return None
    return _newest(path) if run_files.steps_in(path) else _latest_in_list(path)


def _newest(model_dir: Path) -> str:
    """The newest checkpoint of a run. If it is damaged, raises `InputError` naming the newest intact one."""
    step, damaged = run_files.newest_whole(model_dir)
    if damaged:
        newest = max(damaged)
        there = (
            "there is no whole one" if step is None else f"the newest whole one is {model_dir}/step-{step}"
        )
        raise InputError(f"{run_files.prefix_of(model_dir, newest)}: damaged ({damaged[newest]}); {there}")
    assert step is not None  # there is a step, and it is not damaged
    return run_files.prefix_of(model_dir, step)


def _latest_in_list(folder: Path) -> str | None:
    """The latest checkpoint by TensorFlow's list, in a folder not written by this project."""
    try:
        return tf.train.latest_checkpoint(str(folder))
    except (tf.errors.OpError, ValueError):
        return None


def _choose(model_dir: Path, which: str) -> str:
    """The checkpoint of a run selected by one of `WHICH`."""
    if not run_files.steps_in(model_dir):
        raise InputError(f"which={which}: {model_dir} is not the folder of a training run")
    if which != "best":
        prefix = _newest(model_dir)
        if which == "average" and not has_average(prefix):
            raise InputError(f"which=average: {model_dir} keeps no average of the weights")
        return prefix
    step = run_files.read_best(model_dir).get("step")
    if step is None:
        raise InputError(
            f"which=best: {model_dir} was never validated, or its {run_files.BEST_FILE} is damaged; "
            "train with `val_data_dir`"
        )
    reason = run_files.damage_of(run_files.prefix_of(model_dir, step))
    if reason is not None:
        raise InputError(f"which=best: {run_files.prefix_of(model_dir, step)} is damaged ({reason})")
    return run_files.prefix_of(model_dir, step)


def has_checkpoint(model_dir: str | os.PathLike[str]) -> bool:
    """Whether the folder has a checkpoint of a run, intact or damaged."""
    return bool(run_files.steps_in(model_dir))


# Checkpoints of this project: TensorFlow's format, with the configuration of the model in `model.json`.


def write_model_file(model_dir: str | os.PathLike[str], config: ModelConfig) -> None:
    """Writes `model.json`, the configuration of the network of the checkpoints in a folder."""
    description = {"model": name_of(config), "config": config.to_dict()}
    write_atomically(Path(model_dir) / MODEL_FILE, (json.dumps(description, indent=2) + "\n").encode())


def read_model_file(model_dir: str | os.PathLike[str]) -> ModelConfig | None:
    """The configuration in `model.json` of a folder, None where there is no such file."""
    path = Path(model_dir) / MODEL_FILE
    if not path.exists():
        return None
    try:
        return ModelConfig.from_dict(json.loads(path.read_text())["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a description of a model ({error})") from error


def _load_own(prefix, model, precision, prefer_average):
    config = read_model_file(Path(prefix).parent)
    if config is None and model is None:
        raise InputError(f"{prefix}: {MODEL_FILE} is not beside it; name the model with --model")
    network = build_model(_agree(config or get_config(model), model, prefix), precision)
    restore(tf.train.Checkpoint(model=network), prefix, f"the model {network.name!r}").expect_partial()
    if prefer_average and has_average(prefix):
        averaged = {AVERAGE: network.trainable_variables}
        restore(tf.train.Checkpoint(**averaged), prefix, "an average of the weights").expect_partial()
    return network


def has_average(prefix: str) -> bool:
    """Whether a checkpoint has averaged weights in addition to the latest ones."""
    return tf.train.load_checkpoint(prefix).has_tensor(f"{AVERAGE}/0/.ATTRIBUTES/VARIABLE_VALUE")


def restore(checkpoint: tf.train.Checkpoint, prefix: str, what: str) -> Any:
    """Restores everything that `checkpoint` tracks. Raises `InputError` if any of it is not at `prefix`."""
    try:
        status = checkpoint.restore(prefix)
        status.assert_existing_objects_matched()
    except (AssertionError, *official.UNREADABLE) as error:
        reason = run_files.damage_of(prefix)
        if reason is not None:
            raise InputError(f"{prefix}: damaged ({reason})") from error
        raise InputError(f"{prefix}: does not hold {what} ({first_line(error)})") from error
    return status


# `.npz`: arrays under the authors' names, with entries `model` and `resize`.


def save_npz(model: DeblurringNetwork, path: str | os.PathLike[str]) -> None:
    """Writes the weights of `model` as one `.npz` that `load_model` takes; float32."""
    arrays = {name: variable.numpy() for name, variable in named_variables(model).items()}
    write_atomically(Path(path), encode_npz(model.config, arrays))


def encode_npz(config: ModelConfig, arrays: Mapping[str, np.ndarray], compress: bool = False) -> bytes:
    """An `.npz` that `load_model` takes.

    Args:
      config: of the network.
      arrays: its weights, with the names of `named_variables`; floating point.
      compress: whether to compress them.
    """
    facts = {"model": name_of(config) or "", "config": json.dumps(config.to_dict())}
    buffer = io.BytesIO()
    save = np.savez_compressed if compress else np.savez
    save(buffer, resize=config.resize_grid, **facts, **arrays)
    return buffer.getvalue()


def _parts(path: Path) -> tuple[Path, ...]:
    """`weights_0.npz` stands for all of `weights_<number>.npz` beside it."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    match = _PART.match(path.name)
    if match is None:
        return (path,)
    candidates = ((part, _PART.match(part.name)) for part in path.parent.glob("*.npz"))
    return tuple(sorted(part for part, other in candidates if other and other["stem"] == match["stem"]))


def _load_npz(parts, model, precision):
    entries = {}
    for part in parts:
        try:
            with np.load(part, allow_pickle=False) as file:
                entries.update(file.items())
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{part}: not an .npz file that can be read ({first_line(error)})") from error
    source = ", ".join(str(part) for part in parts)
    network = build_model(_agree(_config_of(entries, model, source), model, source), precision)
    assign(network, entries, source)
    return network


def _config_of(entries, model, source) -> ModelConfig:
    """Removes `model`, `config` and `resize` from the entries of an `.npz`, and returns them."""
    name, config = str(entries.pop("model", "")), str(entries.pop("config", ""))
    grid = str(entries.pop("resize", ""))
    if not (config or name or model):
        raise InputError(f"{source}: does not name its model; give --model")
    try:
        known = ModelConfig.from_dict(json.loads(config)) if config else get_config(name or model)
        return known.replace(resize_grid=grid) if grid else known
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
