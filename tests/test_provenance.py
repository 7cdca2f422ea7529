import json
import subprocess

import pytest

from srn import provenance


@pytest.fixture
def checkout(tmp_path):
    """A repository with one commit."""
    for words in (
        ("init", "-q"),
        ("config", "user.email", "a@b"),
        ("config", "user.name", "a"),
        ("commit", "-q", "--allow-empty", "-m", "first"),
    ):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    return tmp_path


def test_the_revision_is_that_of_the_commit_and_tells_of_changes(checkout):
    revision = provenance.git_revision(checkout)
    assert len(revision) == 40

    (checkout / "new.py").write_text("")
    assert provenance.git_revision(checkout) == revision  # a file that git does not know changes nothing
    subprocess.run(["git", "-C", checkout, "add", "."], check=True)
    assert provenance.git_revision(checkout) == f"{revision}-changed"


def test_outside_a_checkout_there_is_no_revision(tmp_path):
    assert provenance.git_revision(tmp_path) is None


def test_a_run_is_described_by_plain_values():
    described = json.loads(json.dumps(provenance.describe_run()))

    assert described["versions"]["tensorflow"].startswith("2.15")
    assert described["command"] and described["processor"]
