import re

from srn.config import ModelConfig
from srn.training.config import TrainingConfig
from srn.training.log import Log
from srn.training.summary import summarize


def test_what_a_run_would_do(pairs_dir, tmp_path):
    config = TrainingConfig(
        model=ModelConfig(width=2, res_blocks=1, kernel_size=3, num_scales=1),
        data_dir=pairs_dir,
        phases="16x4:0.5,32x2:0.5",
        max_steps=100,
        save_every=10,
        keep=3,
        keep_every=50,
    )

    lines = summarize(config, tmp_path / "run")

    assert re.match(r"network      custom, [\d,]+ parameters, float32", lines[0])
    assert lines[1].startswith("steps        0 to 50: 4 crops of 16x16, ")
    assert lines[2].startswith("steps        50 to 100: 2 crops of 32x32, ")
    assert "4 pairs; 300 crops are 75.0 passes" in lines[3]
    assert "10 of some" in lines[4] and "at most 5 are kept" in lines[4]
    assert "measured now" in lines[5]
    assert not (tmp_path / "run").exists()


def test_the_time_of_a_run_that_has_begun_is_its_own(pairs_dir, tmp_path, monkeypatch):
    config = TrainingConfig(
        model=ModelConfig(width=2, res_blocks=1, kernel_size=3, num_scales=1),
        data_dir=pairs_dir,
        crop_size=16,
        max_steps=86_400,
    )
    monkeypatch.setattr("time.monotonic", iter([0.0, 20.0]).__next__)
    Log(tmp_path, 0).write(10, {"loss": 1.0})

    assert "2.00 days in all (2.00 s a step until step 10 of this run)" in summarize(config, tmp_path)[-1]
