"""Writes weights as a file for TensorFlow Lite.

    python -m srn.export_tflite --ckpt=srn --output=srn.tflite

One input, float32 [N, H, W, 3] in [0, 1], which the caller resizes; one output of the same shape. With
--size=1280x720 both have one size, [1, 720, 1280, 3], without which no delegate (GPU, NNAPI, XNNPACK) takes
the network.
"""

from __future__ import annotations

import argparse
import sys

from srn.serving.conversion_command import make_parser, run

NAME = "export_tflite.py"


def main(argv: list[str] | None = None) -> int:
    """Converts what the command line names; returns the exit code."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument(
        "--weights",
        choices=("float16", "float32"),
        default="float16",
        help="how they are stored (default: %(default)s)",
    )
    return run(NAME, _export, parser, argv)


def _export(arguments: argparse.Namespace) -> None:
    from srn.serving.conversion import export_tflite
    from srn.weights import load_model

    model = load_model(arguments.ckpt, arguments.model)
    export_tflite(model, arguments.output, arguments.weights, arguments.size)


if __name__ == "__main__":
    sys.exit(main())
