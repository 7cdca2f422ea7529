"""What runs where JAX is: the sampler's facts, the engines, train.py. Skipped where JAX is not installed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.slow  # it needs an environment with JAX

ROOT = Path(__file__).resolve().parents[2]
PREPARE = """
import jax, jax.numpy as jnp, numpy as np, dataclasses
jax.config.update("jax_enable_x64", True)
from tools.stablehlo import sampler
from tools.stablehlo.archive import open_archive
from tools.stablehlo.sampler import SamplerSettings
archive = open_archive(FOLDER)
tables = {name: jnp.asarray(table) for name, table in archive.tables().items()}
def batch(seed, size=8, crop=32, **settings):
    sample = sampler.make_sampler(size, crop, tables, SamplerSettings(**settings))
    return [np.asarray(side) for side in jax.jit(sample)(jax.random.key(seed), tables)]
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """3 photographs, 14 frames that get brighter by 4 each, 2 pairs (sharp is blur + 20) and 1 held out."""
    folder = tmp_path_factory.mktemp("archive")

    def write(name, picture):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8))

    generator = np.random.default_rng(0)
    for number in range(3):
        coarse = generator.integers(0, 256, (9, 12, 3)).astype(np.uint8)
        write(f"photos/{number}.png", cv2.resize(coarse, (160, 120 + 8 * number)))
    for number in range(14):
        write(f"frames/walk/{number:02d}.png", np.full((64, 80, 3), 100 + 4 * number))
    for use, count in (("pairs", 2), ("held_out", 1)):
        for number in range(count):
            blurry = generator.integers(0, 200, (64, 80, 3))
            write(f"{use}/blur/{number}.png", blurry)
            write(f"{use}/sharp/{number}.png", blurry + 20)
    return folder


@pytest.fixture
def python_in_jax(in_jax, archive):
    def run(code):
        result = in_jax("-c", PREPARE.replace("FOLDER", repr(str(archive))) + code)
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout

    return run


def test_the_sampler_makes_what_it_says(python_in_jax):
    python_in_jax("""
one, two, other = batch(1), batch(1), batch(2)
assert all((a == b).all() for a, b in zip(one, two)) and (one[0] != other[0]).any()
assert one[0].dtype == np.float32 and one[0].shape == (8, 32, 32, 3)
assert all(0 <= side.min() and side.max() <= 1 for side in one)

# Pairs: cut and laid alike, exact.
blurry, sharp = batch(3, kind_weights=(0, 0, 1))
np.testing.assert_allclose(sharp - blurry, 20 / 255, atol=1e-6)
source = np.concatenate([archive.pixels[p[0]:p[0] + p[1] * p[2]] for p in archive.pairs[:, 0]])
known = {tuple(pixel) for pixel in source}
assert {tuple(pixel) for pixel in np.rint(blurry * 255).astype(int).reshape(-1, 3)} <= known

# Frames: the mean of 7 to 13 that get brighter evenly is the one in the middle.
blurry, sharp = batch(4, kind_weights=(0, 1, 0), noise=0.0, gamma_probability=0.0)
np.testing.assert_allclose(blurry, sharp, atol=0.6 / 255)
levels = {round(float(v)) for v in np.unique(np.rint(sharp * 255))}
assert levels <= {100 + 4 * n for n in range(3, 11)} and len(levels) > 1
# In light, a mean is brighter than that of stored values.
blurry, sharp = batch(4, kind_weights=(0, 1, 0), noise=0.0, gamma_probability=1.0)
assert (blurry - sharp).mean() > 0.4 / 255

# Photos: without movement nothing changes; with it, detail goes and the mean stays.
still = dict(kind_weights=(1, 0, 0), noise=0.0, saturation_probability=0.0, gamma_probability=0.0)
still["foreground"] = 0.0
blurry, sharp = batch(5, min_length=1e-3, max_length=1e-3, rotation=0.0, zoom=0.0, **still)
np.testing.assert_allclose(blurry, sharp, atol=0.6 / 255)
blurry, sharp = batch(5, min_length=20.0, max_length=20.0, **still)
assert np.abs(np.diff(blurry, axis=2)).mean() < 0.8 * np.abs(np.diff(sharp, axis=2)).mean()
assert abs(blurry.mean() - sharp.mean()) < 0.03
# Only what moves in front differs where the camera stands still.
quiet = dict(still, rotation=0.0, zoom=0.0, min_length=1e-3, max_length=1e-3)
calm = batch(6, **quiet)
front = batch(6, **dict(quiet, foreground=1.0))
assert (calm[1] != front[1]).any()
""")


