"""The command `srn-client` against the stand-in for the server."""

import ast
import itertools
import json
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import srn
from srn.inference.tiling import split
from srn.serving import command as command_module
from srn.serving import connection
from srn.serving.client import connect
from srn.serving.contract import MAX_PIXELS


@pytest.fixture(scope="module")
def double(served, make_engine):
    from double import Double

    make_engine()  # skips where there is no loader
    started = Double(served[1])
    yield started
    started.close()


@pytest.fixture
def quick(monkeypatch):
    """No long waits between attempts."""
    monkeypatch.setattr(connection, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(connection, "_MAX_WAIT", 0.1)


@pytest.fixture
def client(capsys):
    """Runs the command in this process: (exit code, stdout, stderr)."""

    def run(*words):
        try:
            code = command_module.main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def save(path, *shape, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(*shape)).save(path, **options)
    return path


@pytest.fixture
def photographs(tmp_path):
    """A folder of a JPEG with EXIF, a gray PNG, and a file that is no image."""
    exif = Image.Exif()
    exif[0x010E] = "a street"
    exif[0x0112] = 6  # to be turned
    folder = save(tmp_path / "in/a.jpg", 30, 40, 3, exif=exif).parent
    save(folder / "b.png", 21, 22)
    (folder / "c.png").write_bytes(b"no image")
    return folder


def test_a_folder_is_restored_and_what_fails_is_named(client, double, photographs, tmp_path):
    words = (photographs, "-o", tmp_path / "out", "--server", double.grpc)

    code, _, errors = client(*words)

    assert code == 1
    assert "srn-client: " in errors and "c.png: cannot be read" in errors
    with Image.open(tmp_path / "out/a.jpg") as image:
        assert image.size == (30, 40)  # upright
        assert image.getexif()[0x010E] == "a street"
    with connect(double.grpc) as server, Image.open(tmp_path / "out/b.png") as image:
        expected = server.restore_image(np.asarray(Image.open(photographs / "b.png")))
        np.testing.assert_array_equal(np.asarray(image), expected)
    (photographs / "c.png").unlink()
    code, said, _ = client(*words)
    assert code == 0
    assert said.count("is there already") == 2


def test_rest_gives_the_same(client, double, photographs, tmp_path):
    for name, server in (("grpc", double.grpc), ("rest", double.rest)):
        code, _, errors = client(photographs / "b.png", "-o", tmp_path / name / "b.png", "--server", server)
        assert code == 0, errors

    assert (tmp_path / "grpc/b.png").read_bytes() == (tmp_path / "rest/b.png").read_bytes()


@pytest.mark.parametrize("kind", ["gray with alpha", "16 bits", "16 bits gray"])
def test_what_a_photograph_is_it_stays(client, double, served, tmp_path, kind):
    """One code with srn-deblur: alpha aside, gray alone, every level of 16 bits."""
    import cv2

    path, target = tmp_path / "a.png", tmp_path / "out/a.png"
    if kind == "gray with alpha":
        Image.fromarray(pixels(20, 31, 2)).save(path)
    else:
        shape = (20, 31) if "gray" in kind else (20, 31, 3)
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16))

    code, _, errors = client(path, "-o", target, "--server", double.grpc)

    assert code == 0, errors
    before, after = (cv2.imread(str(name), cv2.IMREAD_UNCHANGED) for name in (path, target))
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    if kind == "gray with alpha":
        with Image.open(target) as image:
            assert image.mode == "LA"
            np.testing.assert_array_equal(np.asarray(image)[..., 1], pixels(20, 31, 2)[..., 1])
    else:
        colours = np.broadcast_to(before.reshape(20, 31, -1)[..., ::-1], (20, 31, 3)) / np.float32(65535)
        expected = np.clip(served[0].restore(colours[np.newaxis]), 0, 1)[0]
        expected = expected.mean(-1) if "gray" in kind else expected[..., ::-1]
        np.testing.assert_allclose(after / 65535, expected, atol=2e-5)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
