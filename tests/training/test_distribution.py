"""N replicas compute what one would: two logical devices here, two processes on loopback.

`pytest -m slow -s tests/training/test_distribution.py` prints by how much weights differ.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from srn import run_files
from srn.errors import InputError
from srn.training.distribution import Distribution, prepare_devices

ROOT = Path(__file__).resolve().parents[2]
ADAM_NOISE = 1e-4  # fraction of the weights
# A run of ten steps with everything that could go apart: clip, augmentation, average, validation.
RUN = """
import os, sys
import tensorflow as tf
kind, network, model_dir, pairs = sys.argv[1:]
cpu = tf.config.list_physical_devices("CPU")[0]
if kind == "mirrored":
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy
    tf.distribute.MirroredStrategy = lambda devices: strategy(["CPU:0", "CPU:1"])
import srn
if "KILLED_AT" in os.environ:  # from inside, so that the moment is certain
    from srn.training import loop
    check = loop._require_finite
    def check_or_die(loss, step, *others):
        if step == int(os.environ["KILLED_AT"]):
            os.kill(os.getpid(), 9)
        check(loss, step, *others)
    loop._require_finite = check_or_die
of_network = {
    "small": dict(
        model=srn.ModelConfig(width=3, res_blocks=1, kernel_size=3, num_scales=2),
        crop_size=16, learning_rate=1e-3, clip_norm=0.01,
    ),
    "srn": dict(model="srn", crop_size=64, clip_norm=0.5),
}[network]
config = srn.TrainingConfig(
    data_dir=pairs, batch_size=4, augment=True, max_steps=10, save_every=5, ema_decay=0.9,
    val_data_dir=pairs, val_every=10, distribute=kind, **of_network,
)
result = srn.train(config, model_dir)
print("PSNR", result.metrics["validation_psnr"], result.metrics["loss"])
"""


def start(kind, network, model_dir, pairs, **environment):
    words = [sys.executable, "-c", RUN, kind, network, str(model_dir), str(pairs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", **environment}
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    )


def finish(process):
    """The validation's PSNR and the loss that a run prints."""
    output, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, output
    (line,) = [line for line in output.splitlines() if line.startswith("PSNR")]
    return [float(word) for word in line.split()[1:]]


def start_workers(network, model_dir, pairs, **environment_of_second):
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("localhost", 0))
        hosts = [f"localhost:{free.getsockname()[1]}" for free in (one, other)]
    return [
        start(
            "multi_worker",
            network,
            model_dir,
            pairs,
            TF_CONFIG=json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}),
            **(environment_of_second if index else {}),
        )
        for index in range(2)
    ]


@pytest.fixture(scope="module", params=["small", "srn"])
def alone(request, tmp_path_factory, make_pairs):
    """(name of a network, folder of pairs, folder of a run on one device, its PSNR and loss)."""
    folder = tmp_path_factory.mktemp("alone")
    pairs = make_pairs(folder / "pairs", count=3, height=72, width=68)
    return request.param, pairs, folder / "run", finish(start("none", request.param, folder / "run", pairs))


def assert_same_weights(run, other):
    one, two = (tf.train.load_checkpoint(str(folder / "step-10")) for folder in (run, other))
    names = set(one.get_variable_to_shape_map())
    assert names == set(two.get_variable_to_shape_map())
    weights = [name for name in sorted(names) if name.startswith(("model", "average"))]
    differences = np.concatenate(
        [np.abs(one.get_tensor(name) - two.get_tensor(name)).ravel() for name in weights]
    )
    beyond = np.mean(differences > 1e-5)
    print(
        f"\nafter 10 steps: largest difference of a weight {differences.max():.1e}, {beyond:.1e} beyond 1e-5"
    )
    # Adam divides gradients by their size: updates by gradients as small as rounding errors are random
    # (docs/scaling.md: one device with one thread differs as much from one device with two).
    assert beyond <= ADAM_NOISE


@pytest.mark.slow
def test_two_devices_of_one_process_are_one(alone, tmp_path):
    network, pairs, run, expected = alone

    results = finish(start("mirrored", network, tmp_path, pairs))

    np.testing.assert_allclose(results, expected, rtol=1e-4)
    assert_same_weights(run, tmp_path)


@pytest.mark.slow
def test_two_processes_are_one(alone, tmp_path):
    network, pairs, run, expected = alone

    results = [finish(process) for process in start_workers(network, tmp_path, pairs)]

    for result in results:
        np.testing.assert_allclose(result, expected, rtol=1e-4)
    assert_same_weights(run, tmp_path)


@pytest.mark.slow
def test_two_processes_are_one_also_after_one_of_them_was_killed(alone, tmp_path):
    network, pairs, run, expected = alone
    first, second = start_workers(network, tmp_path, pairs, KILLED_AT="7")
    output, _ = first.communicate(timeout=1800)
    assert first.returncode == 1 and "run the same command on all workers again" in output
    second.communicate()
    assert second.returncode == -9
    assert max(run_files.steps_in(tmp_path)) in (5, 6, 7)

    results = [finish(process) for process in start_workers(network, tmp_path, pairs)]

    for result in results:
        np.testing.assert_allclose(result, expected, rtol=1e-4)
    assert_same_weights(run, tmp_path)


def test_a_batch_is_cut_into_equal_parts_only(monkeypatch):
    monkeypatch.setattr(Distribution, "num_replicas", 3)

    with pytest.raises(InputError, match="batch_size=8 cannot be cut into equal parts for 3 replicas"):
        Distribution("none", 8)


def test_gpus_give_memory_as_it_is_asked_for_and_the_named_one_alone_is_seen(monkeypatch):
    grown, seen = [], []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: seen.append(devices))
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda device, enable: grown.append(device)
    )

    for device in (None, "gpu:1", "cpu"):
        prepare_devices(device)

    assert seen == [["second"], []]
    assert grown == ["first", "second", "second"]
    with pytest.raises(InputError, match="device=gpu:2: there are 2 GPUs here"):
        prepare_devices("gpu:2")
