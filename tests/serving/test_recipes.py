"""The recipes in serving/: they name what an export has and what the server knows."""

import re
import subprocess
from pathlib import Path

import pytest

from srn.serving.server_files import write_server_files

RECIPES = Path(__file__).resolve().parents[2] / "serving"
# Of tensorflow_model_server 2.15, as far as they are used here.
SERVER_FLAGS = {
    "model_config_file",
    "monitoring_config_file",
    "tensorflow_intra_op_parallelism",
    "tensorflow_inter_op_parallelism",
    "rest_api_timeout_in_ms",
    "model_config_file_poll_wait_seconds",
    "allow_version_labels_for_unavailable_models",
}


@pytest.mark.parametrize("name", ["run_docker.sh", "compose.yaml", "kubernetes.yaml"])
def test_a_recipe_starts_the_server_of_this_tensorflow_with_flags_that_it_has(name, tmp_path):
    text = (RECIPES / name).read_text()
    write_server_files(tmp_path, "srn")

    assert "tensorflow/serving:2.15.1" in text
    server = text[text.index("tensorflow/serving:2.15.1") :]
    assert set(re.findall(r"--(\w+)=", server)) == SERVER_FLAGS
    files = {path.name for path in tmp_path.iterdir()}
    assert set(re.findall(r"\w+\.(?:config|txt)", server)) <= files


@pytest.mark.parametrize("name", ["run_docker.sh", "check_server.sh"])
def test_a_script_is_one_that_the_shell_can_read(name):
    subprocess.run(["sh", "-n", RECIPES / name], check=True)


def test_probes_and_prometheus_ask_where_the_server_answers():
    kubernetes = (RECIPES / "kubernetes.yaml").read_text()
    prometheus = (RECIPES / "prometheus.yml").read_text()

    assert kubernetes.count("/v1/models/srn/metadata") == 2
    for text in (kubernetes, prometheus):
        assert "/monitoring/prometheus/metrics" in text
