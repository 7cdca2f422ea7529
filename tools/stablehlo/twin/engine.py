"""The engine of train.py that trains the twin: the same state and the same crops as `engine.JaxEngine`.

Crops are made by JAX on the same device and handed over without a copy. Adam is written out as Keras 2.15
has it, whose epsilon is not PyTorch's.
"""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import torch

from srn.errors import InputError

from .. import sampler
from .. import state as travelling
from .network import CELL, Network

jax.config.update("jax_enable_x64", True)

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
LAYOUT = (3, 2, 0, 1)  # [kh, kw, in, out] -> PyTorch's [out, in, kh, kw]; of transposed ones likewise
BACK = (2, 3, 1, 0)


class TwinEngine:
    """Trains with the facts of bundles; their programs are not used. Arguments are those of `JaxEngine`."""

    def __init__(self, bundles: list, state: dict, tables: dict, settings, seed: int, inner: int):
        self.bundles = [_read_facts(folder) for folder in bundles]
        facts = self.bundles[0].facts
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._is_exact = facts["precision"] == "float32"
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not self._is_exact
        self._network = Network(facts["config"]).to(self._device, memory_format=torch.channels_last)
        self._clip_norm, self.inner = facts["clip_norm"], inner
        self._weights = self._network.named_weights()
        self._cell = [weight for name, weight in self._weights.items() if name.startswith(CELL)]
        kept = (travelling.AVERAGE, travelling.FIRST_MOMENT, travelling.SECOND_MOMENT)
        self._kept = {prefix: {n: torch.empty_like(w) for n, w in self._weights.items()} for prefix in kept}
        with torch.no_grad():
            for prefix, tensors in (("", self._weights), *self._kept.items()):
                for name, tensor in tensors.items():
                    tensor.copy_(_to_torch(state, prefix + name, tensor.shape))
        self._settings = {
            **facts["settings"],
            **{k: float(v) for k, v in state.items() if k.startswith("setting/")},
        }
        self._steps, self._rate = int(state[travelling.STEPS]), 0.0
        self._tables = {name: jnp.asarray(table) for name, table in (tables or {}).items()}
        self._key, self._sampler_settings, self._samplers = jax.random.key(seed), settings, {}

    def prepare(self, number: int) -> None:
        """Makes the sampler of a bundle, and tunes for its shape on a step whose result is dropped."""
        if number not in self._samplers:
            bundle = self.bundles[number]
            sample = sampler.make_sampler(
                bundle.batch_size, bundle.crop_size, self._tables, self._sampler_settings
            )
            self._samplers[number] = jax.jit(sample)
            held = self.crops(number, 0)
            self._gradients(*held)
            self._wait()

    def crops(self, number: int, step: int) -> tuple:
        """blurry, sharp of a step, [B, 3, crop, crop] on the device."""
        pair = self._samplers[number](jax.random.fold_in(self._key, jnp.int32(step)), self._tables)
        # As JAX has them, [B, H, W, 3], is what PyTorch calls channels_last.
        return tuple(torch.from_dlpack(images).to(self._device).permute(0, 3, 1, 2) for images in pair)

    def run(self, number: int, first_step: int) -> dict:
        """Takes `inner` steps; {result: float32 [inner]}."""
        held, results = [], []
        for step in range(first_step, first_step + self.inner):
            held.append(self.crops(number, step))
            results.append(self._take_step(*held[-1]))
        self._wait()
        del held  # not before: JAX would use the memory again while PyTorch's queue still reads it
        return {name: torch.stack([r[name] for r in results]).cpu().numpy() for name in results[0]}

    def _wait(self):
        if self._device == "cuda":
            torch.cuda.synchronize()

    def to_device(self, crops: np.ndarray):
        """Crops of the caller's, [B, crop, crop, C], on the device, for `step`."""
        return torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2)

    def step(self, blurry, sharp) -> dict:
        """A step on crops that `to_device` has copied; its results."""
        return {name: float(value) for name, value in self._take_step(blurry, sharp).items()}

    def _take_step(self, blurry, sharp):
        """One update; its results are those of `srn.training.step.make_training_step`."""
        loss, finest = self._gradients(blurry, sharp)
        norm = torch.zeros([])
        if self._clip_norm:
            norm = torch.nn.utils.clip_grad_norm_(self._cell, self._clip_norm)
        self._update()
        error = torch.mean((finest.detach().float().clamp(0, 1) - sharp) ** 2)
        return {"loss": loss.detach(), "psnr": -10 * torch.log10(error), "recurrent_gradient_norm": norm}

    def _gradients(self, blurry, sharp):
        self._network.zero_grad(set_to_none=True)
        with torch.autocast(self._device, torch.bfloat16, enabled=not self._is_exact):
            outputs = self._network(blurry)
        loss = self._network.loss(outputs, sharp)
        loss.backward()
        return loss, outputs[0]

    @torch.no_grad()
    def _update(self):
        self._rate = self._learning_rate()
        self._steps += 1
        weights = list(self._weights.values())
        gradients = [weight.grad for weight in weights]
        average, first, second = (list(tensors.values()) for tensors in self._kept.values())
        torch._foreach_lerp_(first, gradients, 1 - BETA_1)
        torch._foreach_mul_(second, BETA_2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - BETA_2)
        correction = (1 - BETA_2**self._steps) ** 0.5 / (1 - BETA_1**self._steps)
        roots = torch._foreach_add(torch._foreach_sqrt(second), EPSILON)
        torch._foreach_addcdiv_(weights, first, roots, -self._rate * correction)
        decay = min(self._settings["setting/ema_decay"], self._steps / (self._steps + 9))
        torch._foreach_lerp_(average, weights, 1 - decay)

    def _learning_rate(self):
        of = {name.removeprefix(travelling.SETTING): value for name, value in self._settings.items()}
        left = 1 - min(self._steps / of["decay_steps"], 1)
        rate = (of["learning_rate"] - of["end_learning_rate"]) * left ** of["decay_power"] + of[
            "end_learning_rate"
        ]
        return rate * min((self._steps + 1) / max(of["warmup_steps"], 1), 1)

    def learning_rate(self) -> float:
        """Of the last step."""
        return self._rate

    def set(self, name: str, value: float) -> None:
        """Gives a setting another value."""
        self._settings[travelling.SETTING + name] = float(value)

    @torch.no_grad()
    def validate(self, blurry: np.ndarray, sharp: np.ndarray) -> dict:
        """Mean squared errors (0..255) of an image as it is, and restored by the averaged weights."""
        network, latest = (
            self._network,
            {name: weight.detach().clone() for name, weight in self._weights.items()},
        )
        for name, weight in self._weights.items():
            weight.copy_(self._kept[travelling.AVERAGE][name])
        image = torch.from_numpy(blurry).to(self._device).permute(2, 0, 1)[None].float() / 255
        with torch.autocast(self._device, torch.bfloat16, enabled=not self._is_exact):
            restored = network(image.contiguous(memory_format=torch.channels_last))[0][0]
        for name, weight in self._weights.items():
            weight.copy_(latest[name])
        restored = torch.round(restored.float().clamp(0, 1) * 255).permute(1, 2, 0).cpu().numpy()
        pairs = {"blurry": blurry.astype(np.float32), "restored": restored}
        return {name: float(np.mean((picture - sharp) ** 2)) for name, picture in pairs.items()}

    def state(self) -> dict:
        """The state as NumPy arrays."""
        arrays = {
            prefix + name: _to_numpy(tensor)
            for prefix, tensors in (("", self._weights), *self._kept.items())
            for name, tensor in tensors.items()
        }
        settings = {name: np.float32(value) for name, value in self._settings.items()}
        return {**arrays, **settings, travelling.STEPS: np.int64(self._steps)}

    def memory_gib(self) -> float | None:
        """Peak memory of PyTorch so far; without that of JAX."""
        return torch.cuda.max_memory_allocated() / 2**30 if self._device == "cuda" else None

    def describe(self) -> str:
        """Library and device."""
        device = torch.cuda.get_device_name() if self._device == "cuda" else "cpu"
        return f"PyTorch {torch.__version__} on {device}"


def _read_facts(folder):
    facts = travelling.read_facts(folder)
    return SimpleNamespace(facts=facts, batch_size=facts["batch_size"], crop_size=facts["crop_size"])


def _to_torch(state, key, shape):
    tensor = torch.from_numpy(np.array(state.get(key, []), np.float32))
    tensor = tensor.permute(LAYOUT) if tensor.ndim == 4 else tensor
    if tensor.shape != shape:
        raise InputError(f"{key}: the state is of another model than the bundle")
    return tensor


def _to_numpy(tensor):
    tensor = tensor.detach().float().cpu()
    return (tensor.permute(BACK) if tensor.ndim == 4 else tensor).contiguous().numpy().copy()
