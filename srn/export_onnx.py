"""Writes weights as an ONNX file, for ONNX Runtime and others.

    python -m srn.export_onnx --ckpt=srn --output=srn.onnx

`image` float32 [N, H, W, 3] in [0, 1] -> `restored`, the same; any size, or with --size=1280x720 one. Needs:
pip install .[onnx]
"""

from __future__ import annotations

import argparse
import sys

from srn.serving.conversion_command import make_parser, run

NAME = "export_onnx.py"


def main(argv: list[str] | None = None) -> int:
    """Converts what the command line names; returns the exit code."""
    return run(NAME, _export, make_parser(NAME, __doc__), argv)


def _export(arguments: argparse.Namespace) -> None:
    from srn.serving.conversion import export_onnx
    from srn.weights import find_card, load_model

    model = load_model(arguments.ckpt, arguments.model)
    export_onnx(model, arguments.output, arguments.size, find_card(arguments.ckpt))


if __name__ == "__main__":
    sys.exit(main())