@pytest.mark.parametrize("shape", [(330, 420), (330, 420, 3)], ids=["gray", "colour"])
def test_a_photograph_sent_whole_is_that_of_srn_deblur(client, double, deblurrer, tmp_path, protocol, shape):
    path = save(tmp_path / "a.png", *shape)

    code, _, errors = client(path, "-o", tmp_path / "out", "--server", getattr(double, protocol))

    assert code == 0, errors
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/a.png")), deblurrer(pixels(*shape)))


@pytest.mark.parametrize("shape", [(330, 420), (330, 420, 3)], ids=["gray", "colour"])
def test_tiles_are_those_of_srn_deblur(client, double, deblurrer, tmp_path, shape):
    path = save(tmp_path / "a.png", *shape)

    code, _, errors = client(path, "-o", tmp_path / "out", "--server", double.grpc, "--tile=64")

    assert code == 0, errors
    restored = np.asarray(Image.open(tmp_path / "out/a.png"))
    np.testing.assert_array_equal(restored, deblurrer(pixels(*shape), tile=64))


def test_tiles_by_rest_differ_where_they_are_blended_alone(client, double, deblurrer, tmp_path):
    """There 16 bits are too few to tell which of two levels is nearer."""
    path = save(tmp_path / "a.png", 330, 420, 3)

    code, _, errors = client(path, "-o", tmp_path / "out", "--server", double.rest, "--tile=64")

    assert code == 0, errors
    restored = np.asarray(Image.open(tmp_path / "out/a.png")).astype(int)
    difference = np.abs(restored - deblurrer(pixels(330, 420, 3), tile=64))
    assert difference.max() <= 1 and np.mean(difference) < 2e-3
    by_one_tile = np.zeros((330, 420), bool)
    for row, column in itertools.product(split(330, 64), split(420, 64)):
        weights = np.outer(row.weight, column.weight)
        by_one_tile[row.first : row.last, column.first : column.last] |= weights == 1
    assert not difference[by_one_tile].any()


def test_a_photograph_that_the_server_refuses_whole_is_sent_in_tiles(client, double, tmp_path):
    """The stand-in's model takes a million pixels, fewer than the client knows of."""
    path = save(tmp_path / "large.png", 1000, 1100, 3)
    assert MAX_PIXELS > 1000 * 1100

    code, _, errors = client(path, "-o", tmp_path / "out", "--server", double.grpc)

    assert code == 0, errors
    assert Image.open(tmp_path / "out/large.png").size == (1100, 1000)


def test_a_server_that_is_killed_and_started_again_loses_no_photograph(
    client, served, make_engine, tmp_path, monkeypatch
):
    from double import Double

    make_engine()  # skips where there is no loader
    for number in range(6):
        save(tmp_path / f"in/{number}.png", 20 + number, 30, 3)
    started = [Double(served[1])]
    port, restored = started[0].grpc.split(":")[1], []
    original = connection.Client.restore_image

    def restore_image(self, image):
        if len(restored) == 2 and len(started) == 1:
            started[0].kill()
            started.append(Double(served[1], "--grpc_port", port))
        restored.append(original(self, image))
        return restored[-1]

    monkeypatch.setattr(connection.Client, "restore_image", restore_image)

    code, _, errors = client(
        tmp_path / "in", "-o", tmp_path / "out", "--server", f"localhost:{port}", "--parallel=1"
    )

    assert code == 0, errors
    assert len(list((tmp_path / "out").iterdir())) == 6 and len(started) == 2
    started[1].close()


