"""`train`: a whole training run, begun or resumed, as `python train.py` does it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srn.data.mixture import SYNTHETIC, open_sources
from srn.data.pairs import find_damage
from srn.errors import WorkError, first_line
from srn.files import write_atomically
from srn.training.config import FINISHED, TrainingConfig
from srn.training.optimizers import OPTIMIZERS, adam, make_schedule

FLAGFILE = "flags.cfg"  # of a run: the settings it was last started with


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a call of `train` did.

    Attributes:
      model_dir: the folder of the run.
      first_step, step: updates of the weights before the call, and after it.
      max_steps: where the run ends; larger than `step` where it was interrupted.
      ended_by: "max_steps", or the name of the signal (SIGINT, SIGTERM) that ended it early.
      checkpoint: prefix of the checkpoint of `step`, for `srn.load_model` and --ckpt of the commands.
      metrics: of the last step: `loss`, `psnr` in dB over the crops of its batch, and so on; empty where
        nothing was left to do.
    """

    model_dir: Path
    first_step: int
    step: int
    max_steps: int
    ended_by: str
    checkpoint: str
    metrics: dict[str, float]


def train(
    config: TrainingConfig, model_dir: str | os.PathLike[str], say: Callable[[str], Any] = print
) -> TrainingResult:
    """Runs the training that `config` describes, or resumes it where `model_dir` holds a checkpoint.

    The settings are left in `model_dir` as `flags.cfg`, so that `python train.py --flagfile=...` and
    `TrainingConfig.from_flagfile` resume the run. Ctrl-C and SIGTERM save and return.

    Args:
      config: of the run.
      model_dir: folder of the run, made if need be.
      say: is given the line that tells what begins.

    Raises `InputError` where data, weights or the folder cannot be used as given, before work begins;
    `WorkError` where it began and cannot go on, such as for an image that cannot be decoded.
    """
    folder, parts = Path(model_dir), config.parts
    sources = open_sources(parts, config.crop_size, config.blur_folder, config.cache_dir, config.sharp_folder)
    decay_steps = config.decay_steps_for(sum(map(len, sources)))
    max_steps = config.max_steps or decay_steps
    model, checkpoints = _begin(config, folder, decay_steps, max_steps)
    first_step = checkpoints.resume()
    write_atomically(folder / FLAGFILE, config.to_flagfile(model_dir=str(folder)).encode())
    say(
        f"{config.model_name}: {model.count_params():,} parameters; {_describe(parts, sources)}; "
        f"step {first_step} to {max_steps} in {folder}"
    )
    ended_by, metrics = FINISHED, {}
    if first_step < max_steps:
        ended_by, metrics = _run_steps(config, model, sources, checkpoints, max_steps)
    step = checkpoints.step
    return TrainingResult(folder, first_step, step, max_steps, ended_by, checkpoints.prefix(step), metrics)


def _describe(parts, sources) -> str:
    """`30 pairs`, or `30 pairs and 208 photos`."""
    units = [part.kind if part.kind in SYNTHETIC else "pairs" for part in parts]
    return " and ".join(f"{len(source)} {unit}" for source, unit in zip(sources, units))


def _begin(config: TrainingConfig, model_dir: Path, decay_steps: int, max_steps: int) -> tuple:
    """(network, its `Checkpoints`) at the start of the run."""
    import tensorflow as tf  # after all that can be checked without it

    from srn.training.average import WeightAverage
    from srn.training.checkpoints import Checkpoints

    tf.keras.utils.set_random_seed(config.seed)
    model = _start_model(config, model_dir)
    schedule = make_schedule(config, decay_steps, max_steps)
    optimizer = OPTIMIZERS[config.optimizer](model, schedule)
    average = WeightAverage(model.trainable_variables, config.ema_decay) if config.ema_decay else None
    adversary = _make_adversary(config, schedule)
    return model, Checkpoints(model, optimizer, model_dir, config.keep, average, adversary)


def _make_adversary(config: TrainingConfig, schedule):
    """The critic of the adversarial loss, which learns at the rate of the network; None for none."""
    if not config.adversarial_weight:
        return None
    from srn.training.adversarial import Adversary, build_critic

    return Adversary(build_critic(config.model_config.channels), adam(schedule), config.adversarial_weight)


def _choose_loss(config: TrainingConfig) -> Callable:
    """The named loss, with total variation beside it where that has a weight."""
    from srn.training.losses import LOSSES, with_total_variation

    loss = LOSSES[config.loss]
    return with_total_variation(loss, config.tv_weight) if config.tv_weight else loss


def _start_model(config: TrainingConfig, model_dir: Path):
    """The network with its initial weights; a run to resume needs none of the files they come from."""
    from srn import weights, zoo
    from srn.training import initialisation

    begins = not weights.has_checkpoint(model_dir)
    if config.init_from is not None and begins:
        return weights.load_model(config.init_from, config.model_config, config.precision)
    model = zoo.build_model(config.model_config, config.precision)
    if config.grow_from is not None and begins:
        initialisation.grow(model, weights.load_model(config.grow_from))
    elif config.start == "identity":
        initialisation.start_at_identity(model)
    return model


def _run_steps(config: TrainingConfig, model, sources, checkpoints, max_steps: int) -> tuple:
    """(why the run ended, results of its last step); an image that cannot be decoded is named."""
    from tensorflow import errors

    from srn.data import pipeline
    from srn.training.board import Board
    from srn.training.loop import run_steps
    from srn.training.step import make_training_step

    step = make_training_step(
        model,
        checkpoints.optimizer,
        config.clip_norm or None,
        config.jit_compile,
        checkpoints.average,
        _choose_loss(config),
        checkpoints.adversary,
    )
    batches = pipeline.stream_crops(
        sources,
        config.batch_size,
        config.crop_size,
        config.seed,
        checkpoints.step,
        model.config.channels,
        config.augment,
        [part.weight for part in config.parts],
    )
    board = Board(checkpoints.model_dir / "logs", model, checkpoints.optimizer)
    try:
        return run_steps(
            step,
            batches,
            checkpoints,
            max_steps,
            board,
            save_every=config.save_every,
            log_every=config.log_every,
            pictures_every=config.pictures_every,
        )
    except errors.OpError as error:
        reasons = _find_damage(config, sources, checkpoints.step) or [first_line(error)]
        saved = (
            f"step {checkpoints.step} is saved in {checkpoints.model_dir}; mend it and give the same command"
        )
        raise WorkError("\n".join([*reasons, saved])) from error


def _find_damage(config: TrainingConfig, sources, step: int) -> list[str]:
    """A line for each file of this step's pairs that cannot be decoded, where they are the only source."""
    from srn.data.pipeline import pairs_of_step

    if len(sources) > 1 or not hasattr(sources[0], "pairs"):
        return []
    return find_damage(pairs_of_step(sources[0].pairs, config.batch_size, config.seed, step))
