"""`train`: a training run, new or resumed, as in `python train.py`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srn.data.mixture import UNITS, Part, open_sources
from srn.data.pairs import Pair, find_pairs
from srn.errors import InputError, WorkError, first_line
from srn.metrics import WINDOW_SIZE
from srn.synthesis.settings import SYNTHESES
from srn.training import folder
from srn.training.config import FINISHED, TrainingConfig
from srn.training.optimizers import OPTIMIZERS, make_critic_optimizer, make_schedule


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """The result of `train`.

    Attributes:
      model_dir: the folder of the run.
      first_step, step: number of training steps before and after the call.
      max_steps: last step of the run; larger than `step` if it was interrupted.
      ended_by: "max_steps", "time_budget", or the name of the signal (SIGINT, SIGTERM, SIGHUP, SIGUSR1) that
        ended it early.
      checkpoint: prefix of the checkpoint at `step`, for `srn.load_model` and --ckpt of the commands.
      metrics: of the last step: `loss`, `psnr` in dB over the crops of its batch, and so on, with
        `validation_psnr`, ... if it was validated; empty if the run was already complete.
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
    """Trains a model, or resumes the run in `model_dir`.

    The settings are stored in `model_dir` as `flags.cfg`, so that `python train.py --flagfile=...` and
    `TrainingConfig.from_flagfile` resume the run. Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 save and return.

    Args:
      config: of the run.
      model_dir: folder of the run, created if needed.
      say: called with messages for the user: a summary of the run, and one line for each changed setting.

    Raises `InputError` for data, weights or folders that cannot be used, before training begins; `WorkError`
    if it fails later, such as for an image that cannot be decoded.
    """
    begun, path = time.monotonic(), Path(model_dir)
    sources = open_training_data(config)
    validation_pairs = find_validation_pairs(config)
    distribution = _distribute(config)
    with folder.locked(path) if distribution.is_chief else contextlib.nullcontext():
        if distribution.is_chief:
            folder.remove_leftovers(path)
        run = _Run(config, path, sources, validation_pairs, distribution, say)
        first_step = run.resume()
        if distribution.is_chief:
            folder.write_settings(config, path, first_step, say)
            facts = f"{run.model.count_params():,} parameters; {describe_data(config.parts, sources)}"
            last_step = max(first_step, run.max_steps)
            say(f"{config.model_name}: {facts}; step {first_step} to {last_step} in {path}")
        ended_by: str = FINISHED
        metrics: dict[str, float] = {}
        if first_step < run.max_steps:
            hours = math.inf if config.time_budget is None else config.time_budget
            ended_by, metrics = run.finish(deadline=begun + 3600 * hours)
        step = run.checkpoints.step
    return TrainingResult(
        path, first_step, step, run.max_steps, ended_by, run.checkpoints.prefix(step), metrics
    )


def open_training_data(config: TrainingConfig) -> list:
    """Opens and checks the sources of crops of a run, as `srn.data.mixture.open_sources` does."""
    return open_sources(
        config.parts,
        max(phase.crop_size for phase in config.phases_until(config.max_steps or 1)),
        config.blur_folder,
        config.cache_dir,
        config.sharp_folder,
        SYNTHESES[config.synthesis],
        config.downscale,
    )


def _distribute(config: TrainingConfig):
    """The distribution of the run; must be called before the first TensorFlow operation."""
    from srn.training.distribution import Distribution, prepare_devices

    prepare_devices(config.device)
    sizes = {phase.batch_size for phase in config.phases_until(config.max_steps or 1)}
    return Distribution(config.distribute, math.gcd(*sizes))


def describe_data(parts: list[Part], sources: list) -> str:
    """`30 pairs`, or `30 pairs and 208 photos`."""
    units = [UNITS.get(part.kind, "pairs") for part in parts]
    return " and ".join(f"{len(source)} {unit}" for source, unit in zip(sources, units))


