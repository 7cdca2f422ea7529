"""Distributed training by `tf.distribute`, equivalent to training on one device.

Every batch is split into equal parts, one per replica, in the order given by (seed, step). Loss and gradients
are averaged over the replicas before clipping, so that the update is that of the whole batch. Only the first
worker (the chief) writes; all workers read the same folder when a run is resumed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from srn.errors import InputError


class Distribution:
    """The replicas of a run.

    Args:
      kind: "none"; "mirrored": all devices of this machine; "multi_worker": the machines of the environment
        variable TF_CONFIG. Must be created before the first TensorFlow operation.
      batch_size: global batch size.
      devices: for "mirrored", to use some devices only.

    Attributes:
      strategy: the `tf.distribute.Strategy`; None for one device.
      is_chief: whether this process writes checkpoints and logs.
      worker, num_workers: index of this process, and number of processes.

    Raises `InputError` if TF_CONFIG is not valid, or the batch cannot be split into equal parts.
    """

    def __init__(self, kind: str = "none", batch_size: int = 1, devices: list[str] | None = None):
        self.strategy: tf.distribute.Strategy | None = None
        self.worker, self.num_workers, self.is_chief = 0, 1, True
        if kind == "mirrored":
            self.strategy = tf.distribute.MirroredStrategy(devices)
        elif kind == "multi_worker":
            self.worker, self.num_workers = _read_cluster()
            self.is_chief = self.worker == 0
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        if batch_size % self.num_replicas:
            raise InputError(
                f"batch_size={batch_size} cannot be cut into equal parts for {self.num_replicas} replicas"
            )

    @property
    def num_replicas(self) -> int:
        """The number of devices of all workers."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    def scope(self) -> contextlib.AbstractContextManager:
        """The scope in which network, optimizer and average must be created."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def batches(self, make: Callable[[int, int, int], tf.data.Dataset], batch_size: int) -> Any:
        """The batches of a run, split over the replicas.

        Args:
          make: (batch size of a replica, index of a worker, number of workers) -> dataset of the batches of
            the replicas of that worker, one after the other.
          batch_size: global batch size.
        """
        if self.strategy is None:
            return make(batch_size, 0, 1)
        return self.strategy.distribute_datasets_from_function(
            lambda context: make(
                batch_size // self.num_replicas, context.input_pipeline_id, context.num_input_pipelines
            )
        )

    def first_part(self, images: Any) -> tf.Tensor:
        """The part of a batch on the first replica of this process."""
        return images if self.strategy is None else self.strategy.experimental_local_results(images)[0]

    def sum_over_workers(self, values: list[float]) -> list[float]:
        """Sums each value over the workers; waits for all of them."""
        if self.num_workers == 1:
            return values
        assert self.strategy is not None
        per_worker = self.num_replicas // self.num_workers
        sums = self._sum(tf.constant(values, tf.float32))
        return [float(value) / per_worker for value in sums]

    def _sum(self, values: tf.Tensor) -> tf.Tensor:
        if not hasattr(self, "_sum_graph"):
            strategy = self.strategy
            assert strategy is not None

            def total(values):
                own = tf.identity(values)  # on the replica's device, where the sum begins
                return tf.distribute.get_replica_context().all_reduce("SUM", own)

            @tf.function(reduce_retracing=True)
            def of_all(values):
                return strategy.experimental_local_results(strategy.run(total, (values,)))[0]

            self._sum_graph = of_all
        return self._sum_graph(values)


def _read_cluster() -> tuple[int, int]:
    """(index of this worker, number of workers) from TF_CONFIG."""
    text = os.environ.get("TF_CONFIG", "")
    form = (
        'TF_CONFIG is needed, such as {"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
        '"task": {"type": "worker", "index": 0}}; see docs/scaling.md'
    )
    try:
        description = json.loads(text)
        workers, task = description["cluster"]["worker"], description["task"]
        index = int(task["index"])
        is_worker = set(description["cluster"]) == {"worker"} and task["type"] == "worker"
        if not is_worker or not 0 <= index < len(workers):
            raise ValueError("not a cluster of workers alone")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"distribute=multi_worker: {form}") from error
    return index, len(workers)


def prepare_devices(device: str | None) -> None:
    """Enables memory growth of GPUs, and hides all devices except `device`.

    Args:
      device: "cpu", or "gpu:N"; None for all devices.

    Raises `InputError` for a GPU that does not exist.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device is not None:
        kind, _, number = device.lower().partition(":")
        chosen = [] if kind == "cpu" else gpus[int(number) : int(number) + 1]
        if kind == "gpu" and not chosen:
            raise InputError(f"device={device}: there are {len(gpus)} GPUs here")
        tf.config.set_visible_devices(chosen, "GPU")
        gpus = chosen
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # TensorFlow is already initialized
            tf.config.experimental.set_memory_growth(gpu, True)
