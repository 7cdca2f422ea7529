import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from srn.command import name_flags
from srn.config import ModelConfig
from srn.data.mixture import Part
from srn.errors import InputError
from srn.training.config import TrainingConfig
from srn.zoo import MODELS

ROOT = Path(__file__).resolve().parents[2]
PAPER = {"data_dir": "GOPRO_Large"}
# A value for each field that is not its default.
OTHER = {
    "model": "ss",
    "start": "identity",
    "init_from": "a.npz",
    "grow_from": "sr_edrb1",
    "precision": "bfloat16",
    "data_dir": "a/b c",
    "dataset": "reds",
    "blur_folder": "blur_gamma",
    "sharp_folder": "truth",
    "mix": "gopro:a:0.5,photos:b:1",
    "cache_dir": "cache",
    "synthesis": "gopro",
    "downscale": 2,
    "crop_size": 64,
    "batch_size": 3,
    "phases": "128x16:0.3,256x8:0.7",
    "augment": True,
    "seed": 7,
    "loss": "charbonnier",
    "tv_weight": 0.01,
    "adversarial_weight": 1e-4,
    "optimizer": "muon",
    "schedule": "trapezoid",
    "learning_rate": 3e-3,
    "end_learning_rate": 2e-7,
    "decay_power": 1.5,
    "decay_steps": 11,
    "epochs": 12,
    "max_steps": 13,
    "fall_steps": 5,
    "warmup_steps": 14,
    "clip_norm": 0.25,
    "clip_all": True,
    "accumulate": 4,
    "ema_decay": 0.75,
    "save_every": 15,
    "keep": 16,
    "keep_every": 19,
    "resume_from": 20,
    "time_budget": 2.5,
    "val_data_dir": "held out",
    "val_dataset": "hide",
    "val_every": 21,
    "val_images": 22,
    "log_every": 17,
    "pictures_every": 18,
    "distribute": "mirrored",
    "device": "gpu:1",
    "jit_compile": True,
}


def config(**changes):
    return TrainingConfig(**{**PAPER, **changes})


def test_the_defaults_are_the_papers():
    paper = config()

    assert paper.model_config == ModelConfig()
    assert (paper.crop_size, paper.batch_size, paper.augment, paper.precision) == (256, 16, False, "float32")
    assert (paper.learning_rate, paper.end_learning_rate, paper.decay_power) == (1e-4, 1e-6, 0.3)
    assert (paper.clip_norm, paper.epochs, paper.start, paper.loss) == (3.0, 2000, "xavier", "mse")
    assert paper.decay_steps_for(2103) == 262_000
    assert (paper.warmup_steps, paper.ema_decay) == (0, 0)
    assert (paper.optimizer, paper.schedule, paper.clip_all) == ("adam", "polynomial", False)
    assert (paper.synthesis, paper.downscale) == ("handheld", 1)


def test_an_epoch_has_at_least_one_step():
    assert config(epochs=5).decay_steps_for(3) == 5
    assert config(epochs=5, decay_steps=7).decay_steps_for(100) == 7


def test_no_field_is_left_out_of_these_tests():
    assert set(OTHER) == {field.name for field in dataclasses.fields(TrainingConfig)}


@pytest.mark.parametrize("name", OTHER)
def test_a_flagfile_gives_back_the_same_run(tmp_path, name):
    changes = {"mix": {"data_dir": None}, "phases": {"max_steps": 10}}.get(name, {})
    run = config(**{**changes, name: OTHER[name]})
    (tmp_path / "flags.cfg").write_text(run.to_flagfile(model_dir="runs/x"))

    assert TrainingConfig.from_flagfile(tmp_path / "flags.cfg") == run


@pytest.mark.parametrize("path", sorted((ROOT / "flags").glob("*.cfg")), ids=lambda path: path.stem)
def test_the_flagfiles_of_the_project_are_of_train(path):
    assert TrainingConfig.from_flagfile(path, data_dir="x").model in MODELS


def test_the_papers_flagfile_is_the_default():
    assert TrainingConfig.from_flagfile(ROOT / "flags/gopro.cfg", dataset="auto", **PAPER) == config()


def test_paths_and_networks_are_kept_as_text(tmp_path):
    network = ModelConfig(width=8, kappa=(1.0, 0.5, 0.0))
    run = config(data_dir=Path("a/b"), model=network, crop_size=32)
    (tmp_path / "flags.cfg").write_text(run.to_flagfile())

    assert run.data_dir == "a/b"
    assert run.model_config == network and run.model_name == "custom"
    assert config(model=ModelConfig()).model == "srn"
    assert TrainingConfig.from_flagfile(tmp_path / "flags.cfg") == run


def test_the_parts_of_the_data():
    assert config(dataset="reds").parts == [Part("reds", "GOPRO_Large")]
    assert config(data_dir=None, mix="gopro:a:2,frames:b:1").parts == [
        Part("gopro", "a", 2.0),
        Part("frames", "b", 1.0),
    ]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"data_dir": None}, "--data_dir is needed: the folder that holds the data set; or --mix"),
        ({"mix": "gopro:a:1"}, "--data_dir and --mix: give one of them"),
        ({"mix": "gopro:a:0", "data_dir": None}, "--mix: the weight '0'"),
        ({"init_from": "a", "grow_from": "b"}, "--init_from and --grow_from: give one of them"),
        (
            {"crop_size": 250},
            "--crop_size=250 is not a multiple of 16, which srn needs; nearest: 240 and 256",
        ),
        ({"crop_size": 250, "model": "ss"}, "--crop_size=250 is not a multiple of 4"),
        ({"crop_size": 7}, "nearest: 16"),
        ({"model": "srn2"}, "there is no model 'srn2'; the models are srn, "),
        ({"model": '{"width": 0}'}, "width=0"),
        ({"model": "{width"}, "no description of a network"),
        ({"batch_size": 0}, "--batch_size=0"),
        ({"seed": 2**31}, "--seed=2147483648"),
        ({"learning_rate": float("inf")}, "--learning_rate=inf"),
        ({"ema_decay": 1.5}, "--ema_decay=1.5"),
        ({"start": "zero"}, "--start='zero'"),
        ({"precision": "float64"}, "--precision='float64'"),
        ({"loss": "none"}, "--loss='none'"),
        ({"device": "gpu"}, "--device=gpu is not a device; give cpu, or gpu:0"),
        ({"adversarial_weight": 1.0, "distribute": "mirrored"}, "--adversarial_weight: is for one device"),
        ({"accumulate": 3}, "--accumulate=3 does not divide batch_size=16"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_line_that_names_it(changes, message):
    with pytest.raises(InputError) as error:
        config(**changes)

    assert message in name_flags(str(error.value), OTHER)
    assert "--" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_it_is_frozen_and_replaced():
    run = config()

    with pytest.raises(dataclasses.FrozenInstanceError):
        run.seed = 1
    assert run.replace(seed=1) == config(seed=1)


def test_it_needs_no_tensorflow():
    code = "import sys, srn; srn.TrainingConfig(data_dir='x'); print('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