def find_validation_pairs(config: TrainingConfig) -> list[Pair]:
    """The checked pairs for validation; an empty list without validation data."""
    if config.val_data_dir is None:
        return []
    try:
        pairs = find_pairs(
            config.val_data_dir,
            config.val_dataset,
            "test",
            config.blur_folder,
            WINDOW_SIZE,
            config.sharp_folder,
        )
    except InputError as error:  # of the same functions as for training, which name its arguments
        raise InputError(re.sub(r"`(data_dir|dataset)`", r"`val_\1`", str(error))) from error
    number = config.val_images
    if not number or number >= len(pairs):
        return pairs
    return [pairs[index * len(pairs) // number] for index in range(number)]


class _Run:
    """Network, optimizer, average, checkpoints and crops of a run."""

    def __init__(self, config, model_dir, sources, validation_pairs, distribution, say):
        import tensorflow as tf  # imported here, after everything that can be checked without it

        from srn.training.average import WeightAverage
        from srn.training.checkpoints import Checkpoints

        self._config, self._sources, self._validation_pairs = config, sources, validation_pairs
        self._distribution, self._say = distribution, say
        decay_steps = config.decay_steps_for(sum(map(len, sources)))
        self.max_steps = config.max_steps or decay_steps
        self._phases = config.phases_until(self.max_steps)
        tf.keras.utils.set_random_seed(config.seed)
        with distribution.scope():
            self.model = _start_model(config, model_dir)
            schedule = make_schedule(config, decay_steps, self.max_steps)
            optimizer = OPTIMIZERS[config.optimizer](self.model, schedule)
            average = None
            if config.ema_decay:
                average = WeightAverage(self.model.trainable_variables, config.ema_decay)
            self.checkpoints = Checkpoints(
                self.model,
                optimizer,
                model_dir,
                config.keep,
                average,
                config.keep_every,
                say,
                _make_adversary(config, schedule),
                distribution.is_chief,
            )

    def resume(self) -> int:
        """Restores the checkpoint to resume from; returns its step.

        The chief looks for it first, since it moves damaged checkpoints; the other workers wait. All restore
        together, since the creation of variables is synchronized, with the values of the chief.
        """
        is_chief = self._distribution.is_chief
        found = self.checkpoints.find(self._config.resume_from) if is_chief else None
        self._distribution.sum_over_workers([0.0])
        if not is_chief:
            found = self.checkpoints.find()
        with self._distribution.scope():
            return self.checkpoints.restore(found)

    def finish(self, deadline: float) -> tuple[str, dict[str, float]]:
        """Runs the loop; returns (reason of the end, results of the last step). Names undecodable images."""
        from tensorflow import errors

        from srn.data import pipeline
        from srn.training.loop import Intervals, run_steps

        config, checkpoints, distribution = self._config, self.checkpoints, self._distribution
        intervals = Intervals(
            save_every=config.save_every,
            log_every=config.log_every,
            pictures_every=config.pictures_every,
            validate_every=config.validation_interval,
        )
        try:
            return run_steps(
                self._make_step(),
                self._batches(),
                checkpoints,
                self.max_steps,
                self._make_watch(),
                intervals,
                deadline=deadline,
                describe=lambda step: self._about_batch(pipeline.describe_batch, step),
                first_part=distribution.first_part,
                is_anywhere=lambda is_here: distribution.sum_over_workers([float(is_here)])[0] > 0,
            )
        except errors.OpError as error:
            reasons = self._about_batch(pipeline.find_problems, checkpoints.step + 1) or [first_line(error)]
            advice = f"step {checkpoints.step} is saved in {checkpoints.model_dir}; " + (
                "fix it and run the same command again"
                if distribution.num_workers == 1
                else "run the same command on all workers again"
            )
            raise WorkError("\n".join([*reasons, advice])) from error

    def _batches(self):
        """The batches from the current step on, phase by phase."""
        done = self.checkpoints.step
        for phase in self._phases:
            if phase.end > done:
                step = max(done, phase.begin)
                batches = self._distribution.batches(
                    functools.partial(self._stream, phase, step), phase.batch_size
                )
                yield from itertools.islice(batches, phase.end - step)

    def _stream(self, phase, step: int, replica_batch_size: int, worker: int, num_workers: int):
        """The batches of the replicas of one worker, one after the other, from `step` on."""
        from srn.data import pipeline

        config = self._config
        crops = pipeline.stream_crops(
            self._sources,
            phase.batch_size,
            phase.crop_size,
            config.seed,
            phase.sample_at(step),
            self.model.config.channels,
            config.augment,
            [part.weight for part in config.parts],
            worker=worker,
            num_workers=num_workers,
        )
        if replica_batch_size * num_workers == phase.batch_size:
            return crops
        return crops.unbatch().batch(replica_batch_size, drop_remainder=True)

    def _make_step(self):
        from srn.training.step import make_training_step

        config = self._config
        with self._distribution.scope():
            return make_training_step(
                self.model,
                self.checkpoints.optimizer,
                config.clip_norm or None,
                config.jit_compile,
                self.checkpoints.average,
                _choose_loss(config),
                self.checkpoints.adversary,
                clip_all=config.clip_all,
                accumulate=config.accumulate,
                report_norms=True,
                strategy=self._distribution.strategy,
            )

    def _make_watch(self):
        from srn.training.board import Board
        from srn.training.log import Log
        from srn.training.validation import Validation
        from srn.training.watch import Watch

        checkpoints, distribution = self.checkpoints, self._distribution
        validate = None
        if self._validation_pairs:
            validate = Validation(
                self._validation_pairs[distribution.worker :: distribution.num_workers],
                self.model,
                self._config.precision,
                checkpoints.average,
                distribution.sum_over_workers,
            )
        if not distribution.is_chief:
            return Watch(checkpoints, Board(None, self.model, checkpoints.optimizer), None, validate)
        board = Board(checkpoints.model_dir / "logs", self.model, checkpoints.optimizer)
        log = Log(checkpoints.model_dir, checkpoints.step, self._say)
        watch = Watch(checkpoints, board, log, validate)
        watch.recover_best()
        return watch

    def _about_batch(self, tell, step: int) -> list[str]:
        """Calls a function of `srn.data.pipeline` for the batch of a step, counted from 1."""
        config = self._config
        weights = [part.weight for part in config.parts]
        phase = next((phase for phase in self._phases if step <= phase.end), self._phases[-1])
        first_sample = phase.sample_at(step - 1)
        return tell(self._sources, phase.batch_size, phase.crop_size, config.seed, first_sample, weights)


def _make_adversary(config: TrainingConfig, schedule):
    """The critic of the adversarial loss with its optimizer; None without that loss."""
    if not config.adversarial_weight:
        return None
    from srn.training.adversarial import Adversary, build_critic

    critic = build_critic(config.model_config.channels)
    optimizer = make_critic_optimizer(config.optimizer, schedule, critic.trainable_variables)
    return Adversary(critic, optimizer, config.adversarial_weight)


def _choose_loss(config: TrainingConfig) -> Callable:
    """The named loss, plus total variation if it has a weight."""
    from srn.training.losses import LOSSES, with_total_variation

    loss = LOSSES[config.loss]
    return with_total_variation(loss, config.tv_weight) if config.tv_weight else loss


def _start_model(config: TrainingConfig, model_dir: Path):
    """The network with its initial weights, which are not loaded for a run that is resumed."""
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
