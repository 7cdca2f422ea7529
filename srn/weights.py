"""Finding and loading weights: own checkpoints, the authors', `.npz` files, released ones by name.

`--ckpt` of every command is given to `load_model`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from srn import official, released
from srn.config import ModelConfig
from srn.errors import InputError, first_line
from srn.files import write_atomically
from srn.zoo import build_model, get_config, name_of

MODEL_FILE = "model.json"
AVERAGE = "average"  # of own checkpoints: what `srn.training.optimizers.WeightAverage` keeps
KINDS = (
    "a model directory, a checkpoint prefix (own or the authors'), weights as .npz, "
    "or the name of released weights"
)
_PART = re.compile(r"^(?P<stem>.*_)\d+\.npz$")


def load_model(ckpt: str, model: str | None = None, precision: str = "float32", prefer_average: bool = True):
    """Builds the network that `ckpt` belongs to, and fills it. Everything must fit; nothing is guessed.

    Args:
      ckpt: a directory written by train.py (its latest checkpoint), a checkpoint prefix (in both, the
        averaged weights where there are such), a prefix of the authors' checkpoints, an `.npz` file (all its
        parts where it is one of `NAME_0.npz`, `NAME_1.npz`, ...), a folder of such parts, or the name of
        released weights (`srn.released`). A file or folder goes before a name.
      model: the name of the model, where the caller insists on one.
      precision: see `srn.build_model`.
      prefer_average: whether own checkpoints that hold averaged weights give those, or the latest ones.

    Returns:
      A `ScaleRecurrentNetwork`.

    Raises `InputError` that names `ckpt` and what does not fit.
    """
    ckpt, path = str(ckpt), Path(ckpt)
    if path.suffix == ".npz":
        return _load_npz(_parts(path), model, precision)
    prefix = _prefix(path)
    if prefix is not None:
        if official.is_official(prefix):
            network = official.load_checkpoint(prefix, precision)
            _agree(network.config, model, prefix)
            return network
        return _load_own(prefix, model, precision, prefer_average)
    if path.is_dir():
        parts = sorted(path.glob("*.npz"))
        if parts:
            return _load_npz(parts, model, precision)
    file = released.find(ckpt)
    if file is not None:
        return _load_npz([file], model, precision)
    if path.is_dir():
        raise InputError(f"{ckpt}: holds no checkpoint; give {KINDS}")
    there = ", ".join(released.list_released()) or "none yet"
    raise InputError(
        f"{ckpt}: there is no such file, and no released weights have this name (there are: {there}); "
        f"give {KINDS}"
    )


def checksum(model) -> str:
    """SHA-256 over the names, shapes and float32 values of all weights: the same for the same network."""
    digest = hashlib.sha256()
    for name, variable in sorted(official.named_variables(model).items()):
        digest.update(f"{name}{list(variable.shape)}".encode())
        digest.update(variable.numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def _agree(config: ModelConfig, model: str | None, source) -> ModelConfig:
    """The configuration to build: that of the weights, or the one asked for if the weights fit it.

    The two may differ in what matters in training alone. Raises `InputError` that says what else differs.
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
    """The checkpoint prefix that `path` stands for, None if it stands for none."""
    if path.suffix == ".index" and path.exists():
        return str(path.with_suffix(""))
    if Path(f"{path}.index").exists():
        return str(path)
    return tf.train.latest_checkpoint(str(path)) if path.is_dir() else None


def has_checkpoint(model_dir) -> bool:
    """Whether a run in this folder can be resumed."""
    return tf.train.latest_checkpoint(str(model_dir)) is not None


# Own checkpoints: TensorFlow's format, with the model's configuration beside them.


def write_model_file(model_dir, config: ModelConfig) -> None:
    """Writes `model.json`, which tells later commands which network the checkpoints of a folder hold."""
    description = {"model": name_of(config), "config": config.to_dict()}
    write_atomically(Path(model_dir) / MODEL_FILE, (json.dumps(description, indent=2) + "\n").encode())


def read_model_file(model_dir) -> ModelConfig | None:
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
    """Whether an own checkpoint holds averaged weights beside the latest ones."""
    return tf.train.load_checkpoint(prefix).has_tensor(f"{AVERAGE}/0/.ATTRIBUTES/VARIABLE_VALUE")


def restore(checkpoint: tf.train.Checkpoint, prefix: str, what: str):
    """Restores everything that `checkpoint` tracks. Raises `InputError` if any of it is not at `prefix`."""
    try:
        status = checkpoint.restore(prefix)
        status.assert_existing_objects_matched()
    except (AssertionError, *official.UNREADABLE) as error:
        raise InputError(f"{prefix}: does not hold {what} ({first_line(error)})") from error
    return status


# `.npz`: arrays under the authors' names, with entries `model` and `resize`.


def save_npz(model, path) -> None:
    """Writes the weights of `model` as one `.npz` that `load_model` takes; float32."""
    arrays = {name: variable.numpy() for name, variable in official.named_variables(model).items()}
    facts = {"model": name_of(model.config) or "", "config": json.dumps(model.config.to_dict())}
    buffer = io.BytesIO()
    np.savez(buffer, resize=model.config.resize_grid, **facts, **arrays)
    write_atomically(Path(path), buffer.getvalue())


def _parts(path: Path) -> list[Path]:
    """`weights_0.npz` stands for all of `weights_<number>.npz` beside it."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    match = _PART.match(path.name)
    if match is None:
        return [path]
    return sorted(
        part
        for part in path.parent.glob("*.npz")
        if _PART.match(part.name) and _PART.match(part.name)["stem"] == match["stem"]
    )


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
    official.assign(network, entries, source)
    return network


def _config_of(entries, model, source) -> ModelConfig:
    """Takes `model`, `config` and `resize` out of the entries of an `.npz`."""
    name, config = str(entries.pop("model", "")), str(entries.pop("config", ""))
    grid = str(entries.pop("resize", ""))
    if not (config or name or model):
        raise InputError(f"{source}: says of no model; name it with --model")
    try:
        known = ModelConfig.from_dict(json.loads(config)) if config else get_config(name or model)
        return known.replace(resize_grid=grid) if grid else known
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
