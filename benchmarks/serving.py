"""Memory, seconds and throughput of a served model, beside the bare Keras model.

    python benchmarks/serving.py --server localhost:8500 --pid PID --seconds 900 --ckpt sr_edrb1

First one photograph of each size alone, with the most memory that the server's process took for it; then
`--clients` of them at once with photographs of mixed sizes for `--seconds`; then the same photographs
through the Keras model in this process, one after the other.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from srn.provenance import processor
from srn.serving.client import connect

SIZES = ((480, 640), (720, 1280), (1080, 1920), (2160, 3840))  # of single photographs, height and width
MIXED = ((120, 160), (240, 320), (333, 251), (480, 640), (256, 256), (360, 480))  # of the load


def main() -> None:
    """Measures and prints."""
    arguments = parse()
    print(f"{processor()}, model of {arguments.server}")
    with connect(arguments.server, arguments.model, timeout=600) as server:
        for size in SIZES if arguments.sizes else ():
            time_one(server, size, arguments.pid)
        images = [encode(size, seed) for seed, size in enumerate(MIXED)]
        server.restore_files(images)
        pixels, seconds = put_under_load(server, images, arguments)
    served = pixels / seconds / 1e6
    print(f"under load: {served:.3f} megapixels/s")
    if arguments.ckpt:
        bare = time_keras(arguments.ckpt, min(arguments.seconds, 60))
        print(f"bare Keras model: {bare:.3f} megapixels/s; served / bare: {served / bare:.2f}")


def time_one(server, size, pid) -> None:
    """Prints seconds and memory of one photograph, the second time that its size is seen."""
    image = encode(size, 0)
    server.restore_files([image])
    before = memory(pid)["VmRSS"]
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    start = time.perf_counter()
    server.restore_files([image])
    seconds, most = time.perf_counter() - start, memory(pid)["VmHWM"]
    megapixels = size[0] * size[1] / 1e6
    print(
        f"{size[1]}x{size[0]}: {seconds:.2f} s ({seconds / megapixels:.2f} s a megapixel), "
        f"process {before:.0f} MiB before, {most:.0f} MiB at most"
    )


def put_under_load(server, images, arguments) -> tuple:
    """(pixels restored, seconds) of all clients; prints memory over time and every error."""
    end, done, errors = time.monotonic() + arguments.seconds, [], []

    def work(first):
        for number in itertools.count(first):
            if time.monotonic() > end:
                return
            start = time.monotonic()
            try:
                server.restore_files([images[number % len(images)]])
                done.append((number % len(images), time.monotonic() - start))
            except Exception as error:  # counted, whatever it is
                errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(arguments.clients)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for thread in threads:  # until all are done, or it is time for a line
            thread.join(min(60, arguments.seconds / 5) / len(threads))
        minutes = (time.monotonic() - begun) / 60
        print(
            f"{minutes:5.1f} min: {len(done)} photographs, {memory(arguments.pid)['VmRSS']:.0f} MiB",
            flush=True,
        )
    seconds = time.monotonic() - begun
    pixels = sum(MIXED[which][0] * MIXED[which][1] for which, _ in done)
    print(f"{arguments.clients} clients, {seconds:.0f} s: {len(done)} photographs, {len(errors)} errors")
    for error in errors[:5]:
        print(f"  {error}")
    if waits := [wait for _, wait in done]:
        print(f"wait: {statistics.median(waits):.2f} s (median), {max(waits):.2f} s (longest)")
    return pixels, seconds


def time_keras(ckpt, seconds) -> float:
    """Megapixels a second of the same photographs, decoded, through the model in this process."""
    import tensorflow as tf

    from srn.weights import load_model

    model = load_model(ckpt)
    restore = tf.function(
        lambda image: model.restore(image),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
    )
    images = [np.float32(draw(size, seed)[np.newaxis]) / 255 for seed, size in enumerate(MIXED)]
    for image in images:
        restore(image)
    pixels, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for image in images:
            restore(image)
            pixels += image.shape[1] * image.shape[2]
    return pixels / (time.perf_counter() - start) / 1e6


def draw(size, seed) -> np.ndarray:
    """A uint8 image [H, W, 3] with the spectrum of a photograph, more or less."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def encode(size, seed) -> bytes:
    """`draw` as a PNG file."""
    return cv2.imencode(".png", draw(size, seed))[1].tobytes()


def memory(pid) -> dict:
    """{name: MiB} of a process, zeros where there is none."""
    if pid is None:
        return {"VmRSS": 0.0, "VmHWM": 0.0}
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="localhost:8500")
    parser.add_argument("--model", default="srn")
    parser.add_argument("--pid", type=int, help="of the server's process on this machine, for its memory")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--no-sizes", dest="sizes", action="store_false", help="leave single photographs out")
    parser.add_argument("--ckpt", help="the weights that are served, to compare with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
