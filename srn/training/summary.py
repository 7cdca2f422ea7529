"""Summary of a run without training: `python train.py --summary`."""

from __future__ import annotations

import os
import time
from pathlib import Path

from srn.training.config import TrainingConfig
from srn.training.optimizers import OPTIMIZERS, make_schedule
from srn.training.phases import Phase
from srn.training.run import describe_data, open_training_data

MEASURED_STEPS = 3


def summarize(config: TrainingConfig, model_dir: str | os.PathLike[str]) -> list[str]:
    """Returns lines about network, data, steps, checkpoints and time of a run.

    The time is estimated from the `log.csv` of the run, or else measured by a few steps on random crops.

    Raises `InputError` like `srn.train` for data and settings that cannot be used.
    """
    sources = open_training_data(config)
    from srn import zoo
    from srn.cost import count_multiply_accumulates

    items = sum(map(len, sources))
    decay_steps = config.decay_steps_for(items)
    max_steps = config.max_steps or decay_steps
    model = zoo.build_model(config.model_config, config.precision)
    phases = config.phases_until(max_steps)
    lines = [f"network      {config.model_name}, {model.count_params():,} parameters, {config.precision}"]
    for phase in phases:
        cost = count_multiply_accumulates(model, phase.crop_size, phase.crop_size)
        lines.append(
            f"steps        {phase.begin:,} to {phase.end:,}: {phase.batch_size} crops of {phase.crop_size}x"
            f"{phase.crop_size}, {cost / 1e9:.1f} GMAC each forward, some three times as much in training"
        )
    crops = sum((phase.end - phase.begin) * phase.batch_size for phase in phases)
    lines.append(
        f"data         {describe_data(config.parts, sources)}; {crops:,} crops are {crops / items:.1f} passes"
    )
    lines.append(_describe_checkpoints(config, model, max_steps))
    lines.append(_describe_time(config, model, Path(model_dir), phases, decay_steps, max_steps))
    return lines


def _describe_checkpoints(config: TrainingConfig, model, max_steps: int) -> str:
    copies = 4 if config.ema_decay else 3  # weights, two moments of Adam, the average
    megabytes = 4 * copies * model.count_params() / 1e6
    written = -(-max_steps // config.save_every)
    kept = min(written, config.keep) + (max_steps // config.keep_every if config.keep_every else 0)
    kept += 1 if config.val_data_dir is not None else 0
    return (
        f"checkpoints  {written:,} of some {megabytes:.0f} MB, one in {config.save_every:,} steps; "
        f"at most {kept:,} are kept: {kept * megabytes / 1e3:.1f} GB"
    )


def _describe_time(config, model, model_dir: Path, phases: list[Phase], decay_steps, max_steps) -> str:
    from srn.training.log import FILE, read_log

    rows = read_log(model_dir / FILE)
    last = int(rows[-1]["step"]) if rows else 0
    if last:
        seconds = float(rows[-1]["seconds"]) / last
        total, source = seconds * max_steps, f"{seconds:.2f} s a step until step {last:,} of this run"
    else:
        rates = [_measure(config, model, phase, decay_steps, max_steps) for phase in phases]
        total = sum(rate * (phase.end - phase.begin) for rate, phase in zip(rates, phases))
        source = f"{', '.join(f'{rate:.2f}' for rate in rates)} s a step, measured now without reading data"
    return f"time         {total / 86400:.2f} days in all ({source})"


def _measure(config, model, phase: Phase, decay_steps: int, max_steps: int) -> float:
    """Measures the seconds per step on random crops."""
    import tensorflow as tf

    from srn.training.losses import LOSSES
    from srn.training.step import make_training_step

    step = make_training_step(
        model,
        OPTIMIZERS[config.optimizer](model, make_schedule(config, decay_steps, max_steps)),
        config.clip_norm or None,
        config.jit_compile,
        loss=LOSSES[config.loss],
        clip_all=config.clip_all,
        accumulate=config.accumulate,
    )
    size = [phase.batch_size, phase.crop_size, phase.crop_size, model.config.channels]
    crops = tf.random.stateless_uniform(size, seed=[0, 0])
    float(step(crops, crops)["loss"])  # traces
    begun = time.perf_counter()
    for _ in range(MEASURED_STEPS):
        loss = step(crops, crops)["loss"]
    float(loss)
    return (time.perf_counter() - begun) / MEASURED_STEPS
