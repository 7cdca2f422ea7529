"""Whole ablations of tiny networks: interrupting them anywhere changes nothing of what they say."""

import csv
import io
import json
import subprocess
import sys

import pytest

from srn.ablation import report, runs
from srn.ablation.candidates import Candidate
from srn.config import ModelConfig
from srn.errors import InputError, WorkError
from srn.training import loop
from srn.training.config import TrainingConfig

TINY = ModelConfig(width=2, res_blocks=0, kernel_size=3, num_scales=1)
CANDIDATES = [
    Candidate("lstm", TINY),
    Candidate("smooth", TINY.replace(bottleneck="none"), {"tv_weight": 0.1}),
]


@pytest.fixture
def base(pairs_dir):
    return TrainingConfig(
        data_dir=str(pairs_dir),
        val_data_dir=str(pairs_dir),
        crop_size=16,
        batch_size=1,
        max_steps=4,
        save_every=2,
        log_every=1,
    )


def plan(base, out_dir, seeds=(0, 1), candidates=CANDIDATES, **changes):
    return runs.plan(candidates, base, seeds, out_dir, **{"test_dir": base.data_dir, **changes})


def table_without_times(planned):
    """What the tables say, but for the seconds an image."""
    finished = runs.read_finished(planned)
    rows = csv.DictReader(io.StringIO(report.format_csv(report.make_rows(finished))))
    table = [{key: value for key, value in row.items() if key != "seconds_per_image"} for row in rows]
    return table, [outcome.validation for _, outcome in finished]


def carry_out_all(planned):
    return [runs.carry_out(run) for run in planned]


def test_an_ablation_interrupted_three_times_gives_the_same_tables(base, tmp_path, monkeypatch):
    straight = plan(base, tmp_path / "straight", [0], CANDIDATES[:1])
    carry_out_all(straight)
    expected = table_without_times(straight)

    def stop_at(limit):
        """The loop over the steps ends there as by a signal."""
        original = loop.run_steps

        def run_steps(step, batches, checkpoints, max_steps, *others, **options):
            ended_by, results = original(step, batches, checkpoints, limit, *others, **options)
            return ("SIGTERM" if limit < max_steps else ended_by), results

        return run_steps

    planned = plan(base, tmp_path / "interrupted", [0], CANDIDATES[:1])
    for limit in (1, 3):  # in training, before and after the first regular checkpoint
        with monkeypatch.context() as patch:
            patch.setattr(loop, "run_steps", stop_at(limit))
            assert runs.carry_out(planned[0]) is None
    with monkeypatch.context() as patch:  # before the test
        patch.setattr(runs, "_evaluate", lambda *_, **__: None)
        assert runs.carry_out(planned[0]) is None
    assert runs.read_finished(planned) == []
    carry_out_all(planned)
    assert table_without_times(planned) == expected


def test_each_candidate_is_trained_as_it_says_and_validated_at_every_checkpoint(base, tmp_path):
    planned = plan(base, tmp_path, seeds=[5])

    outcomes = carry_out_all(planned)

    assert [run.training.model_config for run in planned] == [candidate.config for candidate in CANDIDATES]
    assert [run.training.tv_weight for run in planned] == [0.0, 0.1]
    assert {run.training.seed for run in planned} == {5}
    for outcome in outcomes:
        assert list(outcome.validation) == [2, 4]
        # The pairs of validation and test are the same here.
        assert outcome.validation[4] == pytest.approx(outcome.test["psnr"])
        assert outcome.test["images"] == 4
        assert outcome.test["gain"] == pytest.approx(outcome.test["psnr"] - runs.score_blurry(base))
    assert (tmp_path / "lstm" / "seed-5" / "test" / "summary.json").exists()


def test_a_finished_run_is_only_read(base, tmp_path, monkeypatch):
    planned = plan(base, tmp_path, seeds=[0], candidates=CANDIDATES[:1])
    (first,) = carry_out_all(planned)

    def fail(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(loop, "run_steps", fail)
    (second,) = carry_out_all(plan(base.replace(log_every=3), tmp_path, seeds=[0], candidates=CANDIDATES[:1]))
    assert first == second


def test_other_settings_in_the_same_folder_are_refused(base, tmp_path):
    run = plan(base, tmp_path, seeds=[0])[0]
    run.folder.mkdir(parents=True)
    (run.folder / runs.RECORD).write_text(
        json.dumps({"settings": run.settings, "validation": {}, "test": None})
    )

    plan(base, tmp_path, seeds=[0])
    with pytest.raises(InputError, match="begun with another learning_rate, test_dir"):
        plan(base.replace(learning_rate=1e-3), tmp_path, seeds=[0], test_dir="elsewhere")
    (run.folder / runs.RECORD).write_text("{")
    with pytest.raises(InputError, match="not the record of a run"):
        plan(base, tmp_path, seeds=[0])


def test_a_run_survives_the_way_to_its_process(base, tmp_path):
    run = plan(base, tmp_path, seeds=[3])[1]

    copy = runs.from_json(runs._to_json(run))

    assert copy.training == run.training
    assert copy.settings == run.settings and copy.folder == run.folder


def test_processes_finish_what_they_can_and_name_what_failed(base, tmp_path, monkeypatch):
    planned = plan(base, tmp_path, seeds=[0])
    real, lines = runs._start, []

    def start(run, environment):
        if run.candidate.name == "smooth":
            return subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"])
        return real(run, environment)

    monkeypatch.setattr(runs, "_start", start)
    with pytest.raises(WorkError, match=r"^smooth, seed 0: failed"):
        runs.carry_out_all(planned, jobs=2, say=lines.append)

    assert [run.candidate.name for run, _ in runs.read_finished(planned)] == ["lstm"]
    assert len(lines) == 2
