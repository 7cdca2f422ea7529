"""Trains SRN-DeblurNet.

    python train.py --flagfile=flags/gopro.cfg --data_dir=GOPRO_Large --model_dir=runs/gopro

A run that was interrupted goes on when the same command is given again; Ctrl-C and SIGTERM save first.
"""

from pathlib import Path

from absl import flags

from srn import command
from srn.config import ModelConfig
from srn.data.mixture import KINDS, SYNTHETIC, Part, open_sources, parse_mix
from srn.data.pairs import find_damage
from srn.errors import InputError, WorkError, first_line
from srn.files import write_atomically
from srn.zoo import MODELS, PRECISIONS, get_config

_MODEL = flags.DEFINE_enum("model", "srn", list(MODELS), "The network; `srn` is the paper's.")
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Folder of the run. Default: runs/MODEL.")
_INIT_FROM = flags.DEFINE_string("init_from", None, "Weights to begin with, as --ckpt of evaluate.py.")
_GROW_FROM = flags.DEFINE_string(
    "grow_from", None, "Weights of a smaller network (kernels, ResBlocks) to begin with; not in the paper."
)
_START = flags.DEFINE_enum(
    "start",
    "xavier",
    ["xavier", "identity"],
    "Start values: the paper's, or some that give the blurry image back.",
)
_PRECISION = flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Of the convolutions.")

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder that holds the data set, or a list of pairs.")
_DATASET = flags.DEFINE_enum("dataset", "auto", KINDS, "Layout of the data set; see data/README.md.")
_BLUR_FOLDER = flags.DEFINE_string(
    "blur_folder", "blur", "Of GOPRO: `blur` (the paper's) or `blur_gamma`. Of REDS: `blur`, `blur_jpeg`, ..."
)
_CROP_SIZE = flags.DEFINE_integer("crop_size", 256, "Side of the square crops, in pixels.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Crops in a step.", lower_bound=1)
_MIX = flags.DEFINE_string("mix", None, "In place of --data_dir: KIND:DIR:SHARE,... for several data sets.")
_CACHE_DIR = flags.DEFINE_string("cache_dir", None, "Prepared cache of these pairs; see data/prepare.py.")
_AUGMENT = flags.DEFINE_boolean("augment", False, "Mirror and turn crops at random; not in the paper.")
_SEED = flags.DEFINE_integer(
    "seed", 0, "Of start values, order and crops.", lower_bound=0, upper_bound=2**31 - 1
)

