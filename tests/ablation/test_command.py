"""`python -m srn.ablation`: what it reports, and its mistakes in one line."""

import json

import pytest

from srn.ablation import runs

TEST = {
    "psnr": 20.0,
    "gain": 0.5,
    "ssim_channel": 0.5,
    "ssim_matlab": 0.75,
    "images": 4,
    "seconds_per_image": 0.1,
}
COMMAND = ("-m", "srn.ablation", "--models=ss", "--crop_size=16", "--max_steps=4", "--save_every=2")


def test_a_report_of_what_is_finished_trains_nothing(call, pairs_dir, tmp_path, monkeypatch):
    planned = []
    original = runs.plan
    monkeypatch.setattr(runs, "plan", lambda *arguments: planned.extend(original(*arguments)) or planned)
    words = [
        *COMMAND,
        *("--seeds=0,1", f"--out_dir={tmp_path}", "--report_only"),
        *(f"--{name}={pairs_dir}" for name in ("data_dir", "val_data_dir", "test_dir")),
    ]

    before = call(*words)
    record = {"settings": planned[1].settings, "validation": {"2": 19.0, "4": 20.0}, "test": TEST}
    planned[1].folder.mkdir(parents=True)
    (planned[1].folder / runs.RECORD).write_text(json.dumps(record))
    planned.clear()
    after = call(*words)

    assert (before.returncode, after.returncode) == (0, 0)
    assert f"0 of 2 runs are finished; written to {tmp_path}" in before.stdout
    assert "4 steps: 64 crops of 16x16" in after.stdout and "1 of 2 runs are finished so far" in after.stdout
    assert "Blurry images: 19.50 dB" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "validation.png").exists() and not (tmp_path / "ss" / "seed-0").exists()


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "--test_dir is needed"),
        (["--test_dir=t", "--seed=1"], "--seed: an ablation takes several; give --seeds"),
        (["--test_dir=t", "--model=ss"], "--model: an ablation takes several; give --models"),
        (["--test_dir={pairs}", "--data_dir={pairs}", "--seeds=0,x"], "--seeds=0,x: give whole numbers"),
        (["--test_dir={pairs}", "--data_dir={pairs}", "--models=tabel1"], "--models=tabel1: neither a list"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(call, pairs_dir, tmp_path, words, said):
    given = [word.format(pairs=pairs_dir) for word in words]

    result = call("-m", "srn.ablation", f"--out_dir={tmp_path / 'out'}", *given)

    assert result.returncode == 2
    assert result.stderr.startswith("srn.ablation: ") and said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
