import struct

import numpy as np
import pytest
from drawing import scene

av = pytest.importorskip("av")

from srn.inference.planning import Job  # noqa: E402
from srn.inference.restoring import Settings  # noqa: E402
from srn.inference.video import restore_video  # noqa: E402

RATE, FRAMES = 25, 10


def write_clip(path, height=48, width=64):
    """Ten frames, each brighter than the one before, with a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "1"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=44100, layout="mono")
        for number in range(FRAMES):
            pixels = (scene(height, width) // 2 + 10 * number).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        samples = (3000 * np.sin(np.arange(44100 * FRAMES // RATE) / 20)).astype(np.int16)[np.newaxis]
        for start in range(0, samples.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(samples[:, start : start + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 44100, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def frames_of(path):
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def sound_of(path):
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0))


def restore(job, function=lambda pixels: pixels, **identity):
    return restore_video(function, job, Settings(), identity, hidden=True)


def test_frames_times_and_sound_come_back(tmp_path):
    job = Job(write_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4")

    outcome = restore(job, lambda pixels: pixels + 20)

    assert outcome.error is None and outcome.notes == ()
    before, after = frames_of(job.source), frames_of(job.target)
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before])
    assert len(after) == FRAMES
    for (_, old), (_, new) in zip(before, after):
        assert new.shape == old.shape
        assert np.abs(new.astype(int) - old - 20).mean() < 2
    assert sound_of(job.target) == sound_of(job.source) != b""
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_stopped_run_resumes_where_it_stopped(tmp_path):
    job, seen = Job(write_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4"), []

    def stop_at_the_fifth(pixels):
        seen.append(pixels)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return pixels

    with pytest.raises(KeyboardInterrupt):
        restore(job, stop_at_the_fifth)
    assert not job.target.exists()
    seen.clear()

    assert restore(job, lambda pixels: seen.append(0) or pixels).error is None
    assert len(seen) == FRAMES - 4
    assert len(frames_of(job.target)) == FRAMES


def test_frames_of_other_weights_are_not_taken_over(tmp_path):
    job = Job(write_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4")

    def fail(pixels):
        raise ValueError("stopped")

    assert "stopped" in restore(job, fail, ckpt="one").error
    assert restore(job, ckpt="two").error is None


def test_a_clip_of_a_phone_held_upright_is_turned(tmp_path):
    source = write_clip(tmp_path / "plain.mp4")
    one = 1 << 16
    identity = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    clockwise = struct.pack(">9i", 0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    data = source.read_bytes()
    start = data.index(identity, data.index(b"tkhd"))  # of the first track, the pictures
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(data[:start] + clockwise + data[start + len(identity) :])
    job = Job(turned, tmp_path / "b.mp4")

    assert restore(job).error is None

    new, old = frames_of(job.target)[0][1], frames_of(source)[0][1]
    assert new.shape == (64, 48, 3)
    assert np.abs(new.astype(int) - np.rot90(old, -1)).mean() < 2


def test_odd_sizes_and_other_containers(tmp_path):
    for suffix in (".mov", ".mkv"):
        job = Job(write_clip(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}")
        assert restore(job, lambda pixels: pixels[:-1, :-1]).error is None
        assert frames_of(job.target)[0][1].shape == (47, 63, 3)


def test_what_is_no_video_is_a_line(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")

    outcome = restore(Job(tmp_path / "a.mp4", tmp_path / "b.mp4"))

    assert "a.mp4: cannot be restored" in outcome.error
