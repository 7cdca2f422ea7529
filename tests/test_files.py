import errno
import os

import pytest

from srn.files import write_atomically


def test_writes_the_content_and_makes_the_folder(tmp_path):
    path = tmp_path / "new" / "deeper" / "results.csv"

    write_atomically(path, b"name\n")

    assert path.read_bytes() == b"name\n"
    assert os.listdir(path.parent) == ["results.csv"]


def test_replaces_a_file_that_is_there(tmp_path):
    path = tmp_path / "results.csv"
    path.write_bytes(b"a longer old content")

    write_atomically(str(path), b"new")

    assert path.read_bytes() == b"new"


def test_a_written_file_is_as_readable_as_any_other(tmp_path):
    plain = tmp_path / "plain.csv"
    plain.write_bytes(b"")

    write_atomically(tmp_path / "results.csv", b"")

    assert (tmp_path / "results.csv").stat().st_mode == plain.stat().st_mode


def test_the_temporary_file_lies_beside_the_target_and_keeps_its_suffix(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "replace", lambda source, target: seen.append((source, target)))

    write_atomically(tmp_path / "image.png", b"")

    [(source, target)] = seen
    assert source.parent == target.parent == tmp_path
    assert source.suffix == ".png"
    assert source.name != target.name


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "results.csv"
    path.write_bytes(b"old")

    def fail(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["results.csv"]


def test_a_disk_that_is_full_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(tmp_path / "a.bin", b"x")

    assert caught.value.filename == str(tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []
