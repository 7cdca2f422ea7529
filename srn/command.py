"""Common entry point of the commands: flag parsing, errors and exit codes.

Unlike absl's `app.run`, which prints the whole usage for a wrong flag and tracebacks for errors:

* `--help` prints the command's own flags and exits with 0,
* an unknown flag, an invalid value, a stray word (also in a flagfile) is one line, exit code 2,
* `srn.errors.InputError` prints its lines, exit code 2; `srn.errors.WorkError` prints its lines, exit code 1,
* `OSError`, such as for a full disk, is one line, exit code 1; Ctrl-C is one line, exit code 130,
* a closed output pipe (`train.py --help | head`) ends the command silently.

The library's messages name its arguments: at the start of a line (`crop_size=250 is ...`) or in backquotes.
Where a command has a flag of that name, its line names the flag: `--crop_size=250 is ...`.

`srn-deblur` has its own argument parser and uses `exit_code_of` for the last four.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Container
from pathlib import Path

from absl import flags

from srn.errors import InputError, WorkError
from srn.files import read_text

DONE, FAILED, WRONG_CALL = 0, 1, 2
_HELP = ("--help", "-h", "-help", "--helpfull", "--helpshort")
_LINE = re.compile(
    r"""(?P<name>--?\w+)
    (?:(?:\s*=\s*|\s+)(?:(?P<quote>["'])(?P<quoted>.*)(?P=quote)|(?P<plain>(?![\s#]).*?)))?
    (?:\s+\#(?:\s.*)?)?  # a comment""",
    re.VERBOSE,
)
_HOME = re.compile(r"(?<=[=:])~(?=[/:]|$)")
_ARGUMENT = re.compile(r"^(\w+)(?=[=:])|`(\w+)`", re.MULTILINE)


def run(main: Callable[[], int], argv: list[str] | None = None) -> None:
    """Parses the flags, calls `main()` and exits with its result."""
    argv = sys.argv if argv is None else argv

    def parse_and_run() -> int:
        if any(word in _HELP for word in argv[1:]):
            print(
                f"{sys.modules['__main__'].__doc__}\nFlags, which may also stand in a file: --flagfile=FILE\n"
            )
            print(flags.FLAGS.main_module_help())
            return DONE
        _parse(argv)
        return main()

    quiet_tensorflow()
    sys.exit(exit_code_of(parse_and_run, os.path.basename(argv[0]), set(flags.FLAGS)))


def exit_code_of(call: Callable[[], int], name: str, known_flags: Container[str] = ()) -> int:
    """Returns the result of `call()`, or the exit code of its error, whose lines are printed.

    Args:
      call: the work.
      name: of the command, printed before each line.
      known_flags: names of the flags of the command.
    """
    _replace_closed_streams()
    try:
        code = call()
        if sys.stdout is not None:  # as of `>&-`
            sys.stdout.flush()  # here, where a reader that has gone is no error
        return code
    except (flags.Error, InputError) as error:
        print_error(name, name_flags(str(error), known_flags))
        return WRONG_CALL
    except WorkError as error:
        print_error(name, name_flags(str(error), known_flags))
        return FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        return exit_code_of_signal("SIGPIPE")
    except OSError as error:  # a full disk, a folder that may not be read
        print_error(name, f"{error.filename or 'input or output'}: {error.strerror or error}")
        return FAILED
    except KeyboardInterrupt:
        print_error(name, "interrupted")
        return exit_code_of_signal("SIGINT")


def _replace_closed_streams() -> None:
    """Python has None for a stream that the caller has closed; here it is an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for the whole run


def name_flags(message: str, known_flags: Container[str]) -> str:
    """Adds `--` to the arguments named in a message of the library that are flags."""

    def name(match: re.Match) -> str:
        argument = match[1] or match[2]
        return f"--{argument}" if argument in known_flags else match[0]

    return _ARGUMENT.sub(name, message)


def _parse(argv: list[str]) -> None:
    words = flags.FLAGS([argv[0], *expand_flagfiles(argv[1:])])[1:]
    if words:
        what = "flags begin with --; in a flagfile, each is on its own line"
        raise InputError("\n".join(f"what is {word!r}? {what}" for word in words))


def expand_flagfiles(words: list[str], outer: tuple[str, ...] = ()) -> list[str]:
    """Replaces each `--flagfile=FILE` by the lines of the file.

    A `~` at the start of a path is expanded to the home folder, which shells do not do within
    --data_dir=~/GOPRO_Large.

    Raises `InputError` naming a flagfile that cannot be read, or names itself.
    """
    expanded: list[str] = []
    rest = iter(words)
    for word in rest:
        word = _HOME.sub(str(Path.home()), word)
        name, sign, path = word.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            expanded.append(word)
            continue
        path = path if sign else next(rest, "")
        if path in outer:
            raise InputError(f"--flagfile={path}: a flagfile that names itself")
        expanded += expand_flagfiles(read_flagfile(path), (*outer, path))
    return expanded


def values_given(name: str, argv: list[str] | None = None) -> list[str]:
    """The values of a flag on the command line itself, not in a flagfile."""
    words = (sys.argv if argv is None else argv)[1:]
    values = []
    for word, following in zip(words, [*words[1:], ""]):
        flag, sign, value = word.partition("=")
        if flag in (f"--{name}", f"-{name}"):
            values.append(value if sign else following)
    return values


def read_flagfile(path: str | os.PathLike[str]) -> list[str]:
    """Reads the flags of a flagfile, one per line: `--name=value` or `--name value`.

    A byte order mark, blanks around a line and around `=`, quotes around a value and comments are removed.
    Comments are lines that begin with `#`, `//` or `;`, and the end of a line after ` # `. The encoding is
    UTF-8 or UTF-16.

    Raises `InputError` naming a file that cannot be read, and a line with two flags.
    """
    try:
        lines = read_text(path).splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"--flagfile={path}: not a text file in UTF-8") from error
    except OSError as error:
        raise InputError(f"--flagfile={path}: cannot be read ({error.strerror})") from error
    lines = [line.strip() for line in lines]
    return [_word_of(line, path) for line in lines if line and not line.startswith(("#", "//", ";"))]


def _word_of(line: str, path: str | os.PathLike[str]) -> str:
    """A flagfile's line as one word of a command line."""
    match = _LINE.fullmatch(line)
    if match is None:
        return line
    name, plain, quoted = match.group("name", "plain", "quoted")
    if plain and re.search(r"\s--\w", plain):
        raise InputError(f"--flagfile={path}: more than one flag in the line {line}")
    value = quoted if plain is None else plain
    return name if value is None else f"{name}={value}"


def print_error(name: str, error: object) -> None:
    """Prints each line of `error` on stderr, after the name of the command."""
    with contextlib.suppress(OSError):  # nobody reads it
        for line in str(error).splitlines():
            print(f"{name}: {line}", file=sys.stderr)


def exit_code_of_signal(name: str) -> int:
    """128 plus the signal's number, as in shells: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + signal.Signals[name].value


def quiet_tensorflow() -> None:
    """Suppresses TensorFlow's log messages, unless TF_CPP_MIN_LOG_LEVEL is set."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
