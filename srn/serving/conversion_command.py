"""Common parts of `python -m srn.export_onnx` and `python -m srn.export_tflite`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from srn.command import DONE, exit_code_of, quiet_tensorflow
from srn.inference.photographs import Parser
from srn.zoo import MODELS


def make_parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with --ckpt, --model and --output."""
    parser = Parser(prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--ckpt", required=True, help="weights: model directory, checkpoint, .npz, released name"
    )
    parser.add_argument("--model", choices=MODELS, help="the network, for weights that do not name it")
    parser.add_argument("--output", required=True, help="the file to write")
    parser.add_argument(
        "--size", type=_size, metavar="WIDTHxHEIGHT", help="of all images; default: any size, which is slower"
    )
    return parser


def _size(text: str) -> tuple[int, int]:
    """`WIDTHxHEIGHT` -> (height, width)."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text}: give WIDTHxHEIGHT, such as 1280x720")
    return int(match[2]), int(match[1])


def run(
    name: str,
    export: Callable[[argparse.Namespace], None],
    parser: argparse.ArgumentParser,
    argv: list[str] | None,
) -> int:
    """Parses, exports and says what was written; returns the exit code, errors being lines of `name`."""
    arguments = parser.parse_args(argv)

    def export_and_say() -> int:
        export(arguments)
        print(arguments.output)
        return DONE

    quiet_tensorflow()
    return exit_code_of(export_and_say, name, vars(arguments))
