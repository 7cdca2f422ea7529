"""The command `srn-client`: photographs to a server and back, sharper."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from tqdm import tqdm

from srn.command import DONE, FAILED, exit_code_of, exit_code_of_signal
from srn.errors import WorkError
from srn.inference.photographs import Parser, add_arguments, choose_jobs, restore_photograph
from srn.serving import protos
from srn.serving.client import Client, connect

NAME = "srn-client"
_READY = "AVAILABLE"


def main(argv: list | None = None) -> int:
    """Has the photographs restored that the command line names; returns the exit code."""
    arguments = _parser().parse_args(argv)
    protos.load_without_tensorflow()
    code = exit_code_of(lambda: _restore_all(arguments), NAME)
    if code == exit_code_of_signal("SIGINT"):
        sys.stdout.flush()
        os._exit(code)  # a thread that waits for an answer by REST would keep the process for as long
    return code


def _restore_all(arguments) -> int:
    waiting = choose_jobs(arguments.input, arguments.output, arguments.overwrite)
    if not waiting:
        return DONE
    server = connect(
        arguments.server,
        arguments.model,
        version=arguments.version,
        label=arguments.label,
        timeout=arguments.timeout,
        attempts=arguments.attempts,
    )
    with server:
        _require_ready(server, arguments)
        succeeded = _restore_in_parallel(server, waiting, arguments.parallel)
    return DONE if all(succeeded) else FAILED


def _restore_in_parallel(server, waiting, parallel) -> list:
    """Whether each was restored. Ctrl-C ends requests under way, and those that wait."""
    pool = ThreadPoolExecutor(parallel)
    results = pool.map(
        lambda job: restore_photograph(lambda pixels: _restore(server, pixels), *job, NAME), waiting
    )
    try:
        with tqdm(results, total=len(waiting), unit="photo", disable=len(waiting) < 2) as bar:
            return list(bar)
    except KeyboardInterrupt:
        server.close()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _require_ready(server, arguments) -> None:
    """Raises `WorkError` where no version of the model answers: one line, and not one for each photograph."""
    try:
        states = server.states()
    except WorkError as error:
        raise WorkError(f"{arguments.server}: model {arguments.model!r}: {error}") from error
    if _READY not in states.values():
        raise WorkError(f"{arguments.server}: no version of {arguments.model!r} is {_READY}: {states}")


def _restore(server: Client, pixels: np.ndarray) -> np.ndarray:
    (restored,) = server.restore_files([_encode(pixels)])
    return _decode(restored)


def _encode(pixels: np.ndarray) -> bytes:
    """PNG of uint8 [H, W], [H, W, 3] or [H, W, 4], lightly compressed."""
    _, encoded = cv2.imencode(".png", _swap(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return encoded.tobytes()


def _decode(encoded: bytes) -> np.ndarray:
    return _swap(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED))


def _swap(pixels):
    """RGB to BGR, which OpenCV has, and back; gray stays."""
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)


def _parser():
    parser = Parser(prog=NAME, description="Restores photographs on a TensorFlow Serving server.")
    add_arguments(parser)
    parser.add_argument(
        "--server",
        default="localhost:8500",
        help="HOST:PORT for gRPC (default: %(default)s), or http://HOST:PORT",
    )
    parser.add_argument("--model", default="srn", help="its name on the server (default: %(default)s)")
    parser.add_argument("--version", type=int, help="of the model; default: the highest")
    parser.add_argument("--label", help="of the version, in place of its number")
    parser.add_argument(
        "--timeout", type=_seconds, default=300.0, help="seconds for each (default: %(default)g)"
    )
    parser.add_argument(
        "--attempts", type=int, choices=range(1, 6), default=5, help="while the server is UNAVAILABLE"
    )
    parser.add_argument(
        "--parallel",
        type=int,
        choices=range(1, 65),
        default=2,
        metavar="N",
        help="requests at a time (%(default)s)",
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("a positive number of seconds")
    return value


if __name__ == "__main__":
    sys.exit(main())