def test_a_path_begins_in_its_middle_and_has_its_length(python_in_jax):
    python_in_jax("""
settings = SamplerSettings(min_length=12.0, max_length=12.0)
for seed in range(5):
    path = np.asarray(sampler.camera_path(jax.random.key(seed), settings))
    assert path.shape == (25, 4) and not path[12].any()
    assert abs(np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).sum() - 12) < 1e-3
""")


def test_a_straight_stroke_is_even(python_in_jax):
    python_in_jax("""
settings = SamplerSettings(min_length=8.0, max_length=8.0, bend=0.0, tremor=0.0, rotation=0.0, zoom=0.0)
path = np.asarray(sampler.camera_path(jax.random.key(1), settings))
np.testing.assert_allclose(np.diff(path, axis=0), np.broadcast_to(path[-1] / 12, (24, 4)), atol=1e-5)
assert abs(np.linalg.norm(path[-1, :2]) - 4) < 1e-4
""")


def test_lengths_are_uniform_where_they_are_to_be(python_in_jax):
    python_in_jax("""
settings = dataclasses.replace(sampler.SYNTHESES["gopro"], min_length=1e-6, max_length=40.0)
paths = jax.vmap(lambda key: sampler.camera_path(key, settings))(jax.random.split(jax.random.key(0), 2000))
lengths = np.linalg.norm(np.diff(np.asarray(paths)[..., :2], axis=1), axis=2).sum(1)
np.testing.assert_allclose(np.quantile(lengths, [0.25, 0.5, 0.75]), [10, 20, 30], atol=1.5)
""")


def test_softened_patches_are_those_of_opencv(python_in_jax):
    python_in_jax("""
import cv2
patch = np.random.default_rng(0).random((24, 24, 3)).astype(np.float32)
settings = SamplerSettings(soften=1.5)
ours = np.asarray(sampler._softened(jnp.asarray(patch), jnp.float32(1.2), settings))
theirs = cv2.GaussianBlur(patch, (13, 13), 1.2, borderType=cv2.BORDER_REFLECT)
np.testing.assert_allclose(ours, theirs, atol=1e-5)
np.testing.assert_allclose(sampler._softened(jnp.asarray(patch), jnp.float32(0), settings), patch, atol=1e-6)
""")


def test_warp_moves_turns_and_zooms(python_in_jax):
    python_in_jax("""
patch = np.random.default_rng(0).random((21, 21, 3)).astype(np.float32)
pose = lambda *p: jnp.array(p, jnp.float32)
same = lambda a, b: np.testing.assert_allclose(np.asarray(a), b, atol=1e-5)
same(sampler.warp(patch, pose(0, 0, 0, 0), 5), patch[8:13, 8:13])
same(sampler.warp(patch, pose(3, -2, 0, 0), 5), patch[6:11, 11:16])
same(sampler.warp(patch, pose(0.5, 0, 0, 0), 5), (patch[8:13, 8:13] + patch[8:13, 9:14]) / 2)
same(sampler.warp(patch, pose(0, 0, np.pi / 2, 0), 5), np.rot90(patch[8:13, 8:13]))
same(sampler.warp(patch, pose(0, 0, 0, np.log(2)), 5), patch[6:15:2, 6:15:2])
same(sampler.warp(patch, pose(2, 0, 0, 0), 5, jnp.full((5, 5), 1.5, jnp.float32)), patch[8:13, 11:16])
""")


def test_counts_follow_the_weights(python_in_jax):
    python_in_jax("""
counts = lambda batch, *weights: tuple(
    sampler.counts_of_kinds(batch, tables, SamplerSettings(kind_weights=weights)).values())
assert counts(16, 0.5, 0.2, 0.3) == (8, 3, 5)
assert counts(64, 0.5, 0.2, 0.3) == (32, 13, 19)
assert counts(1, 0.5, 0.2, 0.3) == (1, 0, 0)
assert counts(4, 0, 0, 1) == (0, 0, 4)
""")


