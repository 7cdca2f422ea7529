r"""Times the training step of one engine on random crops, and how much of the device it uses.

    python -m tools.stablehlo.time_step BUNDLE STATE --engine=jax|twin|tensorflow \
        [--archive=ARCHIVE] [--ceiling]

Prints a line of JSON: seconds per step (median, min, max), crops a second, TFLOP/s; with --archive also the
seconds that a step with its crops made on the device takes; with --ceiling the fraction of what a matrix
product of 8192 x 8192 reaches in the same precision. `tensorflow` needs the project's own environment, the
others that of train.py.
"""

import argparse
import functools
import json
import os
import statistics
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import numpy as np

from srn.errors import InputError

from . import commands
from . import state as travelling
from .state import read_facts

FORWARD_AND_BACKWARD = 3  # times the multiply-accumulates of the network


def main() -> int:
    """Carries out the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle")
    parser.add_argument("state")
    parser.add_argument("--engine", choices=("jax", "twin", "tensorflow"), default="jax")
    parser.add_argument("--archive")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--ceiling", action="store_true")
    args = parser.parse_args()
    if args.steps < 1 or (args.ceiling and args.engine == "tensorflow"):
        raise InputError("--steps must be at least 1, and --ceiling is for jax and twin")
    facts = read_facts(args.bundle)
    start, _ = travelling.read_folder(args.state)
    archive = None
    if args.archive:
        from .archive import open_archive

        archive = open_archive(args.archive)
    engine = make_engine(args, facts, start, archive)
    size = facts["crop_size"]
    shape = (facts["batch_size"], size, size, facts["config"]["channels"])
    crops = [engine.to_device(np.random.default_rng(seed).random(shape, np.float32)) for seed in range(2)]
    seconds = timed(lambda: engine.step(*crops), args.steps)
    cost = facts["multiply_accumulates"] or np.nan
    flop = 2.0 * FORWARD_AND_BACKWARD * cost * facts["batch_size"]
    row = {
        "engine": engine.describe(),
        "model": facts["model"],
        "precision": facts["precision"],
        "crops": f"{facts['batch_size']} of {size}x{size}",
        **summary(seconds),
        "crops_per_s": round(facts["batch_size"] / statistics.median(seconds), 2),
        "tflop_per_s": round(flop / statistics.median(seconds) / 1e12, 3),
    }
    if archive is not None and args.engine != "tensorflow":
        engine.prepare(0)
        with_crops = timed(lambda: engine.run(0, 0), 2)
        row["seconds_with_crops"] = round(statistics.median(with_crops) / engine.inner, 4)
        memory = engine.memory_gib()
        row["memory_gib"] = None if memory is None else round(memory, 2)
    if args.ceiling:
        ceiling = matrix_product_rate(facts["precision"])
        row["ceiling_tflop_per_s"] = round(ceiling / 1e12, 3)
        row["fraction_of_ceiling"] = round(flop / statistics.median(seconds) / ceiling, 3)
    print(json.dumps(row))
    return 0


def make_engine(args, facts, start, archive):
    """Something with `step`, `run`, `describe`."""
    if args.engine == "tensorflow":
        return TensorFlowEngine(facts, start)
    from .sampler import SamplerSettings
    from .train import engine_class

    tables = None if archive is None else archive.tables()
    return engine_class(args.engine)(
        [args.bundle], start, tables, SamplerSettings(), seed=0, inner=args.steps
    )


class TensorFlowEngine:
    """The step as train.py of the project takes it: a graph, not compiled by XLA."""

    def __init__(self, facts, start):
        from srn.config import ModelConfig
        from srn.zoo import build_model

        from .bridge import BridgedTraining

        model = build_model(ModelConfig.from_dict(facts["config"]), facts["precision"])
        self._training = BridgedTraining(model, facts["clip_norm"] or None, jit_compile=False)
        self._training.assign({**start, **facts["settings"]})

    def to_device(self, crops):
        """Crops as the step takes them."""
        import tensorflow as tf

        return tf.constant(crops)

    def step(self, blurry, sharp):
        """A step on crops; its results."""
        return {name: float(value) for name, value in self._training.step(blurry, sharp).items()}

    def describe(self):
        """Library and device."""
        import tensorflow as tf

        return f"TensorFlow {tf.__version__} on cpu"


def timed(call, times: int) -> list:
    """Seconds of each call; a first one is not counted."""
    call()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return seconds


def summary(seconds) -> dict:
    """Median, minimum and maximum."""
    names = {"seconds": statistics.median, "min": min, "max": max}
    return {name: round(of(seconds), 4) for name, of in names.items()}


def matrix_product_rate(precision: str, size: int = 8192) -> float:
    """FLOP a second of a large matrix product on JAX's device, in the precision of the convolutions."""
    import jax
    import jax.numpy as jnp

    dtype = jnp.float32 if precision == "float32" else jnp.bfloat16
    matrix = jax.random.normal(jax.random.key(0), (size, size), jnp.float32).astype(dtype)
    multiply = jax.jit(functools.partial(jnp.matmul, precision="highest" if precision == "float32" else None))
    seconds = timed(lambda: multiply(matrix, matrix).block_until_ready(), 10)
    return 2.0 * size**3 / min(seconds)


if __name__ == "__main__":
    commands.run(main)
