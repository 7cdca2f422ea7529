"""Free memory and fast arithmetic of this machine."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_FAST_BFLOAT16 = {"amx_bf16", "avx512_bf16"}  # instruction sets with fast bfloat16


@functools.lru_cache(maxsize=1)
def has_fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return False
    flags = next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())
    return bool(flags & _FAST_BFLOAT16)


def free_memory() -> int | None:
    """Free memory in bytes, limited by the machine, the control group and the limits of this process.

    None if it is unknown.
    """
    amounts = [amount for amount in (_of_machine(), _of_control_group(), _of_process()) if amount is not None]
    return max(min(amounts), 0) if amounts else None


def _of_machine() -> int | None:
    available = _fields("/proc/meminfo").get("MemAvailable")
    if available is not None:
        return available
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _of_control_group() -> int | None:
    """Memory left in the control group of this process and its parents; None without a limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if controllers == "":  # version 2
            names, cache, root = ("memory.max", "memory.current", "memory.stat"), "inactive_file", _CGROUP
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
            cache, root = "total_inactive_file", _CGROUP / "memory"
        else:
            continue
        folder = root / own.lstrip("/")
        around = [each for each in (folder, *folder.parents) if each.is_relative_to(root)]
        found += [_left(each, names, cache) for each in around]
    amounts = [amount for amount in found if amount is not None]
    return min(amounts) if amounts else None


def _left(folder: Path, names: tuple[str, str, str], cache: str) -> int | None:
    """Memory left by the limit in the files of a control group; None without a limit."""
    limit, used, statistics = (folder / name for name in names)
    try:
        maximum = int(limit.read_text())  # "max" where there is none
        present = int(used.read_text())
        lines = [line.split() for line in statistics.read_text().splitlines()]
        # The page cache is released when memory is needed.
        return maximum - present + int(dict(lines).get(cache, 0))
    except (OSError, ValueError):
        return None


def _of_process() -> int | None:
    """Memory left by `ulimit -v`."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, OSError):
        return None
    used = _fields("/proc/self/status").get("VmSize")
    if limit == resource.RLIM_INFINITY or used is None:
        return None
    return limit - used


def _fields(path: str) -> dict[str, int]:
    """Parses lines `Name: 123 kB` of a file, in bytes."""
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines]
    return {word[0].rstrip(":"): int(word[1]) * 1024 for word in words if len(word) == 3 and word[2] == "kB"}
