"""The recipes of docs/scaling.md: each task of a cluster gets a TF_CONFIG that the training takes."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from srn.errors import InputError
from srn.training.distribution import _read_cluster

CLUSTER = Path(__file__).resolve().parents[2] / "tools" / "cluster"


def run_with_fakes(script, tmp_path, fakes, **environment):
    """What a bash script hands to python: TF_CONFIG and the arguments, by programs that are written here."""
    for name, body in {**fakes, "python": 'echo "$TF_CONFIG"; echo "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        script, env={**os.environ, **environment, "PATH": path}, capture_output=True, text=True
    )
    return done, done.stdout.splitlines()


def assert_is_taken(text, workers, index, monkeypatch):
    assert json.loads(text) == {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    monkeypatch.setenv("TF_CONFIG", text)
    assert _read_cluster() == (index, len(workers))


@pytest.mark.parametrize("index", [0, 1])
def test_the_job_of_kubernetes(tmp_path, monkeypatch, index):
    service, job = yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text())
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert service["metadata"]["name"] == spec["subdomain"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 2
    names = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == names

    script = [*container["command"], *container["args"]]
    _, lines = run_with_fakes(script, tmp_path, {}, JOB_COMPLETION_INDEX=str(index))

    hosts = [f"srn-training-{number}.srn-training:2222" for number in range(2)]
    assert_is_taken(lines[0], hosts, index, monkeypatch)
    assert lines[1].startswith("train.py --distribute=multi_worker --flagfile=flags/gopro.cfg")


def test_the_job_of_slurm(tmp_path, monkeypatch):
    fakes = {"scontrol": 'echo -e "node1\\nnode2"', "srun": '"$@"'}
    script = ["bash", str(CLUSTER / "slurm.sh"), "--data_dir=a b"]

    done, lines = run_with_fakes(script, tmp_path, fakes, SLURM_JOB_NODELIST="node[1-2]", SLURM_PROCID="1")

    assert done.returncode == 0, done.stderr
    assert_is_taken(lines[0], ["node1:2222", "node2:2222"], 1, monkeypatch)
    assert lines[1] == "train.py --distribute=multi_worker --data_dir=a b"


@pytest.mark.parametrize(
    "text", ["", "{", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}']
)
def test_a_cluster_that_is_none_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)

    with pytest.raises(InputError, match="distribute=multi_worker: TF_CONFIG is needed, such as"):
        _read_cluster()
