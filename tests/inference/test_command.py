from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import srn
from srn import weights
from srn.config import ModelConfig
from srn.errors import InputError
from srn.inference.command import main
from srn.inference.photographs import plan


def save(path, size=(20, 14)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def ckpt(tmp_path):
    path = tmp_path / "small.npz"
    weights.save_npz(srn.build_model(ModelConfig(width=4, res_blocks=1, kernel_size=3)), path)
    return str(path)


def test_results_stand_beside_the_originals_or_where_they_are_wanted(tmp_path):
    one, two = save(tmp_path / "a/one.jpg"), save(tmp_path / "a/two.png")
    (tmp_path / "a/notes.txt").write_text("")
    save(tmp_path / "a/three_deblurred.png")

    assert plan([one], None) == [(one, tmp_path / "a/one_deblurred.jpg")]
    assert plan([tmp_path / "a"], None) == [
        (one, tmp_path / "a/one_deblurred.jpg"),
        (two, tmp_path / "a/two_deblurred.png"),
    ]
    assert plan([one], tmp_path / "sharp.png") == [(one, tmp_path / "sharp.png")]
    assert plan([one, two], tmp_path / "b") == [(one, tmp_path / "b/one.jpg"), (two, tmp_path / "b/two.png")]


def test_an_output_that_is_neither_folder_nor_image_is_refused(tmp_path):
    photograph = save(tmp_path / "photo.png")

    for name in ("result.gif", "notes.txt"):
        with pytest.raises(InputError, match="neither a folder nor an image file"):
            plan([photograph], tmp_path / name)


def test_a_folder_that_cannot_be_written_is_found_before_work_begins(tmp_path, ckpt, capsys):
    (tmp_path / "file").write_text("")

    assert main([str(save(tmp_path / "photo.png")), "-o", str(tmp_path / "file"), "--ckpt", ckpt]) == 2

    assert "file: cannot be written" in capsys.readouterr().err


def test_what_goes_wrong_with_one_photograph_leaves_the_others(tmp_path, ckpt, capsys, monkeypatch):
    save(tmp_path / "in/large.png", (64, 64))
    save(tmp_path / "in/small.png")
    original = srn.Deblurrer.__call__

    def restore(self, image):
        if len(image) == 64:
            raise MemoryError("no room for 64 rows")
        return original(self, image)

    monkeypatch.setattr(srn.Deblurrer, "__call__", restore)

    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--ckpt", ckpt]) == 1

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.png"]
    assert "large.png: MemoryError: no room" in capsys.readouterr().err


def test_interruption_is_a_line(tmp_path, ckpt, capsys, monkeypatch):
    def interrupt(self, image):
        raise KeyboardInterrupt

    monkeypatch.setattr(srn.Deblurrer, "__call__", interrupt)

    assert main([str(save(tmp_path / "photo.png")), "--ckpt", ckpt]) == 130

    assert capsys.readouterr().err.splitlines()[-1] == "srn-deblur: interrupted"


def test_the_command_as_a_process(tmp_path, ckpt, command):
    photograph = save(tmp_path / "photo.jpg", (1, 1))

    result = command("-m", "srn.inference.command", photograph, "--ckpt", ckpt)

    assert result.returncode == 0, result.stderr
    assert Image.open(tmp_path / "photo_deblurred.jpg").size == (1, 1)


def test_no_plan_loses_an_image(tmp_path):
    one, other = save(tmp_path / "a/one.jpg"), save(tmp_path / "b/one.jpg")

    for inputs, output, part in (
        ([one], one, "would overwrite an input"),
        ([one], tmp_path / "a", "would overwrite an input"),
        ([one, other], tmp_path / "c", "two inputs"),
        ([one, other], tmp_path / "c.png", "cannot take 2 photographs"),
        ([tmp_path / "missing.jpg"], None, "no such file"),
    ):
        with pytest.raises(InputError, match=part):
            plan(inputs, output)


def test_a_photograph_is_restored_and_not_again(tmp_path, ckpt, capsys):
    photograph = save(tmp_path / "photo.png")

    assert main([str(photograph), "--ckpt", ckpt]) == 0
    restored = tmp_path / "photo_deblurred.png"
    assert Image.open(restored).size == (20, 14)
    written = restored.stat().st_mtime_ns
    assert main([str(photograph), "--ckpt", ckpt]) == 0
    assert restored.stat().st_mtime_ns == written
    assert "--overwrite" in capsys.readouterr().out
    assert main([str(photograph), "--ckpt", ckpt, "--overwrite"]) == 0
    assert restored.stat().st_mtime_ns > written


def test_one_bad_file_is_one_line_and_the_rest_go_on(tmp_path, ckpt, capsys):
    save(tmp_path / "in/good.png")
    (tmp_path / "in/bad.png").write_text("no image")

    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--ckpt", ckpt]) == 1

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("srn-deblur:")]
    assert "bad.png: cannot be read as an image" in line


def test_wrong_calls_are_a_line_and_two(tmp_path, ckpt, capsys):
    assert main([str(tmp_path / "missing.jpg"), "--ckpt", ckpt]) == 2
    assert main([str(save(tmp_path / "photo.png")), "--ckpt", "nothing"]) == 2
    with pytest.raises(SystemExit) as error:
        main(["--fast"])
    assert error.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


@pytest.mark.parametrize("flag, part", [("--version", srn.__version__), ("--help", "INPUT")])
def test_help_and_version_do_not_wait_for_tensorflow(command, flag, part):
    code = "import sys\nfrom srn.inference.command import main\n"
    code += "try: main(sys.argv[1:])\nfinally: print('tensorflow' in sys.modules)"

    result = command("-c", code, flag, cwd=Path.cwd())

    assert result.returncode == 0
    assert part in result.stdout
    assert result.stdout.endswith("False\n")
