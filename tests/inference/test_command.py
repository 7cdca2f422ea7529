"""The command, with a network of one line in place of the trained one."""

import io
import json
import os
import sys

import numpy as np
import pytest
from drawing import camera_exif, exif, picture, scene
from PIL import Image

import srn
from srn import weights
from srn.config import ModelConfig
from srn.inference.command import main
from srn.released import DEFAULT


class Darker:
    """Stands in for `srn.Deblurrer`: all pixels by 10 levels darker."""

    config, compute_dtype = None, None

    def __init__(self, ckpt, precision, self_ensemble, keep_graph):
        Darker.made = {"ckpt": ckpt, "precision": precision, "self_ensemble": self_ensemble}

    def __call__(self, pixels, tile=None, on_tile=None):
        if len(pixels) == 64:
            raise MemoryError("no room for 64 rows")
        return np.maximum(pixels, 10) - 10


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(srn, "Deblurrer", Darker, raising=False)
    monkeypatch.setattr("srn.inference.command.choose_tile", lambda *_: None)


@pytest.fixture
def run(fake, capfd):
    """Runs the command; (exit code, standard output, standard error)."""

    def run(*words):
        capfd.readouterr()
        code = main([str(word) for word in words])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def photo(tmp_path):
    picture().save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def pixels_of(path):
    return np.asarray(Image.open(path))


def test_a_photograph_is_restored_and_not_again(run, photo):
    assert run(photo) == (0, f"{photo} -> {photo.with_name('photo_deblurred.png')}\n", "")
    restored = photo.with_name("photo_deblurred.png")
    np.testing.assert_array_equal(pixels_of(restored), np.maximum(scene(), 10) - 10)
    written = restored.stat().st_mtime_ns

    code, out, _ = run(photo)
    assert code == 0 and "--overwrite" in out
    assert restored.stat().st_mtime_ns == written
    assert run(photo, "--overwrite")[0] == 0
    assert restored.stat().st_mtime_ns > written


def test_no_file_ends_the_run(run, tmp_path):
    """A file that fails is one line, and the next one is restored."""
    folder = tmp_path / "in"
    folder.mkdir()
    picture().save(folder / "a.jpg", exif=exif((0x11A, 2, 4, b"72\0\0")))
    picture().save(folder / "b.jpg", exif=exif((0x112, 1, 1, b"\6\0\0\0")))
    picture(height=64).save(folder / "c.png")
    (folder / "d.png").write_bytes(b"no image")
    picture().save(folder / os.fsdecode(b"bad\xff.png"))
    picture().save(folder / ("n" * 246 + ".jpg"))
    os.mkfifo(folder / "pipe.jpg")
    (folder / "x.jpg").mkdir()

    code, out, err = run(folder)

    assert code == 1
    assert "Traceback" not in err
    assert "c.png: does not fit into memory" in err
    assert "d.png: cannot be read as an image" in err
    assert "4 done, 2 failed" in out
    assert Image.open(folder / "b_deblurred.jpg").size == (40, 60)


def test_a_name_that_is_no_text_under_a_strict_terminal(fake, tmp_path, monkeypatch):
    picture().save(tmp_path / os.fsdecode(b"bad\xff.png"))
    strict = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", strict)

    assert main([str(tmp_path)]) == 0

    strict.flush()
    assert b"bad\\udcff" in strict.buffer.getvalue()


def test_a_name_with_a_line_feed_is_one_line(run, tmp_path):
    picture().save(tmp_path / "two\nlines.png")

    code, out, _ = run(tmp_path)

    assert code == 0 and len(out.splitlines()) == 1 and "two\\nlines.png" in out


def test_what_cannot_be_written_is_known_before_the_network_runs(run, tmp_path, monkeypatch):
    picture(height=2, width=16400).save(tmp_path / "wide.png")

    def forbidden(self, *_, **__):
        raise AssertionError("the network ran")

    monkeypatch.setattr(Darker, "__call__", forbidden)
    code, _, err = run(tmp_path / "wide.png", "--format", "webp")

    assert code == 1
    assert "wide.png: 16400x2: WEBP holds 16383 a side" in err


def test_a_folder_that_cannot_be_written_is_found_before_work_begins(run, photo, tmp_path):
    (tmp_path / "file").write_text("")

    code, _, err = run(photo, "-o", tmp_path / "file")

    assert code == 2 and "file: is there already, and is neither a folder nor an image file" in err
    assert run(photo, "-o", tmp_path / "file/below/")[2].endswith("cannot be written (it is no folder)\n")


