import cv2
import numpy as np
import pytest

from srn.errors import InputError
from srn.synthesis import frames


def picture(seed=0, height=24, width=32):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def numbered(count):
    """Frames of 1x1 that hold their own place."""
    return [np.full((1, 1, 3), place, np.uint8) for place in range(count)]


def write_frames(folder, count, pattern="{}.png", height=24, width=32):
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(count):
        cv2.imwrite(str(folder / pattern.format(place)), picture(place, height, width)[..., ::-1])
    return folder


def write_video(path, count, height=48, width=64):
    """Frames of one grey level each: 20, 30, 40, ..."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (width, height))
    for place in range(count):
        writer.write(np.full((height, width, 3), 20 + 10 * place, np.uint8))
    writer.release()
    return path


def test_the_mean_of_stored_values_by_hand():
    three = np.array([10, 20, 61], np.uint8).reshape(3, 1, 1, 1)

    np.testing.assert_array_equal(frames.average_window(three), [[[30]]])  # 91 / 3 = 30.33


def test_the_mean_of_light_by_hand():
    three = np.array([0, 255, 255], np.uint8).reshape(3, 1, 1, 1)

    # (2 / 3) ** (1 / 2.2) = 0.83168, of 255: 212.08; the mean of stored values is 170
    np.testing.assert_array_equal(frames.average_window(three, gamma=2.2), [[[212]]])


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_the_mean_of_one_frame_many_times_is_that_frame(gamma):
    every_value = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)

    mean = frames.average_window(np.repeat(every_value, 13, axis=0), gamma)

    np.testing.assert_array_equal(mean, every_value[0])


def test_windows_begin_at_the_stride_and_end_with_the_frames():
    cut = [(first, window[:, 0, 0, 0].tolist()) for first, window in frames.windows(numbered(10), [3] * 9, 3)]

    assert cut == [(0, [0, 1, 2]), (3, [3, 4, 5]), (6, [6, 7, 8])]


def test_windows_may_overlap_leave_gaps_and_differ_in_length():
    overlapping = [window[:, 0, 0, 0].tolist() for _, window in frames.windows(numbered(6), [3, 5, 3], 1)]
    apart = [window[:, 0, 0, 0].tolist() for _, window in frames.windows(numbered(9), [3] * 9, 5)]

    assert overlapping == [[0, 1, 2], [1, 2, 3, 4, 5], [2, 3, 4]]
    assert apart == [[0, 1, 2], [5, 6, 7]]


def test_the_truth_is_the_middle_frame_as_it_was(tmp_path):
    source = frames.FrameFolder(write_frames(tmp_path, 30))
    settings = frames.WindowSettings(seed=3)

    made = [
        (exposure, *frames.make_pair(exposure, settings)) for exposure in frames.exposures(source, settings)
    ]

    assert len(made) == 2  # windows begin at 0 and 13; the one from 26 on would leave the folder
    for exposure, blurry, sharp in made:
        first = exposure.middle - exposure.length // 2
        stack = np.stack([picture(place) for place in range(first, first + exposure.length)])
        np.testing.assert_array_equal(sharp, picture(exposure.middle))
        np.testing.assert_array_equal(blurry, np.rint(stack.mean(axis=0)))


def test_lengths_are_odd_within_the_range_and_a_function_of_the_seed():
    lengths = [frames.WindowSettings(seed=1).length_of(number) for number in range(200)]

    assert set(lengths) == {7, 9, 11, 13}
    assert lengths == [frames.WindowSettings(seed=1).length_of(number) for number in range(200)]
    assert lengths != [frames.WindowSettings(seed=2).length_of(number) for number in range(200)]
    assert frames.WindowSettings(8, 10).lengths == [9]


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"min_frames": 8, "max_frames": 8}, "a window of 8-8 frames: an odd number"),
        ({"min_frames": 1}, "a window of 1-13 frames"),
        ({"min_frames": 15}, "a window of 15-13 frames"),
        ({"gamma": 0}, "gamma must be above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        frames.WindowSettings(**wrong)


def test_interpolation_of_a_shifted_picture_lands_in_between():
    wide = cv2.GaussianBlur(picture(0, 96, 136), (0, 0), 2)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    first, second = wide[:, 8:], wide[:, :-8]  # the scene moves 8 pixels to the right

    made = frames.interpolate(first, second, between=3)

    assert made.shape == (3, 96, 128, 3) and made.dtype == np.uint8
    for place, shift in enumerate((2, 4, 6)):
        truth = wide[:, 8 - shift : 136 - shift]
        error = np.abs(made[place].astype(int) - truth)[16:-16, 16:-16].mean()
        standing_still = np.abs(first.astype(int) - truth)[16:-16, 16:-16].mean()
        assert error < 2 < 10 < standing_still


def test_interpolation_between_equal_frames_is_that_frame():
    np.testing.assert_array_equal(frames.interpolate(picture(), picture(), 2), np.stack([picture()] * 2))


@pytest.mark.parametrize("length,between,needed", [(7, 0, 7), (13, 0, 13), (7, 7, 3), (17, 7, 3), (19, 7, 5)])
def test_made_frames_count_and_both_sides_are_rounded_up(length, between, needed):
    assert frames.frames_needed(length, between) == needed


def test_with_made_frames_the_truth_is_still_one_that_the_camera_took():
    ramp = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (80, 100, 140)])
    exposure = frames.Exposure(middle=1, frames=ramp, length=7)

    blurry, sharp = frames.make_pair(exposure, frames.WindowSettings(between=3))

    np.testing.assert_array_equal(sharp, ramp[1])
    np.testing.assert_array_equal(blurry, 104)  # of 85, 90, 95, 100, 110, 120, 130: 104.29


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    source = frames.FrameFolder(write_frames(tmp_path, 12, "frame_{}.png"))

    assert len(source) == 12
    for place, frame in enumerate(source):
        np.testing.assert_array_equal(frame, picture(place))


def test_a_video_is_read_frame_by_frame_and_again(tmp_path):
    source = frames.open_frames(write_video(tmp_path / "walk.avi", 9))

    for _ in range(2):
        levels = [frame.mean() for frame in source]
        np.testing.assert_allclose(levels, np.arange(20, 110, 10), atol=2)
    assert source.name == "walk"
    assert len(source) == 9


def test_a_video_becomes_pairs(tmp_path):
    source, settings = frames.open_frames(write_video(tmp_path / "walk.avi", 9)), frames.WindowSettings(7, 7)

    (exposure,) = frames.exposures(source, settings)
    blurry, sharp = frames.make_pair(exposure, settings)

    assert exposure.middle == 3
    np.testing.assert_allclose(sharp, 50, atol=2)
    np.testing.assert_allclose(blurry, 50, atol=2)


def line_of(call, *arguments):
    with pytest.raises(InputError) as error:
        call(*arguments)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_too_few_frames_are_one_line(tmp_path):
    source = frames.FrameFolder(write_frames(tmp_path / "few", 5))

    message = line_of(list, frames.exposures(source, frames.WindowSettings(7, 7)))

    assert message == "few: has fewer frames than the 7 that its first window needs"


def test_frames_of_different_sizes_are_one_line(tmp_path):
    write_frames(tmp_path, 3)
    write_frames(tmp_path, 1, "7.png", height=20)

    assert line_of(frames.FrameFolder, tmp_path).endswith(
        "7.png: 32x20, but 0.png is 32x24; all frames must have the same size"
    )


def test_sources_that_cannot_be_used_are_one_line_each(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "empty").mkdir()
    write_frames(tmp_path / "torn", 2)
    (tmp_path / "torn" / "2.png").write_bytes(b"no image")

    assert "broken.mp4: cannot be opened as a video" in line_of(frames.open_frames, tmp_path / "broken.mp4")
    assert "there is no such folder or video" in line_of(frames.open_frames, tmp_path / "nothing")
    assert "empty: no frame" in line_of(frames.open_frames, tmp_path / "empty")
    assert "2.png: not an image" in line_of(frames.open_frames, tmp_path / "torn")
