"""The command `srn-client`, as a process of its own, against the stand-in for the server."""

import numpy as np
import pytest
from PIL import Image

from srn.serving.client import connect


@pytest.fixture(scope="module")
def double(served):
    from double import Double

    started = Double(served[1])
    yield started
    started.close()


@pytest.fixture
def photographs(tmp_path):
    """A folder of a JPEG with EXIF, a gray PNG, and a file that is no image."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "in"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010E] = "a street"
    exif[0x0112] = 6  # to be turned
    Image.fromarray(generator.integers(0, 256, (30, 40, 3)).astype(np.uint8)).save(
        folder / "a.jpg", exif=exif
    )
    Image.fromarray(generator.integers(0, 256, (21, 22)).astype(np.uint8)).save(folder / "b.png")
    (folder / "c.png").write_bytes(b"no image")
    return folder


def test_a_folder_is_restored_and_what_fails_is_named(command, double, photographs, tmp_path):
    words = ("-m", "srn.serving.command", photographs, "-o", tmp_path / "out", "--server", double.grpc)

    result = command(*words)

    assert result.returncode == 1
    assert "srn-client: " in result.stderr and "c.png: cannot be read" in result.stderr
    assert "Traceback" not in result.stderr
    with Image.open(tmp_path / "out/a.jpg") as image:
        assert image.size == (30, 40)  # upright
        assert image.getexif()[0x010E] == "a street"
    with connect(double.grpc) as client, Image.open(tmp_path / "out/b.png") as image:
        (expected,) = client.restore_files([(photographs / "b.png").read_bytes()])
        (tmp_path / "expected.png").write_bytes(expected)
        np.testing.assert_array_equal(np.asarray(image), np.asarray(Image.open(tmp_path / "expected.png")))
    (photographs / "c.png").unlink()
    again = command(*words)
    assert again.returncode == 0
    assert again.stdout.count("is there already") == 2


def test_rest_gives_the_same(command, double, photographs, tmp_path):
    for name, server in (("grpc", double.grpc), ("rest", double.rest)):
        result = command(
            *("-m", "srn.serving.command", photographs / "b.png", "-o", tmp_path / name / "b.png"),
            *("--server", server),
        )
        assert result.returncode == 0, result.stderr

    assert (tmp_path / "grpc/b.png").read_bytes() == (tmp_path / "rest/b.png").read_bytes()


@pytest.mark.parametrize(
    "words, code, message",
    [
        (("--model", "other"), 1, "model 'other': NOT_FOUND"),
        (("--server", "localhost"), 2, "no address of a server"),
        (("--timeout", "-1"), 2, "--timeout"),
        (("--attempts", "9"), 2, "--attempts"),
        (("--version", "1", "--label", "stable"), 2, "a version or a label"),
    ],
)
def test_a_wrong_call_is_one_line(command, double, photographs, tmp_path, words, code, message):
    server = () if "--server" in words else ("--server", double.grpc)

    result = command(
        "-m", "srn.serving.command", photographs / "b.png", "-o", tmp_path / "out", *server, *words
    )

    assert result.returncode == code
    (line,) = result.stderr.splitlines()
    assert message in line


def test_the_command_does_not_load_tensorflow(command, double, photographs, tmp_path):
    code = (
        "import sys; from srn.serving.command import main\n"
        "assert main(sys.argv[1:]) == 0; print('tensorflow.python' in sys.modules)"
    )

    words = (photographs / "b.png", "-o", tmp_path / "out", "--server", double.grpc)
    result = command("-c", code, *words)

    assert result.stdout.splitlines()[-1] == "False", result.stderr
