"""Takes some steps in TensorFlow, as a graph and compiled by XLA, for agreement.py to compare with.

    python -m tools.stablehlo.reference --bundle=BUNDLE --start=STATE

writes BUNDLE/agreement/batches.npz, graph.npz and xla.npz: crops, and the losses and weights of both. The
crops are noise on smooth gradients, and the truth is scaled (as in the authors' reference) so that the
gradients are large and the clip acts in every step. --small keeps only small tensors.
"""

from pathlib import Path

import numpy as np
from absl import flags

from srn import command
from srn.config import ModelConfig

from . import state as travelling

FEW = 30_000  # the convolutions of the finest stage, and all biases: some 3 MB

_BUNDLE = flags.DEFINE_string("bundle", None, "Folder of a bundle.", required=True)
_START = flags.DEFINE_string("start", None, "Folder of the state to start from.", required=True)
_STEPS = flags.DEFINE_integer("steps", 20, "How many.", lower_bound=1)
_TARGET_SCALE = flags.DEFINE_float("target_scale", 24.0, "What the truth is multiplied by.")
_SET = flags.DEFINE_multi_string("set", [], "NAME=VALUE: a setting of the step, such as warmup_steps=200.")
_SMALL = flags.DEFINE_boolean("small", False, f"Only weights of at most {FEW} numbers.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the crops.")


def main() -> int:
    """Takes the steps and writes what came out; returns the exit code."""
    folder = Path(_BUNDLE.value)
    facts, (start, _) = travelling.read_facts(folder), travelling.read_folder(_START.value)
    blurry, sharp = make_crops(facts, _STEPS.value, _SEED.value)
    out = folder / "agreement"
    settings = travelling.parse_settings(_SET.value, facts["settings"])
    batches = {"blurry": blurry, "sharp": sharp, "target_scale": _TARGET_SCALE.value, **settings}
    travelling.save(out / "batches.npz", batches)
    start = {**start, **facts["settings"], **settings}
    for kind in ("graph", "xla"):
        results, weights = take_steps(facts, start, blurry, sharp, _TARGET_SCALE.value, kind == "xla")
        kept = {name: array for name, array in weights.items() if array.size <= FEW or not _SMALL.value}
        travelling.save(out / f"{kind}.npz", results | kept)
        norms, limit = results["recurrent_gradient_norm"], facts["clip_norm"] or np.inf
        print(
            f"TensorFlow, {kind}: loss {results['loss'][0]:.7g} -> {results['loss'][-1]:.7g}; "
            f"norm of the cell's gradient {norms.min():.3g} to {norms.max():.3g}, "
            f"clipped at {limit:g} in {np.sum(norms > limit)} of {len(norms)} steps"
        )
    return command.DONE


def make_crops(facts: dict, steps: int, seed: int) -> tuple:
    """blurry, sharp: uint8 [steps, batch, crop, crop, channels]."""
    generator = np.random.default_rng(seed)
    size, channels = facts["crop_size"], facts["config"]["channels"]
    shape = (steps, facts["batch_size"], size, size, channels)
    ramp = np.linspace(0, 1, size)
    slopes = generator.uniform(-90, 90, (2, steps, facts["batch_size"], 1, 1, channels))
    smooth = 128 + slopes[0] * ramp[:, None, None] + slopes[1] * ramp[None, :, None]
    sharp = smooth + generator.normal(0, 40, shape)
    blurry = (sharp + np.roll(sharp, 1, axis=3) + np.roll(sharp, -1, axis=3)) / 3
    return tuple(np.uint8(np.clip(image, 0, 255)) for image in (blurry, sharp))


def take_steps(facts, start, blurry, sharp, target_scale, jit_compile) -> tuple[dict, dict]:
    """{result: [steps]} and {NAME: weights after the last step}."""
    import tensorflow as tf

    from srn.zoo import build_model

    from .bridge import BridgedTraining

    model = build_model(ModelConfig.from_dict(facts["config"]), facts["precision"])
    training = BridgedTraining(model, facts["clip_norm"] or None, jit_compile)
    training.assign(start)
    results = []
    for one, other in zip(blurry, sharp):
        images = (tf.constant(np.float32(image) / 255) for image in (one, other))
        one, other = images
        results.append({name: float(v) for name, v in training.step(one, other * target_scale).items()})
    weights = {name: training.variables[name].numpy() for name in travelling.weight_names(start)}
    return {name: np.array([r[name] for r in results]) for name in results[0]}, weights


if __name__ == "__main__":
    command.run(main)
