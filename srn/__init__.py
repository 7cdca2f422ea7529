"""SRN-DeblurNet: scale-recurrent network for deep image deblurring (Tao et al., CVPR 2018)."""

import importlib

__version__ = "0.1.0"

# Public name -> module that has it. Imported at first use, since TensorFlow takes seconds to load.
_NAMES = {
    "ModelConfig": "srn.config",
    "InputError": "srn.errors",
    "WorkError": "srn.errors",
    "build_model": "srn.zoo",
    "list_models": "srn.zoo",
    "load_model": "srn.weights",
    "TrainingConfig": "srn.training.config",
    "train": "srn.training.run",
    "Deblurrer": "srn.inference.deblurrer",
    "evaluate": "srn.evaluation.run",
}

_MODULES = ("official", "zoo")

__all__ = ["__version__", *_NAMES, *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"srn.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'srn' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
