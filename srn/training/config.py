"""`TrainingConfig`: the frozen configuration of a training run, convertible to a flagfile and back.

This module does not import TensorFlow, so that commands can check their flags quickly.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from typing import Any

from srn import settings
from srn.config import ModelConfig
from srn.data.layouts import DATASETS
from srn.data.mixture import KINDS, Part, parse_mix
from srn.errors import InputError
from srn.settings import setting
from srn.synthesis.settings import SYNTHESES
from srn.training.losses import LOSSES
from srn.training.optimizers import OPTIMIZERS, SCHEDULES
from srn.training.phases import Phase, parse_phases, plan_phases
from srn.zoo import MODELS, PRECISIONS, get_config, name_of

STARTS = ("xavier", "identity")
DISTRIBUTIONS = ("none", "mirrored", "multi_worker")
FINISHED = "max_steps"  # `ended_by` of a complete run
TIME_BUDGET = "time_budget"  # `ended_by` of a run out of time
MODEL_DIR = "model_dir"  # folder of the run: a flag of the command, and a line of the run's flagfile


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Configuration of a training run; the defaults are those of the paper.

    The data are given by `data_dir` or `mix`. `model` may be a `srn.ModelConfig`, paths `pathlib.Path`s; both
    are stored as text. It is the argument of `srn.train`; `python train.py` has a flag for each field,
    and the folder of a run stores it as `flags.cfg`.

    Raises `InputError` with a line for each invalid field.
    """

    model: str | ModelConfig = setting(
        "srn",
        f"The network, one of {', '.join(MODELS)}; `srn` is the paper's. Others: as JSON.",
    )
    start: str = setting(
        "xavier",
        "Initial weights: Xavier as in the paper, or such that the output is the blurry input.",
        choices=STARTS,
    )
    init_from: str | None = setting(None, "Weights to start from, as --ckpt of evaluate.py.")
    grow_from: str | None = setting(
        None, "Weights of a smaller network (kernels, ResBlocks) to start from; not in the paper."
    )
    precision: str = setting("float32", "Precision of the convolutions.", choices=tuple(PRECISIONS))

    data_dir: str | None = setting(None, "Folder that holds the data set, or a list of pairs.")
    dataset: str = setting("auto", "Layout of the data set; see data/README.md.", choices=KINDS)
    blur_folder: str = setting(
        "blur",
        "Folder of blurry images. GOPRO: `blur` (the paper's), `blur_gamma`. REDS: `blur`, `blur_jpeg`, ...",
    )
    sharp_folder: str = setting("sharp", "Name of the folder of the sharp images.")
    mix: str | None = setting(None, "Instead of --data_dir: KIND:DIR:WEIGHT,... for several data sets.")
    cache_dir: str | None = setting(None, "Prepared cache of the pairs; see data/prepare.py.")
    synthesis: str = setting(
        "handheld", "Preset of blur synthesis; see docs/making_blur.md.", choices=tuple(SYNTHESES)
    )
    downscale: int = setting(1, "Integer factor by which all images but pools are downscaled.", minimum=1)
    crop_size: int = setting(256, "Side of the square crops, in pixels.", minimum=1)
    batch_size: int = setting(16, "Batch size.", minimum=1)
    phases: str | None = setting(
        None, "Instead of --crop_size and --batch_size: CROPxBATCH:FRACTION,... of --max_steps."
    )
    augment: bool = setting(False, "Random flips and rotations of the crops; not in the paper.")
    seed: int = setting(0, "Seed of initial weights, order and crops.", minimum=0, maximum=2**31 - 1)

    loss: str = setting(
        "mse",
        "Loss; `mse` is Eq. 3 of the paper. `charbonnier` is a smooth absolute error, `..._frequency` adds "
        "that of the Fourier transforms (MIMO-UNet).",
        choices=tuple(LOSSES),
    )
    tv_weight: float = setting(0.0, "Weight of a total variation loss, as tried in Sec. 3.3.", minimum=0.0)
    adversarial_weight: float = setting(
        0.0,
        "Weight of an adversarial loss with the critic of Nah et al., who use 1e-4; tried in Sec. 3.3.",
        minimum=0.0,
    )
    optimizer: str = setting(
        "adam",
        "Optimizer; `adam` is the paper's. `muon` needs a learning rate of about 0.01.",
        choices=tuple(OPTIMIZERS),
    )
    schedule: str = setting(
        "polynomial",
        "Learning rate schedule; `polynomial` is the paper's, `trapezoid` is constant with a linear decay.",
        choices=tuple(SCHEDULES),
    )
    learning_rate: float = setting(1e-4, "Initial learning rate.", minimum=0.0)
    end_learning_rate: float = setting(1e-6, "Learning rate at the end of the decay.", minimum=0.0)
    decay_power: float = setting(0.3, "Power of the polynomial decay.", minimum=0.0)
    decay_steps: int | None = setting(
        None, "Steps of the decay. Default: --epochs times the steps of an epoch.", minimum=1
    )
    epochs: int = setting(2000, "Passes over the data (items // batch size steps each).", minimum=1)
    max_steps: int | None = setting(None, "Last step of the run. Default: the end of the decay.", minimum=1)
    fall_steps: int = setting(
        0,
        "`trapezoid`: number of steps of the linear decay before --max_steps; 0: no decay, for a run that "
        "will be continued.",
        minimum=0,
    )
    warmup_steps: int = setting(
        0, "Steps of linear warm-up of the learning rate; not in the paper.", minimum=0
    )
    clip_norm: float = setting(
        3.0, "Maximum global norm of the gradients of the recurrent cell; 0: no clipping.", minimum=0.0
    )
    clip_all: bool = setting(
        False, "Whether to clip the global norm of all gradients instead of those of the recurrent cell."
    )
    accumulate: int = setting(
        1,
        "Gradient accumulation: number of parts of a batch, computed one after the other to save memory.",
        minimum=1,
    )
    ema_decay: float = setting(
        0.0,
        "Decay of the exponential moving average of the weights, which is then used by other commands; "
        "0: off, as in the paper.",
        minimum=0.0,
        maximum=1.0,
    )

    save_every: int = setting(1000, "Steps between checkpoints.", minimum=1)
    keep: int = setting(5, "Number of newest checkpoints to keep.", minimum=1)
    keep_every: int = setting(0, "Also keep the checkpoints of multiples of this step; 0: none.", minimum=0)
    resume_from: int | None = setting(
        None, "Go back to the checkpoint of this step; later ones are moved to after-step-N/.", minimum=0
    )
    time_budget: float | None = setting(
        None, "Hours after which the run saves and ends; the same command resumes it.", minimum=0.0
    )
    val_data_dir: str | None = setting(
        None, "Data set whose test split is used for validation on whole images."
    )
    val_dataset: str = setting("auto", "Layout of the data set for validation.", choices=DATASETS)
    val_every: int | None = setting(None, "Steps between validations. Default: --save_every.", minimum=1)
    val_images: int = setting(
        0, "Number of validation images, equally spaced in the data set; 0: all.", minimum=0
    )
    log_every: int = setting(20, "Steps between entries of TensorBoard and log.csv.", minimum=1)
    pictures_every: int = setting(500, "Steps between images in TensorBoard.", minimum=1)
    distribute: str = setting(
        "none",
        "Distribution strategy: `mirrored` for all GPUs of this machine, `multi_worker` for TF_CONFIG.",
        choices=DISTRIBUTIONS,
    )
    device: str | None = setting(None, "Device to use: cpu, gpu:0, gpu:1, ...")
    jit_compile: bool = setting(False, "Compile the training step with XLA; for accelerators.")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, os.PathLike):
                object.__setattr__(self, field.name, os.fspath(value))
        if isinstance(self.model, ModelConfig):
            object.__setattr__(self, "model", name_of(self.model) or _to_json(self.model))
        settings.check(self)
        _check_combinations(self)

    @property
    def model_config(self) -> ModelConfig:
        """The network that `model` names."""
        text = str(self.model)
        return _from_json(text) if text.startswith("{") else get_config(text)

    @property
    def model_name(self) -> str:
        """The name of the network, "custom" where it has none."""
        return name_of(self.model_config) or "custom"

    @property
    def parts(self) -> list[Part]:
        """The data sets of the crops: those of `mix`, or the one in `data_dir`."""
        if self.mix is not None:
            return parse_mix(self.mix)
        assert self.data_dir is not None  # as checked
        return [Part(self.dataset, self.data_dir)]

    @property
    def validation_interval(self) -> int | None:
        """Steps between validations, None without validation."""
        return None if self.val_data_dir is None else self.val_every or self.save_every

    def decay_steps_for(self, num_items: int) -> int:
        """Steps of the decay, for data of `num_items` pairs, photographs and windows of frames."""
        return self.decay_steps or self.epochs * max(num_items // self.batch_size, 1)

    def phases_until(self, max_steps: int) -> list[Phase]:
        """The phases of a run of `max_steps` steps; one of `crop_size` and `batch_size` by default."""
        phases = parse_phases(self.phases) if self.phases else [(self.crop_size, self.batch_size, 1.0)]
        return plan_phases(phases, max_steps)

    def replace(self, **changes: Any) -> TrainingConfig:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_flagfile(self, **others: str) -> str:
        """The lines of a flagfile for train.py; `others` are flags that are not fields."""
        return settings.to_flagfile(self, **others)

    @classmethod
    def from_flagfile(cls, path: str | os.PathLike[str], **changes: Any) -> TrainingConfig:
        """Reads a flagfile of train.py, such as `flags.cfg` in the folder of a run.

        Args:
          path: the flagfile. `--model_dir` is ignored, since it is an argument of `srn.train`.
          **changes: fields to change.

        Raises `InputError` that names the file or the field that cannot be used.
        """
        return settings.from_flagfile(cls, path, ignored=[MODEL_DIR], **changes)


def _check_combinations(config: TrainingConfig) -> None:
    if config.data_dir is not None and config.mix is not None:
        raise InputError("`data_dir` and `mix`: give one of them")
    if config.data_dir is None and config.mix is None:
        raise InputError(
            "`data_dir` is needed: the folder that holds the data set; or `mix`, which names several"
        )
    if config.init_from is not None and config.grow_from is not None:
        raise InputError("`init_from` and `grow_from`: give one of them")
    assert config.parts  # each is checked
    if config.phases is not None and config.max_steps is None:
        raise InputError("phases: are parts of the steps of a run; give `max_steps`")
    if config.device is not None and not re.fullmatch(r"cpu|gpu:\d+", config.device.lower()):
        raise InputError(f"device={config.device} is not a device; give cpu, or gpu:0, gpu:1, ...")
    if config.adversarial_weight and config.distribute != "none":
        raise InputError("adversarial_weight: is for one device; leave `distribute` out")
    for phase in config.phases_until(config.max_steps or 1):
        _check_crop_size(config, phase.crop_size)
        if phase.batch_size % config.accumulate:
            raise InputError(
                f"accumulate={config.accumulate} does not divide batch_size={phase.batch_size} "
                "into equal parts"
            )


def _check_crop_size(config: TrainingConfig, crop_size: int) -> None:
    multiple = config.model_config.size_multiple
    if crop_size % multiple or not crop_size:
        below = crop_size // multiple * multiple
        nearest = " and ".join(str(size) for size in (below, below + multiple) if size)
        name = "phases" if config.phases else "crop_size"
        raise InputError(
            f"{name}={crop_size} is not a multiple of {multiple}, which {config.model_name} needs; "
            f"nearest: {nearest}"
        )


def _to_json(model: ModelConfig) -> str:
    """The fields that differ from the network of the paper."""
    paper = ModelConfig().to_dict()
    return json.dumps({name: value for name, value in model.to_dict().items() if value != paper[name]})


def _from_json(text: str) -> ModelConfig:
    try:
        return ModelConfig.from_dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise InputError(f"model={text}: no description of a network ({error})") from error
