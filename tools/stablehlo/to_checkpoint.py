"""Converts a state that was copied back to a checkpoint of the project.

    python -m tools.stablehlo.to_checkpoint --state=STATE --model_dir=runs/srn

A state without Adam's slots becomes a checkpoint at step 0; one with slots resumes at its step.
"""

from absl import flags

from srn import command
from srn.config import ModelConfig
from srn.errors import InputError

from . import state as travelling

_STATE = flags.DEFINE_string("state", None, "Folder that return_state.py wrote.", required=True)
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Folder for the run.", required=True)


def main() -> int:
    """Writes the checkpoint; returns the exit code."""
    from srn.training.checkpoints import Checkpoints
    from srn.weights import has_checkpoint
    from srn.zoo import build_model

    from .bridge import BridgedTraining

    if has_checkpoint(_MODEL_DIR.value):
        raise InputError(f"--model_dir={_MODEL_DIR.value}: holds a run already; choose another folder")
    state, facts = travelling.read_folder(_STATE.value)
    training = BridgedTraining(build_model(ModelConfig.from_dict(facts["config"])), clip_norm=None)
    checkpoints = Checkpoints(training.model, training.optimizer, _MODEL_DIR.value, average=training.average)
    training.assign(state)
    print(f"{checkpoints.save()}: {facts['model']} after {facts['steps']} steps")
    return command.DONE


if __name__ == "__main__":
    command.run(main)
