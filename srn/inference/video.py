"""Videos, frame by frame: sound, frame rate and times are kept, rotation is applied; a stopped run resumes.

Restored frames are kept as PNG files in a folder beside the result until all of them are there; then they
are encoded, beside the sound as it was, and the folder is removed. Needs PyAV, the extra `video`.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from srn.errors import WorkError, first_line
from srn.files import write_atomically
from srn.images import read_rgb, write_png
from srn.inference.formats import VIDEO_SUFFIXES
from srn.inference.planning import Job
from srn.inference.restoring import Outcome, Settings, mix

_CODECS = {".webm": "libvpx-vp9"}
_USUAL_CODEC = "libx264"
# Constant quality, at which no loss is seen (x264's documentation: 17 or 18); VP9 counts otherwise.
_OPTIONS = {"libx264": {"crf": "16", "preset": "medium"}, "libvpx-vp9": {"crf": "20", "b:v": "0"}}
_SETTINGS = "settings.json"
_NEEDS_AV = "a video needs the package av: pip install 'srn-deblurnet[video]'"


def is_video(path: Path) -> bool:
    """Whether a file is a video by its name."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def restore_video(
    restore: Callable[[np.ndarray], np.ndarray],
    job: Job,
    settings: Settings,
    identity: dict[str, Any],
    hidden: bool | None = None,
) -> Outcome:
    """Restores all frames of a video; what was restored before a stop is not done again.

    Args:
      restore: uint8 [H, W, 3] -> the same.
      job: source and target.
      settings: `strength` and `keep_dates` count.
      identity: what the frames depend on (weights and the like): frames of another run are not taken over.
      hidden: whether no progress is shown; None: shown on a terminal.

    Returns:
      What became of it; it raises nothing but `KeyboardInterrupt`.
    """
    start = time.perf_counter()
    try:
        frames, megapixels, notes = _restore_video(restore, job, settings, identity, hidden)
    except ImportError:
        return Outcome(job, error=f"{job.source}: {_NEEDS_AV}")
    except WorkError as error:
        return Outcome(job, error=str(error))
    except Exception as error:  # whatever is wrong with one video, the others are still worth it
        reason = getattr(error, "strerror", None) or first_line(error)  # PyAV's are OSErrors
        return Outcome(job, error=f"{job.source}: cannot be restored ({reason})")
    seconds = time.perf_counter() - start
    return Outcome(job, notes=tuple(notes), megapixels=megapixels * frames, seconds=seconds)


def _restore_video(restore, job, settings, identity, hidden):
    """(number of frames, megapixels of one, notes)."""
    folder = job.target.with_name(f".{job.target.name}.frames")
    _begin(folder, {**identity, "strength": settings.strength, "source": _identity_of(job.source)})
    numbers, pixels = 0, 0
    with tqdm(unit="frame", leave=False, disable=hidden, desc=job.source.name) as bar:
        for number, frame in enumerate(_upright_frames(job.source)):
            path = folder / f"{number:08d}.png"
            numbers, pixels = number + 1, frame.shape[0] * frame.shape[1]
            if not path.exists():
                restored = restore(frame)
                write_png(path, mix(frame, restored, settings.strength))
            bar.update()
    if numbers == 0:
        raise WorkError(f"{job.source}: holds no frames")
    notes = _encode(job, folder)
    if settings.keep_dates:
        times = os.stat(job.source)
        os.utime(job.target, ns=(times.st_atime_ns, times.st_mtime_ns))
    shutil.rmtree(folder)
    return numbers, pixels / 1e6, notes


def _begin(folder: Path, identity: dict[str, Any]) -> None:
    """Empties `folder` unless its frames are of the same video, restored by the same means."""
    described = json.dumps(identity, sort_keys=True).encode()
    path = folder / _SETTINGS
    if not path.exists() or path.read_bytes() != described:
        shutil.rmtree(folder, ignore_errors=True)
        write_atomically(path, described)


def _identity_of(source: Path) -> list:
    state = os.stat(source)
    return [state.st_size, state.st_mtime_ns]


def _upright_frames(source: Path) -> Iterator[np.ndarray]:
    """Yields uint8 [H, W, 3], turned as the video says."""
    for frame in _frames(source):
        yield _turn(frame.to_ndarray(format="rgb24"), frame)


def _frames(source):
    import av

    with av.open(str(source)) as container:
        if not container.streams.video:
            raise WorkError(f"{source}: holds no video")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from container.decode(stream)


def _turn(pixels, frame):
    """Counter-clockwise quarters, as the display matrix has them."""
    quarters = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters))


def _encode(job: Job, folder: Path) -> list[str]:
    """Writes the restored frames with the times of the original's, beside its sound; notes on the rest."""
    import av

    temporary = folder / f"result{job.target.suffix}"
    codec = _CODECS.get(job.target.suffix.lower(), _USUAL_CODEC)
    with av.open(str(job.source)) as source, av.open(str(temporary), "w") as target:
        video = source.streams.video[0]
        target.metadata.update(source.metadata)
        # First, as players expect it.
        output: Any = target.add_stream(codec, rate=video.average_rate or 30, options=dict(_OPTIONS[codec]))
        sounds = {stream.index: target.add_stream_from_template(stream) for stream in source.streams.audio}
        first = read_rgb(folder / f"{0:08d}.png")
        output.height, output.width = first.shape[:2]
        # Half the colours only where both sides are even.
        output.pix_fmt = "yuv420p" if first.shape[0] % 2 == first.shape[1] % 2 == 0 else "yuv444p"
        _describe_colours(output.codec_context, video.codec_context)
        output.codec_context.time_base = video.time_base
        number = 0
        for packet in source.demux([video, *source.streams.audio]):
            if packet.stream.index in sounds:
                if packet.dts is not None:
                    packet.stream = sounds[packet.stream.index]
                    target.mux(packet)
                continue
            for frame in packet.decode():
                pixels = read_rgb(folder / f"{number:08d}.png")
                target.mux(output.encode(_frame_of(pixels, frame, output.pix_fmt)))
                number += 1
        target.mux(output.encode())
        kept = {video.index, *sounds}
        lost = [stream.type for stream in source.streams if stream.index not in kept]
    os.replace(temporary, job.target)
    return [f"its other streams are left out: {', '.join(lost)}"] if lost else []


def _frame_of(pixels, original, pix_fmt):
    import av

    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    # The matrix that took the original's colours to RGB takes them back.
    frame = frame.reformat(
        format=pix_fmt, dst_colorspace=original.colorspace, dst_color_range=original.color_range
    )
    frame.pts, frame.time_base = original.pts, original.time_base
    return frame


def _describe_colours(output, original):
    for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
        setattr(output, name, getattr(original, name))
