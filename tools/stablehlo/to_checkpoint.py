"""Turns a state that came back into a checkpoint of the project.

    python tools/stablehlo/to_checkpoint.py --state=STATE --model_dir=runs/srn

A state without slots becomes a checkpoint at step 0, since Adam begins anew; one with slots goes on where it
was.
"""

import sys
from pathlib import Path

import state as travelling
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from srn import command
from srn.config import ModelConfig
from srn.errors import InputError

_STATE = flags.DEFINE_string("state", None, "Folder that return_state.py wrote.", required=True)
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Folder for the run.", required=True)


def main() -> int:
    """Writes the checkpoint; returns the exit code."""
    from bridge import BridgedTraining

    from srn.training_run import Checkpoints
    from srn.zoo import build_model

    try:
        state, facts = travelling.read_folder(_STATE.value)
    except travelling.UserError as error:
        raise InputError(str(error)) from error
    training = BridgedTraining(build_model(ModelConfig.from_dict(facts["config"])), clip_norm=None)
    checkpoints = Checkpoints(training.model, training.optimizer, _MODEL_DIR.value, average=training.average)
    training.assign(state)
    print(f"{checkpoints.save()}: {facts['model']} after {facts['steps']} steps")
    return command.DONE


if __name__ == "__main__":
    command.run(main)