def test_phases_and_fractions_of_time(in_jax, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").write_text("{}")
    code = """
from tools.stablehlo import train
phases = train.parse_phases("a:1,b:3")
assert phases == [("a", 0.25), ("b", 0.75)]
assert [train.phase_at(phases, p) for p in (0, 0.24, 0.25, 0.99, 1.0)] == [0, 0, 1, 1, 1]
"""
    result = in_jax("-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.fixture(scope="module")
def bundle(in_jax, tmp_path_factory):
    """The smallest of the zoo, exported at 2 crops of 32, with its start and what TensorFlow's steps gave."""
    folder = tmp_path_factory.mktemp("bundle")
    options = {"check": True, "capture_output": True, "cwd": ROOT}
    for script, *words in (
        ("export", "--model=sr_edrb1", "--crop_size=32", "--batch_size=2", "--validation_size=64,80"),
        ("from_checkpoint", "--model=sr_edrb1", "--start=xavier"),
    ):
        out = "state" if script.startswith("from") else "bundle"
        more = ["--precision=float32"] if out == "bundle" else []
        words = [
            sys.executable,
            "-m",
            f"tools.stablehlo.{script}",
            *words,
            *more,
            f"--out_dir={folder / out}",
        ]
        subprocess.run(words, **options)
    words = [f"--bundle={folder / 'bundle'}", f"--start={folder / 'state'}", "--steps=3", "--target_scale=96"]
    subprocess.run([sys.executable, "-m", "tools.stablehlo.reference", *words], **options)
    return folder


@pytest.mark.parametrize("engine", ["jax", "twin"])
def test_steps_agree_with_tensorflows(in_jax, bundle, engine):
    words = [bundle / "bundle", bundle / "state", f"--engine={engine}", "--tolerance=1e-5"]
    result = in_jax("-m", "tools.stablehlo.agreement", *words)
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]


def test_a_reference_that_differs_is_found(in_jax, bundle, tmp_path):
    for file in (bundle / "bundle").rglob("*.*"):
        target = tmp_path / file.relative_to(bundle / "bundle")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    graph = dict(np.load(tmp_path / "agreement" / "graph.npz"))
    graph["loss"][2] *= 1.01
    np.savez(tmp_path / "agreement" / "graph.npz", **graph)

    result = in_jax("-m", "tools.stablehlo.agreement", tmp_path, bundle / "state")

    assert result.returncode == 1
    assert "DISAGREES" in result.stdout


def test_a_run_saves_returns_and_changes_its_engine(in_jax, bundle, archive, tmp_path):
    words = [f"--bundles={bundle / 'bundle'}:1", f"--archive={archive}", f"--start={bundle / 'state'}"]
    words += [f"--out={tmp_path / 'run'}", "--minutes=60", "--inner=2"]
    assert in_jax("-m", "tools.stablehlo.train", *words, "--steps=2").returncode == 0
    result = in_jax("-m", "tools.stablehlo.train", *words, "--steps=4", "--engine=twin")
    assert result.returncode == 0, result.stderr[-2000:]

    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "ended" in row] == [2, 4]
    # Sharp is blur + 20 in the pair that is held out.
    blurry = {row["blurry_psnr"] for row in rows if "blurry_psnr" in row}
    assert blurry == {round(20 * np.log10(255 / 20), 3)}
    done = in_jax("-m", "tools.stablehlo.return_state", tmp_path / "run", tmp_path / "back")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "back").iterdir()} == {"weights_0.npz", "run.json", "log.jsonl"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--bundles", "nowhere:1"), "nowhere:1"),
        (("--bundles", "{bundle}/bundle:many"), "many"),
        (("--archive", "{bundle}"), "no photos, frames or pairs"),
        (("--start", "{bundle}"), "not a state"),
        (("--kind_weights", "1,2"), "--kind_weights=1,2"),
        (("--set", "learning_rate"), "NAME=VALUE"),
        (("--set", "learningrate=1"), "no setting 'learningrate'"),
        (("--max_length", "1"), "--max_length=1"),
        (("--bundles", "{bundle}/bundle:0"), "no fraction is above 0"),
    ],
)
def test_wrong_calls_are_told_in_a_line(in_jax, bundle, archive, tmp_path, change, message):
    words = {"--bundles": f"{bundle}/bundle:1", "--archive": str(archive), "--start": f"{bundle}/state"}
    words[change[0]] = change[1].format(bundle=bundle)
    flags = [f"{name}={value}" for name, value in words.items()]
    result = in_jax("-m", "tools.stablehlo.train", *flags, f"--out={tmp_path}", "--minutes=1")
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_signal_saves(in_jax, bundle, archive, tmp_path):
    code = f"""
import os, pathlib, signal, sys, threading, time
from tools.stablehlo import train
log = pathlib.Path("log.jsonl")
def end():
    while not log.exists() or "prepared" not in log.read_text():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end, daemon=True).start()
sys.argv = ["train.py", "--bundles={bundle}/bundle:1", "--archive={archive}", "--start={bundle}/state",
            "--out={tmp_path}", "--minutes=60", "--inner=1"]
sys.exit(train.main())
"""
    result = in_jax("-c", code, cwd=tmp_path)
    assert result.returncode == 128 + signal.SIGTERM, result.stderr[-2000:]
    saved = int(np.load(tmp_path / "state.npz")["steps"])
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["step"] == saved > 0
