from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import srn
from srn import weights
from srn.config import ModelConfig
from srn.errors import InputError

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.npz"
    tf.keras.utils.set_random_seed(0)
    weights.save_npz(srn.build_model(SMALL), path)
    return path


@pytest.fixture(scope="module")
def restore(ckpt):
    return srn.Deblurrer(ckpt)


def colours(*shape, dtype=np.float32):
    values = np.random.default_rng(0).random(shape, np.float32)
    return (
        values.astype(dtype)
        if np.issubdtype(dtype, np.floating)
        else (values * np.iinfo(dtype).max).astype(dtype)
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 1), (9, 14, 3), (9, 14, 4), (1, 1), (1, 33, 3)])
def test_what_comes_back_is_of_the_kind_that_went_in(restore, shape, dtype):
    restored = restore(colours(*shape, dtype=dtype))

    assert restored.shape == shape
    assert restored.dtype == dtype


def test_eight_bits_are_the_model_clipped_and_rounded(restore):
    image = colours(20, 30, 3, dtype=np.uint8)

    expected = np.asarray(restore.model(image[None].astype(np.float32) / 255)[0][0])

    np.testing.assert_array_equal(restore(image), np.rint(np.clip(expected, 0, 1).astype(np.float64) * 255))


def test_alpha_passes_through_and_colours_do_not_see_it(restore):
    image = colours(16, 16, 4, dtype=np.uint8)

    restored = restore(image)

    np.testing.assert_array_equal(restored[..., 3], image[..., 3])
    np.testing.assert_array_equal(restored[..., :3], restore(image[..., :3]))


def test_gray_is_the_mean_of_three_equal_channels_restored(restore):
    image = colours(16, 16)

    np.testing.assert_allclose(restore(image), restore(np.stack([image] * 3, -1)).mean(-1), atol=1e-6)


def test_a_one_channel_model_restores_each_colour_by_itself():
    model = srn.build_model(SMALL.replace(channels=1))
    images = tf.constant(colours(2, 12, 20, 3))

    restored = model.restore(images)

    for channel in range(3):
        plane = model(images[..., channel : channel + 1])[0][..., 0]
        np.testing.assert_allclose(restored[..., channel], plane, atol=1e-6)


@pytest.mark.parametrize(
    "image, part",
    [
        (np.zeros([4, 4, 3], np.int32), "not int32"),
        (np.zeros([4, 4, 2], np.uint8), "not [4, 4, 2]"),
        (np.zeros([1, 4, 4, 3], np.uint8), "not [1, 4, 4, 3]"),
        (np.zeros([0, 4, 3], np.uint8), "no pixels"),
        (np.full([4, 4, 3], 255.0), "from 255 to 255; divide"),
        (np.full([4, 4], -0.5, np.float32), "in [0, 1]"),
        (np.full([4, 4], np.nan, np.float32), "in [0, 1]"),
    ],
)
def test_what_is_no_image_is_refused(restore, image, part):
    with pytest.raises(ValueError) as error:
        restore(image)

    assert part in str(error.value)


def test_the_model_may_be_insisted_on(ckpt):
    with pytest.raises(InputError, match="no weights of the model 'srn'"):
        srn.Deblurrer(ckpt, model="srn")


def test_a_network_that_gives_no_numbers_is_an_error_and_not_a_black_image(ckpt):
    restore = srn.Deblurrer(ckpt)
    bias = restore.model.scale_networks[0].out_block.convolution.bias
    bias.assign(np.full(bias.shape, np.nan, np.float32))

    with pytest.raises(srn.WorkError, match="not finite"):
        restore(colours(16, 16, 3, dtype=np.uint8))


def test_truncation_cuts_off_what_rounding_rounds(ckpt, restore):
    image = colours(20, 30, 3, dtype=np.uint8)

    truncated = srn.Deblurrer(ckpt, truncate=True)(image)

    values = np.clip(np.asarray(restore.model(image[None].astype(np.float32) / 255)[0][0]), 0, 1)
    np.testing.assert_array_equal(truncated, np.floor(values.astype(np.float64) * 255))
    assert (restore(image) > truncated).any()


def test_tiles_of_a_large_image_give_nearly_the_whole(ckpt, restore):
    image = colours(150, 400, 3)
    done = []

    restored = srn.Deblurrer(ckpt, tile=64)(image, on_tile=lambda: done.append(1))

    np.testing.assert_allclose(restored, restore(image), atol=0.01)
    np.testing.assert_array_equal(restore(image, tile=64), restored)
    assert len(done) == 3


def test_a_self_ensemble_of_a_mirrored_image_is_the_mirrored_self_ensemble(ckpt, restore):
    image = colours(32, 48, 3)
    ensemble = srn.Deblurrer(ckpt, self_ensemble=True)

    np.testing.assert_allclose(ensemble(image[:, ::-1]), ensemble(image)[:, ::-1], atol=1e-5)
    assert np.abs(ensemble(image) - restore(image)).max() > 1e-4


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_pil_image_comes_back_as_one_of_its_mode(restore, mode):
    image = Image.fromarray(colours(12, 18, 3, dtype=np.uint8)).convert(mode)

    restored = restore(image)

    assert restored.mode == mode and restored.size == image.size
    if mode == "RGB":
        np.testing.assert_array_equal(np.asarray(restored), restore(np.asarray(image)))
    if mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(restored.getchannel("A"), image.getchannel("A"))


def test_a_path_stands_for_the_upright_pixels_of_its_file(restore, tmp_path):
    image, exif = colours(12, 18, 3, dtype=np.uint8), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)

    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_array_equal(restore(path), restore(np.rot90(image, -1)))
    with pytest.raises(srn.WorkError, match=r"none\.png"):
        restore(tmp_path / "none.png")


def test_several_threads_may_call_at_a_time(restore):
    images = [colours(16 + 4 * number, 24, 3, dtype=np.uint8) for number in range(8)]

    with ThreadPoolExecutor(4) as pool:
        restored = list(pool.map(restore, images))

    for image, result in zip(images, restored):
        np.testing.assert_array_equal(result, restore(image))
