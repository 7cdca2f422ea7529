"""Makes trained weights part of the project, in half precision, with their model card.

    python tools/release_weights.py --ckpt=runs/srn --name=srn --card=card.json

card.json has what only the trainer knows: data, recipe, hours, hardware, scores, limits. Commit both files
that are written to srn/released_weights.
"""

import json
from pathlib import Path

from absl import flags

from srn import command
from srn.errors import InputError

_CKPT = flags.DEFINE_string("ckpt", None, "Weights, as of evaluate.py.", required=True)
_NAME = flags.DEFINE_string("name", None, "What they will be found by.", required=True)
_CARD = flags.DEFINE_string("card", None, "A JSON file.", required=True)


def main() -> int:
    """Writes weights and card; returns the exit code."""
    try:
        card = json.loads(Path(_CARD.value).read_text())
        if not isinstance(card, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise InputError(f"--card={_CARD.value}: cannot be read ({error})") from error
    from srn import released, weights

    path = released.release(weights.load_model(_CKPT.value), _NAME.value, card)
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
    return command.DONE


if __name__ == "__main__":
    command.run(main)
