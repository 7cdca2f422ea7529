import json

import numpy as np
import pytest

from srn.data import pool


@pytest.fixture
def make_pool(call, pairs_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "SHARD", 20)

    def make(*words):
        photos = f"--mix=photos:{pairs_dir / 'sharp'}:1"
        return call("data/make_pool.py", photos, "--crop_size=16", f"--pool_dir={tmp_path / 'pool'}", *words)

    return make


def test_a_pool_is_made_verified_and_trained_on(make_pool, call, tmp_path):
    made = make_pool("--count=1", "--downscale=2", "--soften=1")
    assert made.returncode == 0, made.stderr
    assert f"crops made: {pool.SHARD}" in made.stdout
    drawn_from = json.loads((tmp_path / "pool" / pool.INDEX).read_text())["drawn_from"]
    assert drawn_from["settings"]["bend"] == 0.5 and drawn_from["settings"]["soften"] == 1

    words = ["train.py", f"--mix=pool:{tmp_path / 'pool'}:1", "--model=ss", "--crop_size=16"]
    muon = [
        "--optimizer=muon",
        "--schedule=trapezoid",
        "--fall_steps=1",
        "--learning_rate=0.01",
        "--clip_all",
    ]
    losses = ["--loss=charbonnier_frequency", "--batch_size=2", "--max_steps=2"]
    trained = call(*words, *muon, *losses, f"--model_dir={tmp_path / 'run'}")
    assert trained.returncode == 0, trained.stderr
    assert f"{pool.SHARD} crops; step 0 to 2" in trained.stdout

    crops = pool.PoolSource(tmp_path / "pool", 16)
    assert crops.read_crop(3).shape == (2, 16, 16, 3) and np.ptp(crops.read_crop(3)) > 50


def test_wrong_calls_are_a_line(make_pool, call, tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "other.txt").write_text("")

    refused = make_pool("--count=1")

    assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1
    assert "other.txt" in refused.stderr
