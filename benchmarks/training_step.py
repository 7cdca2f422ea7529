"""Where the time of a training step goes, operation by operation, as TensorFlow's profiler sees a real step.

    python benchmarks/training_step.py --model=srn --crop_size=128 --batch_size=8 --precision=bfloat16

Operations run one after the other here (each on all cores), so that their times add up to the step's. Prints
two tables of percentages: by kind of operation, and by block of the network (all scales together) with the
forward pass, the gradient of the inputs and that of the weights. On a busy machine take several --steps.
"""

from __future__ import annotations

import argparse
import collections
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from srn import command
from srn.zoo import MODELS, PRECISIONS

command.quiet_tensorflow()

FORWARD, OF_INPUTS, OF_WEIGHTS, OTHER = "forward", "gradient of inputs", "gradient of weights", "all others"
_OPERATION = re.compile(r"^(?P<name>[\w./-]+):(?P<kind>[A-Z_]\w+)$")
_BLOCK = re.compile(r"scale_network/(\w+)/")


def main() -> int:
    """Profiles the step that the flags describe; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, default="srn")
    parser.add_argument("--precision", choices=PRECISIONS, default="bfloat16")
    parser.add_argument("--crop_size", type=int, default=128)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument(
        "--steps", type=int, default=3, help="Steps that are profiled, after one that is not."
    )
    args = parser.parse_args()
    operations = profile(args.model, args.precision, args.crop_size, args.batch_size, args.steps)
    print_tables(operations)
    return command.DONE


def profile(model: str, precision: str, crop_size: int, batch_size: int, steps: int) -> list[tuple]:
    """(name, kind, seconds) of each operation of some training steps on random crops."""
    import tensorflow as tf

    from srn import zoo
    from srn.training.optimizers import adam
    from srn.training.step import CLIP_NORM, make_training_step

    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = zoo.build_model(zoo.get_config(model), precision)
    step = make_training_step(network, adam(1e-4), CLIP_NORM)
    size = [batch_size, crop_size, crop_size, network.config.channels]
    crops = [tf.random.stateless_uniform(size, seed=[0, number]) for number in range(2)]
    float(step(*crops)["loss"])  # traces, and fills oneDNN's caches
    with tempfile.TemporaryDirectory() as folder:
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
        with tf.profiler.experimental.Profile(folder, options):
            for _ in range(steps):
                float(step(*crops)["loss"])
        (path,) = Path(folder).rglob("*.xplane.pb")
        return read_operations(path)


def read_operations(path: Path) -> list[tuple]:
    """(name, kind, seconds) of the operations in a profile that TensorFlow has written."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    operations = []
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            match = _OPERATION.match(plane.event_metadata[event.metadata_id].name)
            if match:
                operations.append((match["name"], match["kind"], event.duration_ps / 1e12))
    return operations


def print_tables(operations: Iterable[tuple]) -> None:
    """Prints the percentages by kind of operation, and by block and pass."""
    kinds: collections.Counter = collections.Counter()
    blocks: dict = collections.defaultdict(collections.Counter)
    for name, kind, seconds in operations:
        kinds[kind] += seconds
        block = _BLOCK.search(name)
        blocks[block[1] if block else OTHER][part_of(name, kind)] += seconds
    total = sum(kinds.values())
    print("| operation | % of the step |\n| --- | --- |")
    for kind, seconds in kinds.most_common(12):
        print(f"| {kind} | {100 * seconds / total:.1f} |")
    parts = (FORWARD, OF_INPUTS, OF_WEIGHTS, OTHER)
    print(f"\n| block | {' | '.join(f'{part}, %' for part in parts)} |\n|{' --- |' * (len(parts) + 1)}")
    for block, seconds_of in sorted(blocks.items(), key=lambda item: -sum(item[1].values())):
        cells = (f"{100 * seconds_of[part] / total:.1f}" for part in parts)
        print(f"| {block} | {' | '.join(cells)} |")


def part_of(name: str, kind: str) -> str:
    """Which of the three passes of a convolution an operation is, or none.

    A transposed convolution's forward pass is `Conv2DBackpropInput`, its gradient of the inputs `Conv2D`.
    """
    if "Conv2D" not in kind:
        return OTHER
    if "BackpropFilter" in kind:
        return OF_WEIGHTS
    return OF_INPUTS if name.startswith("gradient_tape/") else FORWARD


if __name__ == "__main__":
    raise SystemExit(main())
