"""Provenance of results: command, git revision, versions and processor."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("srn-deblurnet", "tensorflow", "numpy", "opencv-python", "scipy")


def describe_run() -> dict:
    """`command`, `git_revision` (None outside a checkout), `versions` and `processor`, for a summary."""
    return {
        "command": shlex.join(sys.argv),
        "git_revision": git_revision(),
        "versions": {"python": platform.python_version(), **_versions()},
        "processor": processor(),
    }


def git_revision(root: Path = _ROOT) -> str | None:
    """The commit of the checkout in `root`, with `-changed` where tracked files differ from it, or None."""
    if not (root / ".git").exists():
        return None
    revision = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return revision and revision + ("-changed" if changes else "")


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git(root, *words) -> str | None:
    try:
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
