"""An exported model in a process of its own, loaded as a server loads it (`loaders.py`).

A crash of the C++ code ends the child and not the tests.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `loaders`, in the child

from loaders import LOADER, CallError, RunError, open_model


class EngineError(Exception):
    """A run that was answered with a status that is not OK: `code`, such as INVALID_ARGUMENT, and message."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Engine:
    """A model in a child process.

    Args:
      folder: of a version.
      onednn: whether oneDNN's kernels are on; None leaves it to TensorFlow.
      threads: of each operation.
    """

    def __init__(self, folder, onednn: bool | None = None, threads: int = 2):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        if onednn is not None:
            environment["TF_ENABLE_ONEDNN_OPTS"] = str(int(onednn))
        self._child = subprocess.Popen(
            [sys.executable, __file__, str(folder), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.signatures = self._ask(("signatures",))

    def run(self, signature: str, **feeds) -> dict:
        """The outputs. Raises `EngineError`."""
        return self._ask(("run", signature, feeds))

    def memory(self) -> dict:
        """MiB in use (`now`), and the most since `forget_peak` (`peak`)."""
        return self._ask(("memory",))

    def forget_peak(self) -> None:
        """Begins the measure of the peak anew."""
        self._ask(("forget_peak",))

    @property
    def is_alive(self) -> bool:
        """Whether the process has not crashed."""
        return self._child.poll() is None

    def close(self) -> None:
        """Ends the child."""
        self._child.stdin.close()
        self._child.wait(60)
        for stream in (self._child.stdout, self._child.stderr):
            stream.close()

    def _ask(self, request):
        try:
            write(self._child.stdin, request)
            kind, *answer = read(self._child.stdout)
        except (OSError, EOFError) as error:
            self._child.wait(60)
            text = self._child.stderr.read().decode(errors="replace")[-500:]
            raise AssertionError(f"the process died with {self._child.returncode}: {text}") from error
        if kind == "error":
            raise EngineError(*answer)
        return answer[0]


def write(stream, value) -> None:
    """One pickled value, after its length."""
    data = pickle.dumps(value, protocol=5)
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def read(stream):
    """The inverse of `write`. Raises `EOFError` at the end."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    return pickle.loads(stream.read(struct.unpack("<Q", head)[0]))


def _memory() -> dict:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"now": int(lines["VmRSS"].split()[0]) / 1024, "peak": int(lines["VmHWM"].split()[0]) / 1024}


def _serve(folder, threads) -> None:
    model = open_model(folder, threads)
    while True:
        try:
            name, *rest = read(sys.stdin.buffer)
        except EOFError:
            break
        try:
            if name == "run":
                answer = ("ok", model.run(*rest))
            elif name == "memory":
                answer = ("ok", _memory())
            elif name == "forget_peak":
                answer = ("ok", Path("/proc/self/clear_refs").write_text("5"))
            else:
                answer = ("ok", model.signatures)
        except RunError as error:
            answer = ("error", error.code, str(error))
        except CallError as error:
            answer = ("error", "USE", str(error))
        write(sys.stdout.buffer, answer)
    if LOADER.is_dir():
        assert "tensorflow.python" not in sys.modules


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
