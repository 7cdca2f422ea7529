"""Cache of the graphs of released networks, so that commands need not build them with Keras.

Importing TensorFlow completely, building and tracing takes three seconds at each start; a graph of the same
operations only needs TensorFlow's session (`srn.inference.session`), is loaded in a fraction of a second, and
gives bit-identical results. Graphs do not include weights. They are stored in the user's cache folder
(`~/.cache/srn-deblurnet`) with names that depend on the weights, the precision, the version of TensorFlow and
the source code of the network. The folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import srn
from srn import released
from srn.config import ModelConfig
from srn.files import write_atomically
from srn.inference import session

if TYPE_CHECKING:
    from srn.network import DeblurringNetwork

_CODE = (
    "config.py",
    "layers.py",
    "nah.py",
    "network.py",
    "pyramid.py",
    "weights.py",
    "zoo.py",
)  # modules that a graph depends on


@dataclasses.dataclass(frozen=True)
class StoredNetwork:
    """The interface of a network that `Deblurrer` uses.

    Attributes:
      restore: [B, H, W, 3] float32 in [0, 1] -> the same, not clipped.
      config: of the network.
      compute_dtype: of its convolutions.
    """

    restore: Callable[[np.ndarray], np.ndarray]
    config: ModelConfig
    compute_dtype: str


def load(ckpt: str | os.PathLike[str], precision: str) -> StoredNetwork | None:
    """Loads a released network from its cached graph; None if there is none or it is damaged.

    Raises `InputError` like `srn.load_model` for released weights that are damaged.
    """
    name = _released_name(ckpt)
    path = _path(released.read_card(name), precision) if name else None
    if name is None or path is None or not path.exists():
        return None
    weights = released.find(name)
    try:
        with np.load(path, allow_pickle=False) as file:
            description = json.loads(str(file["description"]))
            definition = session.parse_graph(file["graph"].tobytes())
        with np.load(str(weights), allow_pickle=False) as file:
            variables = {
                placeholder: file[array].astype(np.float32)
                for placeholder, array in description["captures"].items()
            }
        restore = session.load_function(definition, variables, description["input"], description["output"])
        return StoredNetwork(
            restore, ModelConfig.from_dict(description["config"]), description["compute_dtype"]
        )
    except Exception:  # damaged, or not readable by this TensorFlow: it is created again
        return None


def save(restore: Any, model: DeblurringNetwork, ckpt: str | os.PathLike[str], precision: str) -> None:
    """Stores the graph of `restore` for the next start; does nothing if it cannot be written.

    Args:
      restore: the `tf.function` with one signature that runs `model`.
      model: with the released weights.
      ckpt: of the model.
      precision: of the model.
    """
    from srn.weights import find_card, named_variables  # which load TensorFlow

    path = _path(find_card(ckpt), precision)
    if path is None:
        return
    concrete = restore.get_concrete_function()
    arrays = {id(variable.handle): array for array, variable in named_variables(model).items()}
    captures = {inner.name: arrays.get(id(outer)) for outer, inner in concrete.graph.captures}
    if None in captures.values():  # holds other variables than weights
        return
    description = {
        "captures": captures,
        "input": concrete.inputs[0].name,
        "output": concrete.outputs[0].name,
        "config": model.config.to_dict(),
        "compute_dtype": model.compute_dtype,
    }
    graph = np.frombuffer(concrete.graph.as_graph_def().SerializeToString(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, graph=graph, description=json.dumps(description))
    with contextlib.suppress(OSError):
        write_atomically(path, buffer.getvalue())


def _released_name(ckpt: str | os.PathLike[str]) -> str | None:
    """The released weights that `ckpt` means, where it surely means them.

    `srn.weights.find_card` tells it for all that there may be, and needs TensorFlow for that.
    """
    path = Path(ckpt)
    if path.suffix == ".npz":
        return released.name_of_file(path)
    of_checkpoints = [*path.glob("*.index"), *path.glob("*.npz"), *path.glob("checkpoint")]
    if of_checkpoints or Path(f"{path}.index").exists() or str(ckpt) not in released.list_released():
        return None
    return str(ckpt)


def _path(card: dict, precision: str) -> Path | None:
    """Path of the cached graph for the weights of a model card; None without a card."""
    if not card:
        return None
    digest = hashlib.sha256(f"{card['sha256']} {precision} {session.tensorflow_version()}".encode())
    for file in _CODE:
        digest.update((Path(srn.__file__).parent / file).read_bytes())
    return _folder() / f"{card['name']}-{precision}-{digest.hexdigest()[:16]}.npz"


def _folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(given) if given else Path.home() / ".cache") / "srn-deblurnet"
