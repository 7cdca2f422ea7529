r"""Trains several models under equal conditions, scores them, and writes one table.

    python -m srn.ablation --models=table1 --seeds=0,1,2 --flagfile=flags/ablation.cfg \
        --data_dir=TRAINING_PAIRS --val_data_dir=PAIRS --test_dir=TEST_PAIRS --out_dir=runs/table1

--models takes lists (table1, table2, cells, upsampling, scales, losses), models and members of lists, with
commas. The other flags of train.py set the training, the same for all. --out_dir gets table.csv,
table.md, table.html, validation.png (with --val_data_dir), and a folder for each model and seed.

The same command resumes an interrupted ablation; finished runs are kept. Models and seeds can be added later.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from srn import command, settings
from srn.ablation import candidates, plot, report, runs
from srn.data.layouts import DATASETS
from srn.errors import InputError
from srn.files import require_writable
from srn.training.config import TrainingConfig

settings.define_flags(TrainingConfig)
_MODELS = flags.DEFINE_string(
    "models", "table1", f"What to compare, with commas: {', '.join(candidates.list_names())}, or models."
)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds, with commas: each model is trained with each.")
_OUT_DIR = flags.DEFINE_string("out_dir", "runs/ablation", "Folder of the ablation.")
_TEST_DIR = flags.DEFINE_string("test_dir", None, "Data set that finished models are scored on.")
_TEST_DATASET = flags.DEFINE_enum("test_dataset", "auto", DATASETS, "Its layout; see data/README.md.")
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time; each gets one of the visible GPUs.", lower_bound=1)
_REPORT_ONLY = flags.DEFINE_boolean("report_only", False, "Train nothing; report the runs finished so far.")
_TITLE = flags.DEFINE_string("title", "Ablation", "Above table and plot.")


def main() -> int:
    """Runs or resumes the ablation; returns the exit code."""
    if _TEST_DIR.value is None:
        raise InputError("`test_dir` is needed: the data set that finished models are scored on")
    for name, instead in (("model", "models"), ("seed", "seeds")):
        if flags.FLAGS[name].present:
            raise InputError(f"{name}: an ablation takes several; give `{instead}`")
    runs.require_pairs(_TEST_DIR.value, _TEST_DATASET.value)
    out_dir, base = Path(_OUT_DIR.value), settings.from_flags(TrainingConfig)
    if base.val_data_dir is not None:
        plot.require_matplotlib()
    planned = runs.plan(
        candidates.find(_MODELS.value),
        base,
        _parse_seeds(_SEEDS.value),
        out_dir,
        _TEST_DIR.value,
        _TEST_DATASET.value,
    )
    require_writable(out_dir)
    done = _REPORT_ONLY.value or runs.carry_out_all(planned, _JOBS.value)
    finished = runs.read_finished(planned)
    if finished:
        facts = _describe(base, len(planned), len(finished))
        print(report.write_tables(report.make_rows(finished), out_dir, _TITLE.value, facts))
        if base.val_data_dir is not None:
            plot.write_curves(finished, out_dir / "validation.png", _TITLE.value, runs.score_blurry(base))
    print(f"{len(finished)} of {len(planned)} runs are finished; written to {out_dir}")
    if not done:
        print("interrupted: the same command resumes the ablation")
        return command.exit_code_of_signal("SIGINT")
    return command.DONE


def _parse_seeds(words: list[str]) -> list[int]:
    if not words or not all(word.strip().isdigit() for word in words):
        raise InputError(f"seeds={','.join(words)}: give whole numbers of at least 0 with commas")
    return list(dict.fromkeys(int(word) for word in words))


def _describe(base: TrainingConfig, planned: int, finished: int) -> list[str]:
    """A summary in sentences."""
    steps = base.max_steps or base.decay_steps
    length = f"{steps:,} steps: {steps * base.batch_size:,} crops" if steps else f"{base.epochs:,} epochs"
    where = base.mix or base.data_dir
    facts = [
        f"Each model was trained for {length} of {base.crop_size}x{base.crop_size} pixels, {base.batch_size} "
        f"in a step, from {where}, in {base.precision}; scored on {_TEST_DIR.value}."
    ]
    if finished < planned:
        facts.append(f"{finished} of {planned} runs are finished so far.")
    return facts


if __name__ == "__main__":
    command.run(main, ["srn.ablation", *sys.argv[1:]])
