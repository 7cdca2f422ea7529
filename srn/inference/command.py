"""The command `srn-deblur`: photographs in, sharper photographs beside them."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

import srn
from srn.command import DONE, FAILED, exit_code_of, quiet_tensorflow
from srn.inference.photographs import Parser, add_arguments, choose_jobs, restore_photograph
from srn.inference.tiling import SMALLEST_TILE
from srn.released import DEFAULT
from srn.zoo import PRECISIONS

NAME = "srn-deblur"


def main(argv: list | None = None) -> int:
    """Restores the photographs that the command line names; returns the exit code."""
    arguments = _parser().parse_args(argv)
    quiet_tensorflow()
    return exit_code_of(lambda: _restore_all(arguments), NAME)


def _restore_all(arguments) -> int:
    waiting = choose_jobs(arguments.input, arguments.output, arguments.overwrite)
    if not waiting:
        return DONE
    restore = srn.Deblurrer(arguments.ckpt, precision=arguments.precision, tile=arguments.tile)
    with tqdm(waiting, unit="photo", disable=len(waiting) < 2) as bar:
        succeeded = [restore_photograph(restore, *job, NAME) for job in bar]
    return DONE if all(succeeded) else FAILED


def _parser():
    parser = Parser(prog=NAME, description="Restores blurry photographs.")
    add_arguments(parser)
    parser.add_argument(
        "--ckpt", default=DEFAULT, help=f"weights: a released name or a path (default: {DEFAULT})"
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the convolutions")
    parser.add_argument(
        "--tile", type=_tile, metavar="SIDE", help="restore large photographs in tiles of so many pixels"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {srn.__version__}")
    return parser


def _tile(text: str) -> int:
    if not text.isdecimal() or int(text) < SMALLEST_TILE:
        raise argparse.ArgumentTypeError(f"{text}: at least {SMALLEST_TILE} pixels are needed")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
