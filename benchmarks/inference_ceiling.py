"""Time of one 1280x720 image through the network, beside the processor's own ceiling.

    python benchmarks/inference_ceiling.py --precision bfloat16

The ceiling is what the network's multiply-accumulates would take at the rate of one 128-channel 5x5
convolution (with bias and ReLU) alone, in the same precision and the same run; both are timed in turn.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

from srn.command import quiet_tensorflow

quiet_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import srn  # noqa: E402
from srn.cost import count_multiply_accumulates  # noqa: E402
from srn.zoo import PRECISIONS  # noqa: E402

MODELS = ("srn", "official_color", "official_lstm_color", "sr_edrb1", "sr_edrb2", "sr_edrb3")
HEIGHT, WIDTH = 720, 1280
CHANNELS, KERNEL = 128, 5
CEILING_REPEATS = 5  # of the convolution in one timed call


def main() -> None:
    """Measures and prints a table."""
    arguments = parse()
    network, ceiling = make_network(arguments.model, arguments.precision), make_ceiling(arguments.precision)
    flop = 2.0 * count_multiply_accumulates(srn.build_model(arguments.model), HEIGHT, WIDTH)
    for run in (network, ceiling):  # tracing, and oneDNN's own first run
        run(), run()
    seconds, rates = [], []
    for _ in range(arguments.runs):
        rates.append(ceiling_flop() / timed(ceiling))
        seconds.append(timed(network))
        rates.append(ceiling_flop() / timed(ceiling))
    report(arguments, flop, seconds, rates)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="srn", choices=MODELS)
    parser.add_argument("--precision", default="bfloat16", choices=list(PRECISIONS))
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each; medians are printed")
    return parser.parse_args()


def make_network(model_name: str, precision: str):
    """A call that restores one image of any size, as `Deblurrer` does."""
    model = srn.build_model(model_name, precision)
    channels = model.config.channels
    image = tf.constant(np.random.default_rng(0).random((1, HEIGHT, WIDTH, channels), np.float32))
    spec = tf.TensorSpec([None, None, None, channels], tf.float32)
    restore = tf.function(lambda images: model(images)[0], input_signature=[spec])
    return lambda: restore(image).numpy()


def make_ceiling(precision: str):
    """A call of one convolution at the size that the network has it: [1, H / 4, W / 4, 128]."""
    dtype = "float32" if precision == "float32" else "bfloat16"
    generator = np.random.default_rng(0)
    shape = (1, HEIGHT // 4, WIDTH // 4, CHANNELS)
    features = tf.cast(generator.random(shape, np.float32), dtype)
    kernel = tf.cast(generator.standard_normal((KERNEL, KERNEL, CHANNELS, CHANNELS)) / 57, dtype)
    bias = tf.zeros([CHANNELS], dtype)

    @tf.function
    def convolve(features):
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(features, kernel, 1, "SAME"), bias))

    def run():
        for _ in range(CEILING_REPEATS):
            convolve(features)

    return run


def ceiling_flop() -> float:
    """Operations of one timed call: a multiplication and an addition for each kernel tap."""
    positions = HEIGHT // 4 * (WIDTH // 4)
    return 2.0 * CEILING_REPEATS * positions * KERNEL**2 * CHANNELS**2


def timed(call) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(arguments, flop, seconds, rates) -> None:
    """Prints what was measured."""
    time_taken, rate = statistics.median(seconds), statistics.median(rates)
    print(f"processor        {processor()}, {os.cpu_count()} cores")
    print(f"versions         TensorFlow {tf.__version__}, Python {platform.python_version()}")
    print(f"model            {arguments.model}, {arguments.precision}")
    print(f"one image        {WIDTH}x{HEIGHT}, {flop / 1e12:.3f} TFLOP")
    print(f"ceiling          {rate / 1e12:.3f} TFLOP/s ({min(rates) / 1e12:.3f} to {max(rates) / 1e12:.3f})")
    print(f"ceiling's time   {flop / rate:.2f} s")
    print(f"network's time   {time_taken:.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")
    print(f"ratio            {time_taken / (flop / rate):.3f}")


def processor() -> str:
    """Its name, and the bfloat16 instructions it has."""
    facts = Path("/proc/cpuinfo")
    text = facts.read_text() if facts.exists() else ""
    name = next((line.split(":")[1].strip() for line in text.splitlines() if "model name" in line), "unknown")
    has = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in text]
    return f"{name} ({', '.join(has) or 'no bfloat16 instructions'})"


if __name__ == "__main__":
    main()