_OPTIMIZER = flags.DEFINE_enum(
    "optimizer", "adam", ["adam", "muon"], "Adam is the paper's. Muon wants --learning_rate=0.01 or so."
)
_SCHEDULE = flags.DEFINE_enum(
    "schedule",
    "polynomial",
    ["polynomial", "trapezoid"],
    "The paper's decay; or a constant rate that falls in a line over the last --fall_steps of --max_steps.",
)
_FALL_STEPS = flags.DEFINE_integer(
    "fall_steps", 0, "Of the trapezoid; 0: no fall, for a run to be prolonged.", lower_bound=0
)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-4, "At step 0.", lower_bound=0.0)
_END_LEARNING_RATE = flags.DEFINE_float(
    "end_learning_rate", 1e-6, "At the end of the decay.", lower_bound=0.0
)
_DECAY_POWER = flags.DEFINE_float("decay_power", 0.3, "Of the polynomial decay.", lower_bound=0.0)
_DECAY_STEPS = flags.DEFINE_integer(
    "decay_steps", None, "Steps of the decay. Default: --epochs times the steps of an epoch.", lower_bound=1
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", 2000, "Passes over the pairs (pairs // batch steps each).", lower_bound=1
)
_MAX_STEPS = flags.DEFINE_integer(
    "max_steps", None, "Where the run ends. Default: with the decay.", lower_bound=1
)
_CLIP_NORM = flags.DEFINE_float(
    "clip_norm",
    3.0,
    "Global norm for the gradients of the recurrent cell alone; 0 clips nothing.",
    lower_bound=0.0,
)

_WARMUP_STEPS = flags.DEFINE_integer(
    "warmup_steps", 0, "Steps in which the learning rate rises from 0; not in the paper.", lower_bound=0
)
_EMA_DECAY = flags.DEFINE_float(
    "ema_decay",
    0.0,
    "Of an average of the weights, which other commands then use; 0: none, as in the paper.",
    lower_bound=0.0,
    upper_bound=1.0,
)

_SAVE_EVERY = flags.DEFINE_integer("save_every", 1000, "Steps between checkpoints.", lower_bound=1)
_KEEP = flags.DEFINE_integer("keep", 5, "How many of the newest checkpoints stay.", lower_bound=1)
_LOG_EVERY = flags.DEFINE_integer("log_every", 20, "Steps between scalars for TensorBoard.", lower_bound=1)
_PICTURES_EVERY = flags.DEFINE_integer("pictures_every", 500, "Steps between pictures there.", lower_bound=1)
_JIT_COMPILE = flags.DEFINE_boolean("jit_compile", False, "Compile the step by XLA: for accelerators.")


def main() -> int:
    """Runs or resumes the training that the flags describe; returns the exit code."""
    config = get_config(_MODEL.value)
    if _INIT_FROM.value is not None and _GROW_FROM.value is not None:
        raise InputError("--init_from and --grow_from: give one of them")
    _check_crop_size(config)
    parts = _mixture()
    sources = open_sources(parts, _CROP_SIZE.value, _BLUR_FOLDER.value, _CACHE_DIR.value)
    num_parts = sum(len(source) for source in sources)
    model_dir = Path(_MODEL_DIR.value or f"runs/{_MODEL.value}")

    import tensorflow as tf  # after all that can be checked without it

    from srn.training.loop import Checkpoints

    tf.keras.utils.set_random_seed(_SEED.value)
    model = _start_model(model_dir)
    decay_steps = _DECAY_STEPS.value or _EPOCHS.value * max(num_parts // _BATCH_SIZE.value, 1)
    max_steps = _MAX_STEPS.value or decay_steps
    optimizer = _optimizer(model, decay_steps, max_steps)
    checkpoints = Checkpoints(model, optimizer, model_dir, _KEEP.value, _average(model))
    first_step = checkpoints.resume()
    write_atomically(model_dir / "flags.cfg", command.own_flags_as_flagfile().encode())
    print(
        f"{_MODEL.value}: {model.count_params():,} parameters; {_describe(parts, sources)}; "
        f"step {first_step} to {max_steps} in {model_dir}"
    )
    if first_step >= max_steps:
        print("nothing left to do; a larger --max_steps would go on")
        return command.DONE
    ended_by = _train(model, sources, [part.share for part in parts], checkpoints, max_steps, model_dir)
    return _say_goodbye(ended_by, checkpoints.step, model_dir)


def _optimizer(model, decay_steps, max_steps):
    from srn.training.muon import make_muon
    from srn.training.optimizers import Warmup, make_optimizer

    schedule = _schedule(decay_steps, max_steps)
    if _WARMUP_STEPS.value:
        schedule = Warmup(schedule, _WARMUP_STEPS.value)
    return make_muon(model, schedule) if _OPTIMIZER.value == "muon" else make_optimizer(schedule)


def _schedule(decay_steps, max_steps):
    from srn.training.optimizers import polynomial_decay
    from srn.training.trapezoid import Trapezoid

    rate, end_rate = _LEARNING_RATE.value, _END_LEARNING_RATE.value
    if _SCHEDULE.value == "trapezoid":
        return Trapezoid(rate, max_steps, _FALL_STEPS.value, end_rate)
    return polynomial_decay(rate, decay_steps, end_rate, _DECAY_POWER.value)


def _average(model):
    from srn.training.optimizers import WeightAverage

    return WeightAverage(model.trainable_variables, _EMA_DECAY.value) if _EMA_DECAY.value else None


def _mixture() -> list:
    """The parts of --mix, or the one that --dataset and --data_dir name."""
    if (_MIX.value is None) == (_DATA_DIR.value is None):
        raise InputError(
            "--data_dir is needed: the folder that holds the data set; or --mix, which names several"
        )
    return parse_mix(_MIX.value) if _MIX.value else [Part(_DATASET.value, _DATA_DIR.value)]


def _describe(parts, sources) -> str:
    """`30 pairs`, or `30 pairs and 208 photos`."""
    units = [part.kind if part.kind in SYNTHETIC else "pairs" for part in parts]
    return " and ".join(f"{len(source)} {unit}" for source, unit in zip(sources, units))


def _train(model, sources, shares, checkpoints, max_steps, model_dir):
    """Calls `srn.training.loop.train`; an image that cannot be decoded is named."""
    from tensorflow import errors

    from srn.data import pipeline
    from srn.training.loop import train

    batches = pipeline.stream_crops(
        sources,
        _BATCH_SIZE.value,
        _CROP_SIZE.value,
        _SEED.value,
        checkpoints.step,
        model.config.channels,
        _AUGMENT.value,
        shares,
    )
    try:
        return train(
            model,
            checkpoints.optimizer,
            batches,
            checkpoints,
            max_steps,
            clip_norm=_CLIP_NORM.value or None,
            jit_compile=_JIT_COMPILE.value,
            save_every=_SAVE_EVERY.value,
            log_every=_LOG_EVERY.value,
            pictures_every=_PICTURES_EVERY.value,
            log_dir=model_dir / "logs",
        )
    except errors.OpError as error:
        reasons = _find_damage(sources, checkpoints.step) or [first_line(error)]
        saved = f"step {checkpoints.step} is saved in {model_dir}; mend it and give the same command"
        raise WorkError("\n".join([*reasons, saved])) from error


def _find_damage(sources, step) -> list:
    """A line for each file of this step's pairs that cannot be decoded, where they are the only source."""
    from srn.data.pipeline import pairs_of_step

    if len(sources) > 1 or not hasattr(sources[0], "pairs"):
        return []
    return find_damage(pairs_of_step(sources[0].pairs, _BATCH_SIZE.value, _SEED.value, step))


def _check_crop_size(config: ModelConfig) -> None:
    multiple = config.size_multiple
    if _CROP_SIZE.value % multiple:
        below = _CROP_SIZE.value // multiple * multiple
        nearest = " and ".join(str(size) for size in (below, below + multiple) if size)
        raise InputError(
            f"--crop_size={_CROP_SIZE.value} is no multiple of {multiple}, which {_MODEL.value} needs; "
            f"nearest: {nearest}"
        )


def _start_model(model_dir):
    """The network at the start that the flags name; a run to resume needs none of them."""
    from srn import weights, zoo
    from srn.training import initialisation

    begins = not weights.has_checkpoint(model_dir)
    if _INIT_FROM.value is not None and begins:
        return weights.load_model(_INIT_FROM.value, _MODEL.value, _PRECISION.value)
    model = zoo.build_model(_MODEL.value, _PRECISION.value)
    if _GROW_FROM.value is not None and begins:
        initialisation.grow(model, weights.load_model(_GROW_FROM.value))
    elif _START.value == "identity":
        initialisation.start_at_identity(model)
    return model


def _say_goodbye(ended_by, step, model_dir) -> int:
    if ended_by is None:
        print(f"done: {step} steps; checkpoints in {model_dir}")
        return command.DONE
    print(f"{ended_by}: step {step} is saved in {model_dir}; the same command goes on from there")
    return command.exit_code_of_signal(ended_by)


if __name__ == "__main__":
    command.run(main)