def test_a_server_that_is_gone_ends_the_run_in_one_line(
    client, served, make_engine, tmp_path, monkeypatch, quick
):
    from double import Double

    make_engine()  # skips where there is no loader
    for number in range(14):
        save(tmp_path / f"in/{number:02d}.png", 20, 30, 3)
    double, restored = Double(served[1]), []
    original = connection.Client.restore_image

    def restore_image(self, image):
        if len(restored) == 4:
            double.kill()
        restored.append(1)
        return original(self, image)

    monkeypatch.setattr(connection.Client, "restore_image", restore_image)

    code, _, errors = client(tmp_path / "in", "-o", tmp_path / "out", "--server", double.grpc)

    assert code == 1
    (line,) = errors.splitlines()
    done = len(list((tmp_path / "out").iterdir()))
    assert f"{14 - done} of 14 photographs are not restored, the same command resumes" in line
    assert "UNAVAILABLE" in line and double.grpc in line
    assert 3 <= done <= 5 and len(restored) < 8


@pytest.mark.parametrize(
    "words, code, message",
    [
        (("--model", "other"), 1, "model 'other': NOT_FOUND"),
        (("--server", "localhost:x"), 2, "--server=localhost:x: no port from 1 to 65535"),
        (("--timeout", "-1"), 2, "--timeout: -1: give a number from"),
        (("--timeout", "abc"), 2, "--timeout: abc: give a number from"),
        (("--attempts", "0"), 2, "--attempts: 0: give a number from 1 to 100"),
        (("--parallel", "0"), 2, "--parallel: 0: give a number from 1 to 64"),
        (("--tile", "10"), 2, "--tile: 10: auto, or at least 64"),
        (("--version", "1", "--label", "stable"), 2, "give `version` or `label`, not both"),
        (("--header", "x"), 2, "--header: give NAME: VALUE"),
        (("--ca", "none.pem", "--server", "grpcs://localhost"), 2, "--ca=none.pem: cannot be read"),
        (("--token_file", "none"), 2, "--token_file=none: cannot be read"),
        (("--token_file", os.devnull), 2, f"--token_file={os.devnull}: holds no token"),
        (("--model", ""), 2, "--model='': no name of a model"),
        (("--server", "http://localhost/v1/models/srn"), 2, "before /v1, and the model as --model"),
    ],
)
def test_a_wrong_call_is_one_line(client, double, photographs, tmp_path, words, code, message):
    server = () if "--server" in words else ("--server", double.grpc)

    found, _, errors = client(photographs / "b.png", "-o", tmp_path / "out", *server, *words)

    (line,) = errors.splitlines()
    assert found == code
    assert message.replace("`version` or `label`", "--version or --label") in line


def test_nobody_there_is_one_line_with_the_whole_address(client, photographs, tmp_path, quick):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{free.getsockname()[1]}"

    code, _, errors = client(photographs, "-o", tmp_path / "out", "--server", server, "--attempts=2")

    (line,) = errors.splitlines()
    assert code == 1 and f"grpc://{server}: model 'srn': UNAVAILABLE" in line


CLIENT = Path(srn.__file__).parents[1] / "serving" / "client" / "setup.py"


def test_the_command_needs_no_tensorflow_and_no_more_than_its_package_has(
    command, double, photographs, tmp_path
):
    """Everything else of the project, and TensorFlow, cannot be imported in this process."""
    modules = next(
        ast.literal_eval(node.value)
        for node in ast.parse(CLIENT.read_text()).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "MODULES"
    )
    code = """
import json, sys
modules = json.loads(sys.argv.pop(1))
class Missing:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in ("tensorflow", "tensorflow_serving", "keras", "scipy"):
            raise ImportError(name)
        known = name in modules or f"{name}.__init__" in modules
        if top == "srn" and not known:
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
from srn.serving.command import main
sys.exit(main(sys.argv[1:]))
"""
    words = (photographs / "b.png", "-o", tmp_path / "out", "--server")

    for server in (double.grpc, double.rest):
        result = command("-c", code, json.dumps(modules), *words, server, "--overwrite")
        assert result.returncode == 0, result.stderr

    assert sys.version_info and (tmp_path / "out/b.png").exists()
