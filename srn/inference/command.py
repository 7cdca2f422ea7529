"""The command `srn-deblur`: photographs in, sharper photographs beside them."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from tqdm import tqdm

import srn
from srn.command import DONE, FAILED, WRONG_CALL, exit_code_of, quiet_tensorflow
from srn.errors import InputError, WorkError, first_line
from srn.files import require_writable
from srn.inference.image_files import SUFFIXES, read_photograph, write_photograph
from srn.released import DEFAULT
from srn.zoo import PRECISIONS

NAME = "srn-deblur"
ENDING = "_deblurred"


def main(argv: list | None = None) -> int:
    """Restores the photographs that the command line names; returns the exit code."""
    arguments = _parser().parse_args(argv)
    quiet_tensorflow()
    return exit_code_of(lambda: _restore_all(arguments), NAME)


def _restore_all(arguments) -> int:
    waiting = []
    for photograph, target in plan(arguments.input, arguments.output):
        if target.exists() and not arguments.overwrite:
            print(f"{target} is there already; --overwrite makes it anew")
        else:
            waiting.append((photograph, target))
    if not waiting:
        return DONE
    for folder in {target.parent for _, target in waiting}:
        require_writable(folder)
    restore = srn.Deblurrer(arguments.ckpt, precision=arguments.precision)
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
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    if not path.is_dir():
        return [path]
    try:
        files = sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    found = [file for file in files if _is_photograph(file)]
    if not found:
        raise InputError(f"{path}: no image in it ({', '.join(SUFFIXES)})")
    return found


def _is_photograph(file):
    """Whether a file of a folder is meant: an image, and none that this command has made."""
    is_image = file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    return is_image and not file.stem.endswith(ENDING)


def _target(photograph, output, count):
    name = f"{photograph.stem}{ENDING}{photograph.suffix}"
    if output is None:
        return photograph.with_name(name)
    output = Path(output)
    if output.is_dir() or not output.suffix:
        return output / photograph.name
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"-o {output}: neither a folder nor an image file ({', '.join(SUFFIXES)})")
    if count > 1:
        raise InputError(f"-o {output}: one file cannot take {count} photographs; give a folder")
    return output


def _restore(restore, photograph, target) -> bool:
    """Restores one file; says so, or in a line what went wrong."""
    try:
        original = read_photograph(photograph)
        write_photograph(target, dataclasses.replace(original, pixels=restore(original.pixels)))
    except WorkError as error:
        tqdm.write(f"{NAME}: {error}", file=sys.stderr)
        return False
    except Exception as error:  # too large for the memory, say: the other photographs are still worth it
        tqdm.write(f"{NAME}: {photograph}: {type(error).__name__}: {first_line(error)}", file=sys.stderr)
        return False
    tqdm.write(f"{photograph} -> {target}")
    return True


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """One line, not a page of usage."""
        self.exit(WRONG_CALL, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser():
    parser = _Parser(prog=NAME, description="Restores blurry photographs.")
    parser.add_argument("input", nargs="+", metavar="INPUT", help="photograph, or folder of photographs")
    parser.add_argument(
        "-o", "--output", help="file, or folder; default: NAME_deblurred.EXT beside each original"
    )
    parser.add_argument(
        "--ckpt", default=DEFAULT, help=f"weights: a released name or a path (default: {DEFAULT})"
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the convolutions")
    parser.add_argument("--overwrite", action="store_true", help="restore again what is there already")
    parser.add_argument("--version", action="version", version=f"%(prog)s {srn.__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
