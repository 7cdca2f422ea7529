import cv2
import numpy as np
import pytest
import tensorflow as tf

from srn.data.mixture import Part, open_sources
from srn.data.pairs import find_pairs
from srn.data.sources import FrameSource, PairSource, PhotoSource, downscale_image, downscale_images
from srn.synthesis.settings import GOPRO


def texture(height, width, seed=0):
    """Smooth enough for optical flow: uint8 [height, width, 3]."""
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))


def write(file, picture):
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), picture[..., ::-1])


@pytest.fixture
def moving(tmp_path):
    """A camera that is panned by 8 pixels a frame."""
    scene = texture(96, 256)
    for number in range(8):
        write(tmp_path / "frames" / f"{number}.png", scene[:, 8 * number : 8 * number + 144])
    return tmp_path / "frames", scene


def crop_of(source, sample=0, part=0, size=32):
    read = source.reader(size, 5)
    (crop,) = tf.data.Dataset.from_tensors((np.int64(sample), np.int64(part))).map(read)
    return crop.numpy()


def test_a_reduced_picture_is_one_of_means():
    picture = np.zeros((5, 4, 3), np.uint8)
    picture[:2, :2] = [[[0], [4]], [[8], [12]]]
    picture[4] = 255

    reduced = downscale_image(picture, 2)

    assert reduced.shape == (2, 2, 3) and reduced[0, 0, 0] == 6 and reduced.sum() == 18


def test_graphs_reduce_alike():
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)

    np.testing.assert_array_equal(
        downscale_images(tf.constant(picture[np.newaxis]), 2)[0], downscale_image(picture, 2)
    )
    assert downscale_images(picture, 1) is picture and downscale_image(picture, 1) is picture


def test_reduced_pairs_are_cut_larger(pairs_dir):
    pairs = find_pairs(pairs_dir)

    whole, reduced = (crop_of(PairSource(pairs, downscale=factor), size=32 // factor) for factor in (1, 2))

    np.testing.assert_array_equal(reduced, downscale_images(tf.constant(whole), 2))


def test_reduced_photographs_are_reduced_before_they_are_shaken(tmp_path):
    write(tmp_path / "photo.png", texture(96, 96))

    blurry, sharp = crop_of(PhotoSource(tmp_path, GOPRO, downscale=2), size=48)

    np.testing.assert_array_equal(sharp, downscale_image(texture(96, 96), 2))
    assert np.abs(np.float32(blurry) - sharp).mean() > 0.5


def test_reduced_frames_are_averaged_first(moving):
    folder, _ = moving
    whole, reduced = (
        crop_of(FrameSource(folder, min_frames=3, max_frames=3, downscale=factor), size=64 // factor)
        for factor in (1, 2)
    )

    np.testing.assert_array_equal(reduced, np.stack([downscale_image(side, 2) for side in whole]))


@pytest.mark.parametrize("sample", range(4))
def test_interpolated_frames_blur_as_the_camera_would_have(moving, sample):
    folder, scene = moving
    source = FrameSource(folder, min_frames=15, max_frames=15, between=7, linear_light=0)

    blurry, sharp = crop_of(source, sample, part=1)

    # A pixel between any two of the 15 frames; the middle one is frame 2, whose left edge is column 16.
    found = [
        (y, x) for y in range(65) for x in range(225) if np.array_equal(scene[y : y + 32, x : x + 32], sharp)
    ]
    ((row, column),) = found
    true = np.mean([scene[row : row + 32, column + dx : column + dx + 32] for dx in range(-7, 8)], axis=0)
    away_from_edges = (slice(None), slice(max(24 - column, 0), 32 - max(column - 120, 0)))
    error, change = (
        np.abs(true - picture)[away_from_edges].mean() for picture in (blurry, np.float32(sharp))
    )
    assert error < 0.1 * change


def test_a_mixture_takes_settings_and_factor(moving, tmp_path):
    folder, scene = moving
    write(tmp_path / "photos" / "scene.png", scene)
    parts = [
        Part("photos", str(tmp_path / "photos")),
        Part("frames", str(folder)),
        Part("video", str(folder)),
    ]
    with pytest.raises(Exception, match="fewer than the 13"):
        open_sources(parts, 32, settings=GOPRO, downscale=2)

    photos, video = open_sources([parts[0], parts[2]], 32, settings=GOPRO, downscale=2)

    assert crop_of(photos).shape == crop_of(video).shape == (2, 32, 32, 3)
    assert len(video) == 4  # windows of five frames, between which seven are interpolated
