"""The plain protocol with its options, against numbers worked out here and by scikit-image."""

import sys
import types

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from srn import metrics
from srn.errors import InputError
from srn.evaluation import perceptual
from srn.evaluation.kohler import KOHLER
from srn.evaluation.protocols import PAIRS, Protocol


def images(dtype=np.uint8, seed=0):
    generator = np.random.default_rng(seed)
    peak = np.iinfo(dtype).max
    sharp = generator.integers(0, peak, (40, 48, 3), endpoint=True).astype(dtype)
    noise = generator.normal(0, peak / 20, sharp.shape)
    return np.clip(sharp + noise, 0, peak).astype(dtype), sharp


def test_without_options_numbers_and_words_are_as_ever():
    restored, sharp = images()

    assert PAIRS.score(restored, sharp) == {
        "psnr": metrics.psnr(restored, sharp),
        "ssim_matlab": metrics.ssim_matlab(restored, sharp),
        "ssim_channel": metrics.ssim_channel(restored, sharp),
    }
    assert PAIRS.definitions == metrics.DEFINITIONS


def test_sixteen_bits_have_their_own_peak():
    restored, sharp = images(np.uint16)
    protocol = Protocol(bits=16)

    values = protocol.score(restored, sharp)

    error = np.mean((restored.astype(float) - sharp.astype(float)) ** 2)
    assert values["psnr"] == pytest.approx(10 * np.log10(65535**2 / error), abs=1e-9)
    expected = structural_similarity(
        *(restored, sharp),
        data_range=65535,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert values["ssim_channel"] == pytest.approx(expected, abs=1e-7)
    assert protocol.definitions["psnr"] == "dB, 16-bit RGB, peak 65535, no border cropped"


def test_a_cropped_border_is_left_out_of_all_numbers():
    restored, sharp = images()
    protocol = Protocol(crop_border=4)

    assert protocol.score(restored, sharp) == PAIRS.score(restored[4:-4, 4:-4], sharp[4:-4, 4:-4])
    assert "no border" not in protocol.definitions["psnr"]
    assert "a border of 4 is cropped (BasicSR" in protocol.definitions["ssim_matlab"]
    assert protocol.min_size == 19
    with pytest.raises(InputError, match="crop_border=-1"):
        Protocol(crop_border=-1)


def test_luma_is_that_of_basicsr():
    """BasicSR's `to_y_channel`, written out: OpenCV's BGR in 0..1, weights of BT.601, back to 0..255."""
    restored, sharp = images()
    luma = [np.dot(image / 255, [65.481, 128.553, 24.966]) + 16 for image in (restored, sharp)]

    values = Protocol(luma=True).score(restored, sharp)

    error = np.mean((luma[0] - luma[1]) ** 2)
    assert values["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-9)
    assert values["ssim_channel"] == pytest.approx(metrics.ssim_channel(*luma), abs=1e-12)
    assert "BasicSR's test_y_channel" in Protocol(luma=True).definitions["psnr"]
    white = np.full((16, 16, 3), 65535, np.uint16)
    assert Protocol(16, luma=True).compare(white, white).sharp[0, 0] == pytest.approx(235 / 255 * 65535)


def test_options_change_the_settings_of_a_journal():
    settings = [Protocol(*options).settings for options in ((), (16,), (8, 4), (8, 0, True))]

    assert all(one != other for index, one in enumerate(settings) for other in settings[:index])
    assert PAIRS.settings == Protocol().settings != KOHLER.settings


@pytest.fixture
def lpips(monkeypatch):
    """Stands in for the packages lpips and torch: the mean distance of what it is given."""

    class Network:
        def __init__(self, net, verbose):
            assert (net, verbose) == ("alex", False)

        def eval(self):
            return self

        def __call__(self, restored, sharp):
            assert restored.shape == (1, 3, 40, 48) and restored.dtype == np.float32
            assert restored.min() >= -1 and restored.max() <= 1
            return np.abs(restored - sharp).mean()

    class NoGradient:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=Network))
    torch = types.SimpleNamespace(from_numpy=lambda array: array, no_grad=NoGradient)
    monkeypatch.setitem(sys.modules, "torch", torch)
    perceptual.open_lpips.cache_clear()
    yield
    perceptual.open_lpips.cache_clear()


def test_lpips_is_a_column_where_its_package_is(lpips):
    restored, sharp = images()
    protocol = Protocol(lpips=True)

    value = protocol.score(restored, sharp)["lpips"]

    assert value == pytest.approx(2 * np.mean(np.abs(restored - sharp.astype(float))) / 255, abs=1e-5)
    assert "lower is better" in protocol.definitions["lpips"]
    with pytest.raises(InputError, match="leave `luma` out"):
        Protocol(luma=True, lpips=True)


def test_without_its_package_lpips_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    perceptual.open_lpips.cache_clear()

    with pytest.raises(InputError, match="pip install lpips"):
        Protocol(lpips=True)
