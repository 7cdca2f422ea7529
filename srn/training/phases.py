"""Progressive crops: `--phases=128x16:0.3,256x8:0.7`; not in the paper. Does not import TensorFlow."""

from __future__ import annotations

import dataclasses
import re

from srn.errors import InputError

_PHASE = re.compile(r"^(\d+)x(\d+):(0?\.\d+|1(?:\.0*)?)$")


@dataclasses.dataclass(frozen=True)
class Phase:
    """A phase of a run, with constant crop and batch size.

    Attributes:
      crop_size: side of the crops, in pixels.
      batch_size: number of crops per step.
      begin, end: number of steps before the phase, and at its end.
      first_sample: number of crops drawn before the phase.
    """

    crop_size: int
    batch_size: int
    begin: int
    end: int
    first_sample: int = 0

    def sample_at(self, step: int) -> int:
        """The index of the first crop of the batch after `step` steps."""
        return self.first_sample + (step - self.begin) * self.batch_size


def parse_phases(text: str) -> list[tuple[int, int, float]]:
    """Parses `CROPxBATCH:FRACTION,...` to (crop size, batch size, fraction of the steps) of each phase.

    Raises `InputError` for other text, and if the fractions do not sum to 1.
    """
    phases = []
    for part in text.split(","):
        match = _PHASE.match(part.strip())
        if match is None or not int(match[2]):
            raise InputError(
                f"phases: {part!r} is not valid; give CROPxBATCH:FRACTION for each, as 128x16:0.3"
            )
        phases.append((int(match[1]), int(match[2]), float(match[3])))
    total = sum(fraction for _, _, fraction in phases)
    if abs(total - 1) > 1e-6:
        raise InputError(f"phases: the fractions sum to {total:g}, not to 1")
    return phases


def plan_phases(phases: list[tuple[int, int, float]], max_steps: int) -> list[Phase]:
    """The phases of a run of `max_steps` steps, without those that have no step."""
    plan, begin, samples, fraction = [], 0, 0, 0.0
    for crop_size, batch_size, part in phases:
        fraction += part
        end = round(min(fraction, 1.0) * max_steps)
        if end > begin:
            plan.append(Phase(crop_size, batch_size, begin, end, samples))
        samples, begin = samples + (end - begin) * batch_size, end
    return plan
