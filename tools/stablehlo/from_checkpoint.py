"""Converts weights of the project to the state that a run on another machine starts from.

    python -m tools.stablehlo.from_checkpoint --ckpt=runs/srn --out_dir=STATE [--with_slots]
    python -m tools.stablehlo.from_checkpoint --model=srn --start=identity --out_dir=STATE

Without its slots, Adam starts anew.
"""

from pathlib import Path

from absl import flags

from srn import command
from srn.errors import InputError
from srn.zoo import MODELS

from . import state as travelling

_CKPT = flags.DEFINE_string("ckpt", None, "Weights, as of evaluate.py.")
_MODEL = flags.DEFINE_enum("model", "srn", list(MODELS), "Without --ckpt: the network.")
_START = flags.DEFINE_enum("start", "identity", ["xavier", "identity"], "Without --ckpt: see train.py.")
_SEED = flags.DEFINE_integer("seed", 0, "Without --ckpt: of the start values.")
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Folder for the state.", required=True)
_WITH_SLOTS = flags.DEFINE_boolean("with_slots", False, "Adam's slots too; --ckpt must be a run's.")
_PART_MIB = flags.DEFINE_float("part_mib", travelling.PART_MIB, "Largest part.", lower_bound=0.1)


def main() -> int:
    """Writes the state that the flags name; returns the exit code."""
    from srn.zoo import name_of

    from .bridge import BridgedTraining

    model = _load_model()
    training = BridgedTraining(model, clip_norm=None)
    if _WITH_SLOTS.value:
        _restore_optimizer(training.optimizer)
    facts = {"model": name_of(model.config) or "", "config": model.config.to_dict()}
    files = travelling.write_folder(
        training.read(), facts, _OUT_DIR.value, _WITH_SLOTS.value, _PART_MIB.value
    )
    size = sum(file.stat().st_size for file in files) / 2**20
    print(f"{len(files)} files, {size:.1f} MiB, in {_OUT_DIR.value}")
    return command.DONE


def _load_model():
    import tensorflow as tf

    from srn import weights, zoo
    from srn.training import initialisation

    if _CKPT.value:
        return weights.load_model(_CKPT.value)
    tf.keras.utils.set_random_seed(_SEED.value)
    model = zoo.build_model(_MODEL.value)
    if _START.value == "identity":
        initialisation.start_at_identity(model)
    return model


def _restore_optimizer(optimizer):
    """Fills in a run's slots and its count of steps."""
    import tensorflow as tf

    from srn import weights

    folder, prefix = Path(_CKPT.value or "."), _CKPT.value
    if folder.is_dir():
        prefix = tf.train.latest_checkpoint(str(folder))
    if _CKPT.value is None or prefix is None or not Path(f"{prefix}.index").exists():
        raise InputError("--with_slots: --ckpt must be a run of train.py, or one of its checkpoints")
    weights.restore(tf.train.Checkpoint(optimizer=optimizer), prefix, "a run's optimizer").expect_partial()


if __name__ == "__main__":
    command.run(main)