def test_a_file_without_suffix_keeps_its_kind(run, tmp_path):
    picture().save(tmp_path / "photo", "PNG")
    picture().save(tmp_path / "photo.bak", "JPEG")

    assert run(tmp_path / "photo", tmp_path / "photo.bak")[0] == 0

    assert Image.open(tmp_path / "photo_deblurred").format == "PNG"
    assert Image.open(tmp_path / "photo_deblurred.bak").format == "JPEG"


def test_a_name_that_does_not_fit_the_content_is_said(run, tmp_path):
    picture().save(tmp_path / "photo.jpg", "PNG")

    code, _, err = run(tmp_path / "photo.jpg")

    assert code == 0 and "is PNG by its content, but JPEG by its name" in err
    assert Image.open(tmp_path / "photo_deblurred.jpg").format == "JPEG"
    assert run(tmp_path / "photo.jpg", "--format", "png")[2] == ""


def test_one_folder_that_cannot_be_written_does_not_end_the_others(run, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture().save(tmp_path / name / f"{name}.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b").write_text("in the way")
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / name).rename(tmp_path / "in" / name)

    code, _, err = run(tmp_path / "in", "-r", "-o", tmp_path / "out")

    assert code == 1 and "b.png: " in err and "cannot be written" in err
    assert (tmp_path / "out/a/a.png").exists()


def test_smaller_tiles_are_tried_where_the_memory_runs_out(run, photo, monkeypatch):
    tiles = []

    class ResourceExhaustedError(Exception):
        pass

    def restore(self, pixels, tile=None, on_tile=None):
        tiles.append(tile)
        if tile != 256:
            raise ResourceExhaustedError("OOM when allocating")
        return pixels

    monkeypatch.setattr(Darker, "__call__", restore)

    code, _, err = run(photo)

    assert code == 0 and tiles == [None, 512, 256]
    assert "trying tiles of 256 pixels" in err


def test_interruption_is_a_line(run, photo, monkeypatch):
    def interrupt(self, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Darker, "__call__", interrupt)
    code, _, err = run(photo)

    assert code == 130 and err.splitlines()[-1] == "srn-deblur: interrupted"


def test_what_is_in_the_way_of_a_result_is_found_before_the_network_runs(run, photo):
    photo.with_name("photo_deblurred.png").mkdir()

    for words in ((), ("--overwrite",)):
        code, _, err = run(photo, *words)

        assert code == 1 and "photo_deblurred.png is there already, and is no file" in err


def test_dates_of_an_original_that_has_gone_are_a_line(run, photo, monkeypatch):
    def restore(self, pixels, tile=None, on_tile=None):
        photo.unlink()
        return pixels

    monkeypatch.setattr(Darker, "__call__", restore)

    code, _, err = run(photo, "--keep_dates")

    assert code == 0 and "its dates could not be kept (No such file or directory)" in err


def test_streams_that_the_caller_has_closed(fake, photo, monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)

    assert main([str(photo)]) == 0
    assert main(["-", "-o", str(photo.with_name("x.png"))]) == 1


@pytest.mark.parametrize("error, code", [(BrokenPipeError(32, "Broken pipe"), 141), (OSError(28, "full"), 1)])
def test_a_standard_output_that_takes_nothing(fake, photo, monkeypatch, capsys, error, code):
    class Closed(io.BytesIO):
        def write(self, _):
            raise error

        def fileno(self):
            return os.open(os.devnull, os.O_WRONLY)

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Closed()))

    assert main([str(photo), "-o", "-"]) == code

    expected = "" if code == 141 else "srn-deblur: standard output: cannot be written (full)\n"
    assert capsys.readouterr().err == expected


def test_standard_input_and_output(fake, photo, monkeypatch, capfdbinary):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(photo.read_bytes())))

    assert main(["-", "-o", "-", "--format", "png", "-v"]) == 0

    captured = capfdbinary.readouterr()
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(captured.out))), np.maximum(scene(), 10) - 10
    )
    assert b"megapixels" in captured.err


