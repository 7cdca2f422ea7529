import subprocess
import sys

import pytest
from absl import flags

from srn import command
from srn.errors import InputError, WorkError


def fail_with(error):
    def call():
        raise error

    return call


@pytest.mark.parametrize(
    "error, code, line",
    [
        (InputError("a.png: not an image"), 2, "tool: a.png: not an image"),
        (WorkError("1 of 2 failed"), 1, "tool: 1 of 2 failed"),
        (OSError(28, "No space left on device", "out/b.png"), 1, "tool: out/b.png: No space left on device"),
        (KeyboardInterrupt(), 130, "tool: interrupted"),
    ],
)
def test_each_kind_of_error_is_a_line_and_a_code(capsys, error, code, line):
    assert command.exit_code_of(fail_with(error), "tool") == code
    assert capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize(
    "message, line",
    [
        ("crop_size=250: not a multiple of 16", "--crop_size=250: not a multiple of 16"),
        ("crop_size: too small", "--crop_size: too small"),
        ("give one of `init_from` and `crop_size`", "give one of `init_from` and --crop_size"),
        ("blur/crop_size=1.png: not an image", "blur/crop_size=1.png: not an image"),
        ("width=3: not a flag here", "width=3: not a flag here"),
        ("first line\ncrop_size=1: second line", "first line\n--crop_size=1: second line"),
    ],
)
def test_arguments_that_are_flags_are_named_as_flags(message, line):
    assert command.name_flags(message, {"crop_size"}) == line


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_flagfile_is_read_as_people_write_it(tmp_path, encoding):
    lines = [
        "# a comment",
        "  // another",
        "",
        "--data_dir='Größe 1'",
        '\t--out_dir="a b" ',
        "--size=3",
        "--x='",
        "--luma  # BasicSR's",
        "--data_dir = GOPRO  # where it lies",
        "--ckpt runs/gopro",
        "--name='a # b'",
        "; a comment of INI files",
        "--path=/data/#1",
    ]
    (tmp_path / "a.cfg").write_text("\r\n".join(lines), encoding=encoding)

    read = command.read_flagfile(tmp_path / "a.cfg")

    assert read == [
        "--data_dir=Größe 1",
        "--out_dir=a b",
        "--size=3",
        "--x='",
        "--luma",
        "--data_dir=GOPRO",
        "--ckpt=runs/gopro",
        "--name=a # b",
        "--path=/data/#1",
    ]


def test_two_flags_in_a_line_of_a_flagfile_are_an_error(tmp_path):
    (tmp_path / "a.cfg").write_text("--data_dir=GOPRO --ckpt=identity\n")

    with pytest.raises(InputError, match="more than one flag in the line --data_dir=GOPRO --ckpt=identity"):
        command.read_flagfile(tmp_path / "a.cfg")


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "a.cfg").write_text("--out_dir=~\n")

    words = ["--mix=gopro:~/GOPRO:0.5,photos:~/p:0.5", "--name=a~b", f"--flagfile={tmp_path / 'a.cfg'}"]

    assert command.expand_flagfiles(words) == [
        "--mix=gopro:/home/me/GOPRO:0.5,photos:/home/me/p:0.5",
        "--name=a~b",
        "--out_dir=/home/me",
    ]


def test_flags_after_a_flagfile_win_over_those_in_it(tmp_path):
    values = flags.FlagValues()
    flags.DEFINE_integer("size", 1, "", flag_values=values)
    (tmp_path / "inner.cfg").write_text("--size=2\n")
    (tmp_path / "outer.cfg").write_text(f"--flagfile={tmp_path / 'inner.cfg'}\n")

    words = command.expand_flagfiles([f"--flagfile={tmp_path / 'outer.cfg'}", "--size=3"])

    assert words == ["--size=2", "--size=3"]
    values(["tool", *words])
    assert values.size == 3


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_flagfile_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "a.cfg"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=r"--flagfile=.*a\.cfg"):
        command.read_flagfile(path)


def test_a_flagfile_that_names_itself_is_an_error(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text(f"--flagfile={path}\n")

    with pytest.raises(InputError, match="names itself"):
        command.expand_flagfiles([f"--flagfile={path}"])


def test_a_reader_that_has_gone_ends_the_command_without_a_word():
    code = "from srn import command; command.run(lambda: print('x' * 100_000) or 0)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()

    errors = process.stderr.read()

    assert process.wait() == 128 + 13
    assert errors == b""


@pytest.mark.parametrize(
    "words, values",
    [
        (["--flagfile=a.cfg", "--size=3", "--flagfile", "b.cfg"], ["a.cfg", "b.cfg"]),
        (["-flagfile=a.cfg"], ["a.cfg"]),
        (["--other=flagfile", "flagfile"], []),
    ],
)
def test_the_values_of_a_flag_on_the_command_line(words, values):
    assert command.values_given("flagfile", ["train.py", *words]) == values


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_closed_is_no_error(monkeypatch, name):
    monkeypatch.setattr(sys, name, None)

    assert command.exit_code_of(lambda: 0, "tool") == 0
    assert command.exit_code_of(fail_with(WorkError("1 of 2 failed")), "tool") == 1
