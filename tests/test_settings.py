from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from absl import flags

from srn import settings
from srn.errors import InputError
from srn.settings import setting


@dataclasses.dataclass(frozen=True)
class Drawing:
    name: str = setting("line", "Its name.")
    folder: str | None = setting(None, "Where it lies.")
    kind: str = setting("ink", "What it is made with.", choices=("ink", "oil"))
    size: int = setting(8, "Side, in pixels.", minimum=1, maximum=64)
    limit: int | None = setting(None, "Most strokes.", minimum=1)
    width: float = setting(0.5, "Of the brush.", minimum=0.0)
    signed: bool = setting(False, "Whether it has a name on it.")

    def __post_init__(self):
        settings.check(self)


OTHER = {"name": "a b", "folder": "c:d", "kind": "oil", "size": 64, "limit": 3, "width": 1e-7, "signed": True}


def parsed(*words):
    registry = flags.FlagValues()
    settings.define_flags(Drawing, registry)
    registry(["draw", *words])
    return settings.from_flags(Drawing, registry)


@pytest.mark.parametrize("name", OTHER)
def test_each_flag_reaches_its_field_and_no_other(name):
    value = OTHER[name]

    drawing = parsed(f"--{name}" if value is True else f"--{name}={value}")

    assert drawing == dataclasses.replace(Drawing(), **{name: value})


@pytest.mark.parametrize("drawing", [Drawing(), Drawing(**OTHER)])
def test_a_flagfile_gives_back_what_it_was_written_from(tmp_path, drawing):
    path = tmp_path / "draw.cfg"
    path.write_text(settings.to_flagfile(drawing, out_dir="there"))

    assert settings.from_flagfile(Drawing, path, ignored=["out_dir"]) == drawing
    assert settings.from_flagfile(Drawing, path, ["out_dir"], size=1).size == 1
    assert "--out_dir=there\n" in path.read_text()


@pytest.mark.parametrize(
    "changes, allowed",
    [
        ({"size": 0}, "size=0 is not possible; give a whole number from 1 to 64"),
        ({"size": 65}, "size=65"),
        ({"size": 1.5}, "size=1.5"),
        ({"size": True}, "size=True"),
        ({"limit": 0}, "limit=0 is not possible; give a whole number of at least 1 or None"),
        ({"limit": 10**20}, "limit=100000000000000000000"),
        ({"width": float("nan")}, "width=nan is not possible; give a number of at least 0.0"),
        ({"width": "1"}, "width='1'"),
        ({"kind": "chalk"}, "kind='chalk' is not possible; give one of ink, oil"),
        ({"name": None}, "name=None is not possible; give some text"),
        ({"folder": Path("a")}, "or None"),
        ({"signed": 1}, "signed=1 is not possible; give True or False"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_is_named_with_what_may(changes, allowed):
    with pytest.raises(InputError) as error:
        Drawing(**changes)

    assert allowed in str(error.value)


def test_all_wrong_fields_are_said_together():
    with pytest.raises(InputError) as error:
        Drawing(size=0, kind="chalk")

    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    "content, part",
    [
        (b"--colour=red\n", "colour"),
        (b"size=3\n", "size=3"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"--size=x", "size"),
    ],
)
def test_a_flagfile_that_holds_something_else_is_named(tmp_path, content, part):
    path = tmp_path / "draw.cfg"
    path.write_bytes(content)

    with pytest.raises(InputError) as error:
        settings.from_flagfile(Drawing, path)

    assert str(path) in str(error.value) and part in str(error.value)
    with pytest.raises(InputError, match="nowhere"):
        settings.from_flagfile(Drawing, tmp_path / "nowhere")
