"""What the commands share: flags in, one call, one line for each mistake.

absl's own `app.run` answers a wrong flag with a page of usage and a mistake with a traceback. Here

* `--help` prints the command's own flags and exits with 0,
* an unknown flag, a bad value, a stray word (on the command line or in a flagfile) is one line, exit code 2,
* `srn.errors.InputError` is its lines, exit code 2; `srn.errors.WorkError` its lines, exit code 1; both name
  arguments as flags here,
* a file or disk that fails (`OSError`) is one line, exit code 1; Ctrl-C is one line, exit code 130.

`srn-deblur`, which has an argument parser of its own, shares the last three by `exit_code_of`.
"""

from __future__ import annotations

import os
import signal
import sys

from absl import flags

from srn.errors import InputError, WorkError

DONE, FAILED, WRONG_CALL = 0, 1, 2


def run(main, argv: list | None = None) -> None:
    """Parses the flags, calls `main()` and exits with its result."""
    argv = sys.argv if argv is None else argv
    if any(word in ("--help", "-h", "-help", "--helpfull", "--helpshort") for word in argv[1:]):
        print(f"{sys.modules['__main__'].__doc__}\nFlags, which may also stand in a file: --flagfile=FILE\n")
        print(flags.FLAGS.main_module_help())
        sys.exit(DONE)

    def parse_and_run():
        _parse(argv)
        return main()

    quiet_tensorflow()
    sys.exit(exit_code_of(parse_and_run, os.path.basename(argv[0])))


def exit_code_of(call, name: str) -> int:
    """What `call()` returns, or the code of its error, whose lines are printed as those of command `name`."""
    try:
        return call()
    except (flags.Error, InputError) as error:
        print_error(name, error)
        return WRONG_CALL
    except WorkError as error:
        print_error(name, error)
        return FAILED
    except OSError as error:  # a full disk, a folder that may not be read
        print_error(name, f"{error.filename or 'input or output'}: {error.strerror or error}")
        return FAILED
    except KeyboardInterrupt:
        print_error(name, "interrupted")
        return exit_code_of_signal("SIGINT")


def _parse(argv):
    try:
        words = flags.FLAGS(argv)[1:]
    except UnicodeDecodeError as error:
        raise InputError("--flagfile: not a text file") from error
    if words:
        what = "a flag begins with --; in a flagfile each stands on a line of its own"
        raise InputError("\n".join(f"what is {word!r}? {what}" for word in words))


def print_error(name: str, error) -> None:
    """Prints each line of `error` on stderr, after the name of the command; arguments appear as its flags."""
    message = error.with_flags() if isinstance(error, (InputError, WorkError)) else str(error)
    for line in message.splitlines():
        print(f"{name}: {line}", file=sys.stderr)


def exit_code_of_signal(name: str) -> int:
    """128 plus the signal's number, as shells have it: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + signal.Signals[name].value


def quiet_tensorflow() -> None:
    """Keeps TensorFlow's start-up lines off the terminal, where the caller does not want them otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