def test_formats_qualities_suffixes_and_folders(run, tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    picture().save(tmp_path / "in/sub/photo.jpg", exif=camera_exif())

    code, _, _ = run(tmp_path / "in", "-r", "-o", tmp_path / "out", "--format", "webp", "--suffix", "_x")

    assert code == 0
    with Image.open(tmp_path / "out/sub/photo_x.webp") as image:
        assert image.size == (40, 60) and b"MAKER" in image.info["exif"]


def test_strength_mixes_with_the_original(run, photo):
    run(photo, "--strength", "0.5", "--suffix", "_half")
    run(photo, "--strength", "0", "--suffix", "_none")

    half = np.rint((scene() + (np.maximum(scene(), 10).astype(float) - 10)) / 2)
    assert np.abs(pixels_of(photo.with_name("photo_half.png")) - half).max() <= 1
    np.testing.assert_array_equal(pixels_of(photo.with_name("photo_none.png")), scene())


def test_a_comparison_stands_beside_the_result(run, photo):
    run(photo, "--compare")

    picture_of_both = pixels_of(photo.with_name("photo_deblurred_compare.jpg")).astype(int)
    assert picture_of_both.shape == (40, 2 * 60 + 8, 3)
    difference = picture_of_both[20:, :60] - picture_of_both[20:, 68:]
    assert 8 < difference.mean() < 12
    assert run(photo.parent)[0] == 0  # neither result is an input of the next run


def test_dates_are_kept_on_request(run, photo):
    os.utime(photo, (1e9, 1e9))

    run(photo, "--keep_dates")

    assert photo.with_name("photo_deblurred.png").stat().st_mtime == 1e9


def test_a_dry_run_does_nothing(run, photo):
    code, out, _ = run(photo, "--dry_run")

    assert code == 0 and "photo.png -> " in out
    assert json.loads(run(photo, "--dry_run", "--json")[1])["status"] == "planned"
    assert os.listdir(photo.parent) == ["photo.png"]


def test_json_for_programs(run, photo, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")

    code, out, _ = run(tmp_path, "--json")

    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [line.get("status") for line in lines] == ["failed", "done", None]
    assert lines[1]["target"] == str(photo.with_name("photo_deblurred.png"))
    assert lines[1]["megapixels"] == pytest.approx(0.0024, abs=1e-3)
    assert (lines[2]["done"], lines[2]["failed"]) == (1, 1)


def test_quiet_and_verbose(run, photo):
    assert run(photo, "-q") == (0, "", "")
    _, out, err = run(photo, "-v", "--overwrite")
    assert "precision: " in err and "1 done, 0 failed, 0 passed over" in out


def test_metadata_can_be_left_out(run, tmp_path):
    picture().save(tmp_path / "photo.jpg", exif=camera_exif())

    run(tmp_path / "photo.jpg", "--strip")

    assert b"MAKER" not in (tmp_path / "photo_deblurred.jpg").read_bytes()


def test_the_precision_is_chosen_by_the_processor(run, photo, monkeypatch):
    for fast, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("srn.inference.command.has_fast_bfloat16", lambda fast=fast: fast)
        run(photo, "--overwrite", "--self_ensemble")
        assert Darker.made == {"ckpt": DEFAULT, "precision": precision, "self_ensemble": True}
    run(photo, "--overwrite", "--precision", "float32")
    assert Darker.made["precision"] == "float32"


@pytest.mark.parametrize(
    "words",
    [
        ["--tile", "8"],
        ["--tile", "wide"],
        ["--quality", "0"],
        ["--strength", "2"],
        ["--format", "gif"],
        ["--precision", "float8"],
        ["--unknown"],
        ["--suffix", "../x"],
    ],
)
def test_a_wrong_call_is_one_line(photo, words, capsys):
    with pytest.raises(SystemExit) as error:
        main([str(photo), *words])

    assert error.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("flag, part", [("--version", srn.__version__), ("--help", "INPUT")])
def test_help_and_version_do_not_wait_for_tensorflow(command, flag, part):
    code = "import sys\nfrom srn.inference.command import main\n"
    code += "try: main(sys.argv[1:])\nfinally: print('tensorflow' in sys.modules)"

    result = command("-c", code, flag)

    assert result.returncode == 0
    assert part in result.stdout
    assert result.stdout.endswith("False\n")


@pytest.fixture
def ckpt(tmp_path):
    path = tmp_path / "small.npz"
    weights.save_npz(srn.build_model(ModelConfig(width=4, res_blocks=1, kernel_size=3)), path)
    return path


def test_the_command_as_a_process(tmp_path, ckpt, command):
    picture(height=1, width=1).save(tmp_path / "photo.jpg")

    options = ("--ckpt", ckpt, "--tile", "64", "--self_ensemble")
    result = command("-m", "srn.inference.command", tmp_path / "photo.jpg", *options)

    assert result.returncode == 0, result.stderr
    assert Image.open(tmp_path / "photo_deblurred.jpg").size == (1, 1)


def test_weights_that_are_not_there_are_a_line(photo, capsys):
    assert main([str(photo), "--ckpt", "nowhere"]) == 2

    assert "nowhere: there is no such file" in capsys.readouterr().err
