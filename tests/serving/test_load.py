"""Many clients at once; the fifteen minutes of it are benchmarks/serving.py."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srn.serving.client import connect

SIZES = [(20, 31), (64, 48), (100, 90), (33, 150), (128, 128), (7, 9), (200, 120)]


def png(height, width):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def memory(process):
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024


@pytest.mark.slow
def test_eight_clients_of_mixed_sizes_see_no_error_and_memory_stays_flat(served):
    from double import Double

    double = Double(served[1])
    files = [png(*size) for size in SIZES]

    def restore(number):
        (restored,) = server.restore_files([files[number % len(files)]])
        height, width = SIZES[number % len(files)]
        assert Image.open(io.BytesIO(restored)).size == (width, height)

    try:
        with connect(double.grpc, timeout=120) as server, ThreadPoolExecutor(8) as clients:
            list(clients.map(restore, range(200)))
            before = memory(double.process)
            list(clients.map(restore, range(600)))
            assert memory(double.process) < before + 50
    finally:
        double.close()


def test_images_of_two_hundred_sizes_do_not_make_the_server_grow(make_engine):
    """With oneDNN, which the recipes switch off, it would be some 80 MiB with this tiny model."""
    engine, sizes = make_engine(False), [(16 * i, 16 * j) for i in range(1, 16) for j in range(1, 16)]
    np.random.default_rng(0).shuffle(sizes)

    for number, size in enumerate(sizes[:200]):
        engine.run("encoded", image_bytes=np.array([png(*size)], object))
        if number == 60:
            before = engine.memory()["now"]

    assert engine.memory()["now"] < before + 40
