"""What carries out the steps of train.py: the exported program, in JAX.

An engine holds the state on the device. twin/engine.py has the same methods for PyTorch.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from . import sampler
from . import state as travelling
from .program import on_device, open_bundle


class JaxEngine:
    """Trains with bundles of one model.

    Args:
      bundles: folders, one for each crop and batch size.
      state: arrays to begin with; settings that it lacks are the bundle's.
      tables: of the archive; None where no crops are asked for.
      settings: of the sampler.
      seed: of the crops; with the number of the step it says all about a batch.
      inner: steps that the device does at a time.
    """

    def __init__(self, bundles: list, state: dict, tables: dict, settings, seed: int, inner: int):
        self.bundles = [open_bundle(folder) for folder in bundles]
        first = self.bundles[0]
        state = {"current_learning_rate": np.float32(0), **first.facts["settings"], **state}
        self._state = on_device(state, first.train)
        self._tables = {name: jnp.asarray(table) for name, table in (tables or {}).items()}
        self._settings, self._key, self.inner = settings, jax.random.key(seed), inner
        self._compiled = {}

    def prepare(self, number: int) -> None:
        """Compiles the step of a bundle, if it is not yet."""
        if number not in self._compiled:
            step = make_step(self.bundles[number], self._tables, self._settings)
            self._compiled[number] = step.lower(self._state, self._tables, self._key, jnp.int32(0)).compile()

    def run(self, number: int, first_step: int) -> dict:
        """Takes `inner` steps; {result: float32 [inner]}."""
        results = []
        for step in range(first_step, first_step + self.inner):
            # The device works while the next step is asked for.
            result, self._state = self._compiled[number](
                self._state, self._tables, self._key, jnp.int32(step)
            )
            results.append(result)
        results = jax.device_get(results)  # waits for the device
        return {name: np.array([result[name] for result in results]) for name in results[0]}

    @functools.cached_property
    def _step(self):
        # Compiled at once: jit would do so a second time for the state that comes out of the first step.
        train = self.bundles[0].train
        return jax.jit(train, donate_argnums=1).lower(train.arguments, self._state).compile()

    def to_device(self, crops: np.ndarray):
        """Copies crops to the device, for `step`."""
        return jnp.asarray(crops)

    def step(self, blurry, sharp) -> dict:
        """A step of the first bundle on crops of the caller's, float32 [B, crop, crop, C]; its results."""
        results, self._state = self._step({"blurry": blurry, "sharp": sharp}, self._state)
        return {name: float(value) for name, value in results.items()}

    def set(self, name: str, value: float) -> None:
        """Gives a setting another value."""
        self._state[travelling.SETTING + name] = jnp.asarray(value, jnp.float32)

    def learning_rate(self) -> float:
        """Of the last step."""
        return float(self._state["current_learning_rate"])

    @functools.cached_property
    def _validate(self):
        return jax.jit(self.bundles[0].validate)

    def validate(self, blurry: np.ndarray, sharp: np.ndarray) -> dict:
        """Mean squared errors (0..255) of an image as it is, and restored by the averaged weights."""
        averaged = {
            name: self._state[travelling.AVERAGE + name] for name in travelling.weight_names(self._state)
        }
        images = (np.float32(image)[np.newaxis] / 255 for image in (blurry, sharp))
        errors, _ = self._validate(dict(zip(("blurry", "sharp"), images)), averaged)
        return {name: float(error) for name, error in errors.items()}

    def state(self) -> dict:
        """The state as NumPy arrays."""
        return jax.device_get(self._state)

    def memory_gib(self) -> float | None:
        """Peak memory of the device so far, or None where it is unknown."""
        stats = jax.devices()[0].memory_stats() or {}
        return stats["peak_bytes_in_use"] / 2**30 if "peak_bytes_in_use" in stats else None

    def describe(self) -> str:
        """Library and device."""
        return f"JAX {jax.__version__} on {jax.devices()[0].device_kind}"


def make_step(bundle, tables, settings):
    """Returns the jitted `step(state, tables, key, number) -> (results, state)`; it makes its own crops."""
    sample = sampler.make_sampler(bundle.batch_size, bundle.crop_size, tables, settings)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, tables, key, number):
        blurry, sharp = sample(jax.random.fold_in(key, number), tables)
        return bundle.train({"blurry": blurry, "sharp": sharp}, state)

    return step
