"""The command `srn-deblur`: photographs in, sharper photographs beside them."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from tqdm import tqdm

import srn
from srn.command import DONE, FAILED, WRONG_CALL, quiet_tensorflow
from srn.errors import InputError, WorkError
from srn.inference.image_files import SUFFIXES, read_photograph, write_photograph
from srn.zoo import PRECISIONS

ENDING = "_deblurred"


def main(argv: list | None = None) -> int:
    """Restores the photographs that the command line names; returns the exit code."""
    arguments = _parser().parse_args(argv)
    quiet_tensorflow()
    try:
        jobs = plan(arguments.input, arguments.output)
        waiting = [job for job in jobs if arguments.overwrite or not job[1].exists()]
        for _, target in (job for job in jobs if job not in waiting):
            print(f"{target} is there already; --overwrite makes it anew")
        if not waiting:
            return DONE
        restore = srn.Deblurrer(arguments.ckpt, precision=arguments.precision)
    except InputError as error:
        _complain(error)
        return WRONG_CALL
    with tqdm(waiting, unit="photo", disable=len(waiting) < 2) as bar:
        succeeded = [_restore(restore, photograph, target) for photograph, target in bar]
    return DONE if all(succeeded) else FAILED


def plan(inputs: list, output: str | None) -> list:
    """[(photograph, where its restored version goes)] for files and folders; never onto an input.

    Args:
      inputs: image files, and folders whose images are taken.
      output: a folder (made if need be), a file where there is one input, or None: `NAME_deblurred.EXT`
        beside each original.

    Raises `InputError` for inputs that are not there, empty folders, and outputs that would collide.
    """
    photographs = [photograph for path in inputs for photograph in _photographs(Path(path))]
    jobs = [(photograph, _target(photograph, output, len(photographs))) for photograph in photographs]
    sources = {photograph.resolve() for photograph in photographs}
    seen = set()
    for _, target in jobs:
        if target.resolve() in sources:
            raise InputError(f"{target}: would overwrite an input; choose another -o")
        if target in seen:
            raise InputError(f"{target}: two inputs would be written there; take one folder at a time")
        seen.add(target)
    return jobs


def _photographs(path):
    if path.is_dir():
        found = [
            photograph
            for photograph in sorted(path.iterdir())
            if photograph.suffix.lower() in SUFFIXES
            and not photograph.name.startswith(".")
            and not photograph.stem.endswith(ENDING)
        ]
        if not found:
            raise InputError(f"{path}: no image in it ({', '.join(SUFFIXES)})")
        return found
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    return [path]


def _target(photograph, output, count):
    name = f"{photograph.stem}{ENDING}{photograph.suffix}"
    if output is None:
        return photograph.with_name(name)
    output = Path(output)
    if output.suffix.lower() in SUFFIXES and not output.is_dir():
        if count > 1:
            raise InputError(f"{output}: one file cannot take {count} photographs; give a folder to -o")
        return output
    return output / photograph.name


def _restore(restore, photograph, target) -> bool:
    """Restores one file; says so, or what went wrong."""
    try:
        original = read_photograph(photograph)
        write_photograph(target, dataclasses.replace(original, pixels=restore(original.pixels)))
    except WorkError as error:
        _complain(error)
        return False
    tqdm.write(f"{photograph} -> {target}")
    return True


def _complain(error):
    for line in str(error).splitlines():
        tqdm.write(f"srn-deblur: {line}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """One line, not a page of usage."""
        self.exit(WRONG_CALL, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser():
    parser = _Parser(prog="srn-deblur", description="Restores blurry photographs.")
    parser.add_argument("input", nargs="+", metavar="INPUT", help="photograph, or folder of photographs")
    parser.add_argument(
        "-o", "--output", help="file, or folder; default: NAME_deblurred.EXT beside each original"
    )
    parser.add_argument("--ckpt", default="srn", help="weights: a released name or a path (default: srn)")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the convolutions")
    parser.add_argument("--overwrite", action="store_true", help="restore again what is there already")
    parser.add_argument("--version", action="version", version=f"%(prog)s {srn.__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
