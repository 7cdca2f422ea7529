"""Lists of pairs in text files.

A line names two files, separated by blanks or one comma; names with blanks must be quoted, or the columns
separated by tabs. Empty lines, comments (a line that begins with `#`, or the end of one
after ` # `) and a byte order mark are ignored.
"""

from __future__ import annotations

import re
from pathlib import Path

from srn.data.listing import Listing, Pair, Request
from srn.errors import InputError
from srn.files import read_text

_WORD = re.compile(r"""["]([^"]*)["]|[']([^']*)[']|(\S+)""")
_COMMENT = re.compile(r"^\s*#.*|\s#\s.*")
_COMMA = re.compile(r"""(?<=\.png|\.jpg|jpeg)(["']?)\s*,\s*""", re.IGNORECASE)


def list_datalist(request: Request) -> Listing | None:
    """Lists the pairs of a text file like the authors' `datalist_gopro.txt`: lines `SHARP BLURRY`.

    The paths are relative to the list's folder or, as in the authors' repository, to `training_set/` there.
    The sequence is the last folder that both paths have in common. None if `data_dir` is not a file.
    """
    path = request.data_dir
    if not path.is_file():
        return None
    listing, names = Listing(folders=[path], has_splits=False), set()
    for number, words in read_columns(path):
        try:
            pair = _pair_of_line(path.parent, words)
            if pair.name in names:
                raise InputError(f"the pair {pair.name} is listed already")
        except InputError as error:
            listing.problems.append(f"{path}, line {number}: {error}")
            continue
        names.add(pair.name)
        listing.pairs.append(pair)
    return listing


def read_columns(path: Path) -> list[tuple[int, list[str]]]:
    """[(number, words)] of a list's lines. Raises `InputError` for a file that is not text."""
    try:
        text = read_text(path)
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: not a text file; `data_dir` takes a folder (unpack an archive first) or a list of pairs"
        ) from None
    lines = [(number, _COMMENT.sub("", line).strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, _split(line)) for number, line in lines if line]


def _split(line: str) -> list[str]:
    line = _COMMA.sub(r"\1\t", line, count=1)
    if "\t" in line:
        return [_unquote(word.strip()) for word in line.split("\t") if word.strip()]
    return ["".join(groups) for groups in _WORD.findall(line)]


def _unquote(word: str) -> str:
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "\"'"
    return word[1:-1] if quoted else word


def _pair_of_line(folder: Path, words: list[str]) -> Pair:
    if len(words) != 2:
        what = "no second column" if len(words) < 2 else f"{len(words)} columns"
        raise InputError(f"has {what}; a line takes a sharp and a blurry file, names with blanks in quotes")
    words = [word.replace("\\", "/") for word in words]
    files = []
    for word in words:
        found = [path for path in (folder / word, folder / "training_set" / word) if path.is_file()]
        if not found:
            raise InputError(f"{word} is not there")
        files.append(found[0])
    sharp, blurry = (Path(word).parts[:-1] for word in words)
    common = [one for one, other in zip(sharp, blurry) if one == other and one not in ("..", "/")]
    sequence = common[-1] if common else ""
    stem = Path(words[1]).stem
    return Pair(files[1], files[0], f"{sequence}/{stem}" if sequence else stem, sequence)
