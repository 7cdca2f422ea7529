"""What the three commands share: flags in, one call, one line for each mistake.

absl's own `app.run` answers a wrong flag with a page of usage and a mistake with a traceback. Here

* `--help` prints the command's own flags and exits with 0,
* an unknown flag, a bad value, a stray word (on the command line or in a flagfile) is one line, exit code 2,
* `srn.errors.InputError` is its lines, exit code 2; `srn.errors.WorkError` its lines, exit code 1,
* Ctrl-C is one line, exit code 130.
"""

from __future__ import annotations

import os
import signal
import sys

from absl import flags

from srn.errors import InputError, WorkError

DONE, FAILED, WRONG_CALL = 0, 1, 2


def run(main, argv: list | None = None) -> None:
    """Parses the flags, calls `main()` and exits with its result (None is 0)."""
    argv = sys.argv if argv is None else argv
    name = os.path.basename(argv[0])
    if any(word in ("--help", "-h", "-help", "--helpfull", "--helpshort") for word in argv[1:]):
        print(f"{sys.modules['__main__'].__doc__}\nFlags:\n{flags.FLAGS.main_module_help()}")
        sys.exit(DONE)
    quiet_tensorflow()
    try:
        _parse(argv)
        code = main()
    except (flags.Error, InputError) as error:
        _print_error(name, error)
        code = WRONG_CALL
    except WorkError as error:
        _print_error(name, error)
        code = FAILED
    except KeyboardInterrupt:
        _print_error(name, "interrupted")
        code = exit_code_of_signal("SIGINT")
    sys.exit(code)


def _parse(argv):
    words = flags.FLAGS(argv)[1:]
    if words:
        what = "a flag begins with --; in a flagfile each stands on a line of its own"
        raise InputError("\n".join(f"what is {word!r}? {what}" for word in words))


def _print_error(name, error):
    for line in str(error).splitlines():
        print(f"{name}: {line}", file=sys.stderr)


def exit_code_of_signal(name: str) -> int:
    """128 plus the signal's number, as shells have it: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + signal.Signals[name].value


def quiet_tensorflow() -> None:
    """Keeps TensorFlow's start-up lines off the terminal, where the caller does not want them otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def own_flags_as_flagfile() -> str:
    """The running command's own flags with their values: a flagfile that repeats the call."""
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    return "".join(f"{flag.serialize()}\n" for flag in own if flag.value is not None)
