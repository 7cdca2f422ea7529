"""The command `srn-client`, which restores photographs with a server. Does not need TensorFlow."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from srn.command import DONE, FAILED, exit_code_of, exit_code_of_signal
from srn.errors import InputError, WorkError
from srn.inference.photographs import (
    Parser,
    Reporter,
    add_arguments,
    add_naming_arguments,
    naming_of,
    number_between,
    open_jobs,
    settings_of,
)
from srn.inference.planning import STANDARD, Job, make_plan
from srn.inference.restoring import Outcome, restore_one
from srn.inference.tiling import SMALLEST_TILE
from srn.serving.client import (
    DEFAULT_ATTEMPTS,
    MAX_ATTEMPTS,
    MAX_TIMEOUT,
    MAX_VERSION,
    Client,
    Credentials,
    ServerError,
    connect,
)
from srn.serving.remote import AUTO, RemoteRestorer

NAME = "srn-client"
_READY = "AVAILABLE"
# Arguments of the library that are flags here.
_FLAGS = {
    *("server", "model", "version", "label", "timeout", "attempts"),
    *("ca", "cert", "key", "header", "token_file"),
}


def main(argv: list[str] | None = None) -> int:
    """Restores the photographs given on the command line with a server; returns the exit code."""
    arguments = _parser().parse_args(argv)
    # gRPC logs each failed handshake; our error message gives the reason.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    code = exit_code_of(lambda: _run(arguments), NAME, _FLAGS)
    if code == exit_code_of_signal("SIGINT"):
        sys.stdout.flush()
        os._exit(code)  # a thread that waits for a REST response would keep the process alive
    return code


def _run(arguments: argparse.Namespace) -> int:
    plan = make_plan(arguments.input, naming_of(arguments), arguments.recursive)
    to_stdout = any(str(job.target) == STANDARD for job in plan.jobs)
    reporter = Reporter(NAME, arguments, to_stdout)
    reporter.plan(plan)
    if arguments.dry_run:
        for source, target in plan.jobs:
            reporter.say(f"{source} -> {target}")
        return DONE
    server = connect(
        arguments.server,
        arguments.model,
        version=arguments.version,
        label=arguments.label,
        timeout=arguments.timeout,
        attempts=arguments.attempts,
        credentials=_credentials(arguments),
    )
    with server:
        jobs = list(open_jobs(plan, arguments.overwrite, reporter))
        if jobs:
            _require_ready(server, arguments.model)
            _restore(server, jobs, arguments, reporter)
    reporter.summary()
    return FAILED if reporter.counts["failed"] else DONE


def _credentials(arguments: argparse.Namespace) -> Credentials:
    headers = dict(arguments.header)
    if arguments.token_file is not None:
        try:
            token = Path(arguments.token_file).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"token_file={arguments.token_file}: cannot be read ({error})") from error
        if not token or not token.isascii() or not token.isprintable():
            raise InputError(f"token_file={arguments.token_file}: holds no token: one line of ASCII")
        headers["authorization"] = f"Bearer {token}"
    return Credentials(arguments.ca, arguments.cert, arguments.key, headers)


def _require_ready(server: Client, model: str) -> None:
    """Raises `WorkError` if no version of the model is available: one line instead of one per photograph."""
    try:
        states = server.states()
    except ServerError as error:
        if error.code == "UNIMPLEMENTED":  # a proxy may forward predictions only
            return
        raise WorkError(f"{server.address}: model {model!r}: {error}") from error
    if _READY not in states.values():
        raise WorkError(f"{server.address}: no version of {model!r} is {_READY}: {states}")


def _restore(server: Client, jobs: list[Job], arguments: argparse.Namespace, reporter: Reporter) -> None:
    """Restores all photographs, several at a time. Raises `WorkError` if the server is gone."""
    restore, settings = RemoteRestorer(server, arguments.tile), settings_of(arguments)
    outcomes = _in_parallel(lambda job: restore_one(restore, job, settings), jobs, arguments.parallel)
    hidden = len(jobs) < 2 or arguments.quiet or arguments.json
    done = 0
    # None: shown on a terminal only.
    with tqdm(total=len(jobs), unit="photo", disable=hidden or None) as bar:
        for outcome in outcomes:
            if restore.gone is not None and outcome.error is not None:
                continue
            reporter.outcome(outcome)
            done += 1
            bar.update()
    if restore.gone is not None:
        raise WorkError(
            f"{server.address}: {restore.gone}; {len(jobs) - done} of {len(jobs)} photographs are not "
            "restored, the same command resumes"
        )


def _in_parallel(work: Callable[[Job], Outcome], jobs: list[Job], parallel: int) -> Iterator[Outcome]:
    """Yields the outcomes in order. Ctrl-C cancels pending jobs."""
    pool = ThreadPoolExecutor(parallel)
    try:
        yield from pool.map(work, jobs)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _parser() -> Parser:
    parser = Parser(prog=NAME, description="Restores photographs on a TensorFlow Serving server.")
    add_arguments(parser)
    add_naming_arguments(parser)
    parser.add_argument(
        "--server",
        default="localhost:8500",
        help="HOST:PORT or unix:PATH for gRPC (default: %(default)s), http://HOST:PORT for REST; grpcs, "
        "https: TLS",
    )
    parser.add_argument("--model", default="srn", help="its name on the server (default: %(default)s)")
    parser.add_argument(
        "--model_version",
        "--version",
        dest="version",
        type=number_between(int, 0, MAX_VERSION),
        help="default: the highest",
    )
    parser.add_argument("--label", help="label of the version, instead of its number")
    parser.add_argument(
        "--timeout",
        type=number_between(float, 0.001, MAX_TIMEOUT),
        default=300.0,
        help="seconds for each attempt (default: %(default)g)",
    )
    parser.add_argument(
        "--attempts",
        type=number_between(int, 1, MAX_ATTEMPTS),
        default=DEFAULT_ATTEMPTS,
        help="maximum number, if the connection breaks or the server is UNAVAILABLE (default: %(default)s)",
    )
    parser.add_argument(
        "--parallel",
        type=number_between(int, 1, 64),
        default=2,
        help="photographs at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--tile",
        type=_tile,
        default=AUTO,
        metavar="SIDE",
        help="side of tiles in pixels; auto (default): only if the server refuses the whole photograph",
    )
    parser.add_argument("--ca", help="PEM file of the certificate authority of the server")
    parser.add_argument("--cert", help="PEM file of the client's own certificate")
    parser.add_argument("--key", help="PEM file of the key of --cert")
    parser.add_argument(
        "--header",
        type=_header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="sent with every request; may be repeated",
    )
    parser.add_argument("--token_file", help="file of a token, sent as `Authorization: Bearer TOKEN`")
    return parser


def _tile(text: str) -> int | str:
    if text == AUTO:
        return AUTO
    if not text.isdecimal() or int(text) < SMALLEST_TILE:
        raise argparse.ArgumentTypeError(f"{text}: auto, or at least {SMALLEST_TILE} pixels")
    return int(text)


def _header(text: str) -> tuple[str, str]:
    name, sign, value = text.partition(":")
    if not sign:
        raise argparse.ArgumentTypeError("give NAME: VALUE")
    return name.strip(), value.strip()


if __name__ == "__main__":
    sys.exit(main())
