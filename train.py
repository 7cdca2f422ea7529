"""Trains SRN-DeblurNet.

    python train.py --flagfile=flags/gopro.cfg --data_dir=GOPRO_Large --model_dir=runs/gopro

An interrupted run is resumed by the same command. Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 save, then end it.
"""

from absl import flags

from srn import command, settings
from srn.training import folder
from srn.training.config import FINISHED, MODEL_DIR, TIME_BUDGET, TrainingConfig
from srn.training.run import TrainingResult, train
from srn.training.summary import summarize

settings.define_flags(TrainingConfig)
_MODEL_DIR = flags.DEFINE_string(MODEL_DIR, None, "Folder of the run. Default: runs/MODEL.")
_SUMMARY = flags.DEFINE_boolean(
    "summary", False, "Print what the run would do, with its cost, without training."
)


def main() -> int:
    """Runs or resumes the training that the flags describe; returns the exit code."""
    config = settings.from_flags(TrainingConfig)
    model_dir = _MODEL_DIR.value or f"runs/{config.model_name}"
    if not command.values_given(MODEL_DIR):
        for path in command.values_given("flagfile"):
            folder.require_own(path, model_dir)
    if _SUMMARY.value:
        print("\n".join(summarize(config, model_dir)))
        return command.DONE
    result = train(config, model_dir)
    print(_summary(result))
    if result.ended_by == FINISHED:
        return command.DONE
    return command.exit_code_of_signal("SIGTERM" if result.ended_by == TIME_BUDGET else result.ended_by)


def _summary(result: TrainingResult) -> str:
    if result.ended_by != FINISHED:
        saved = f"step {result.step} is saved in {result.model_dir}"
        return f"{result.ended_by}: {saved}; the same command resumes the run"
    if result.first_step > result.max_steps:
        return f"nothing left to do: step {result.first_step} is beyond --max_steps={result.max_steps}"
    if result.first_step == result.max_steps:
        return "nothing left to do; a larger --max_steps would resume the run"
    return f"done: {result.step} steps; checkpoints in {result.model_dir}"


if __name__ == "__main__":
    command.run(main)
