"""Cache of the graphs of released networks, so that commands need not build them with Keras.

Building and tracing takes a second at each start; loading the graph of the same operations takes a fifth of
that, and gives bit-identical results. Graphs do not include weights. They are stored in the user's cache
folder (`~/.cache/srn-deblurnet`) with names that depend on the weights, the precision, the version of
TensorFlow and the source code of the network. The folder may be deleted at any time.
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
import tensorflow as tf

import srn
from srn import released
from srn.config import ModelConfig
from srn.files import write_atomically
from srn.weights import find_card, named_variables

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
SIGNATURE = [tf.TensorSpec([None, None, None, 3], tf.float32)]


@dataclasses.dataclass(frozen=True)
class StoredNetwork:
    """The interface of a network that `Deblurrer` uses.

    Attributes:
      restore: [B, H, W, 3] float32 in [0, 1] -> the same, not clipped.
      config: of the network.
      compute_dtype: of its convolutions.
    """

    restore: Callable[[np.ndarray], tf.Tensor]
    config: ModelConfig
    compute_dtype: str


def load(ckpt: str | os.PathLike[str], precision: str) -> StoredNetwork | None:
    """Loads a released network from its cached graph; None if there is none or it is damaged.

    Raises `InputError` like `srn.load_model` for weights that do not exist.
    """
    card = find_card(ckpt)
    path = _path(card, precision)
    if path is None or not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            description = json.loads(str(file["description"]))
            definition = tf.compat.v1.GraphDef.FromString(file["graph"].tobytes())
        with np.load(str(released.find(card["name"])), allow_pickle=False) as file:
            captures = {
                placeholder: tf.Variable(file[array].astype(np.float32), trainable=False)
                for placeholder, array in description["captures"].items()
            }
        restore = _function(definition, captures, description["input"], description["output"])
        return StoredNetwork(
            restore, ModelConfig.from_dict(description["config"]), description["compute_dtype"]
        )
    except Exception:  # damaged, or not readable by this TensorFlow: it is created again
        return None


def save(restore: Any, model: DeblurringNetwork, ckpt: str | os.PathLike[str], precision: str) -> None:
    """Stores the graph of `restore` for the next start; does nothing if it cannot be written.

    Args:
      restore: the `tf.function` of `SIGNATURE` that runs `model`.
      model: with the released weights.
      ckpt: of the model.
      precision: of the model.
    """
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


def _function(definition, captures, input_name, output_name):
    def run(images):
        graph = tf.compat.v1.get_default_graph()
        given = {name: graph.capture(variable.handle) for name, variable in captures.items()}
        given[input_name] = images
        return tf.graph_util.import_graph_def(
            definition, input_map=given, return_elements=[output_name], name=""
        )[0]

    return tf.function(run, input_signature=SIGNATURE, autograph=False)


def _path(card: dict, precision: str) -> Path | None:
    """Path of the cached graph for the weights of a model card; None without a card."""
    if not card:
        return None
    digest = hashlib.sha256(f"{card['sha256']} {precision} {tf.__version__}".encode())
    for file in _CODE:
        digest.update((Path(srn.__file__).parent / file).read_bytes())
    return _folder() / f"{card['name']}-{precision}-{digest.hexdigest()[:16]}.npz"


def _folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(given) if given else Path.home() / ".cache") / "srn-deblurnet"
