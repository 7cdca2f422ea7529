import cv2
import numpy as np
import pytest
from PIL import Image

from srn import images
from srn.errors import InputError, WorkError


def make_image(height=16, width=24, seed=0):
    return np.random.default_rng(seed).integers(0, 200, (height, width, 3)).astype(np.uint8)


def write_image(path, image):
    Image.fromarray(image).save(path)
    return path


def test_reading_gives_rgb_whatever_the_orientation_in_exif(tmp_path):
    image = make_image()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)

    np.testing.assert_array_equal(images.read_rgb(tmp_path / "turned.png"), image)


def test_reading_a_gray_image_gives_three_equal_channels(tmp_path):
    gray = make_image()[..., 0]

    image = images.read_rgb(write_image(tmp_path / "gray.png", gray))

    np.testing.assert_array_equal(image, np.stack([gray] * 3, axis=-1))


@pytest.mark.parametrize("fraction,reason", [(0, "cannot be decoded"), (0.5, "the file is truncated")])
def test_an_incomplete_image_is_an_error_that_names_the_file(tmp_path, fraction, reason):
    path = write_image(tmp_path / "cut.png", make_image())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])

    with pytest.raises(WorkError, match=rf"cut\.png: {reason}"):
        images.read_rgb(path)


def test_a_missing_image_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(WorkError, match=r"none\.png: cannot be read \(No such file"):
        images.read_rgb(tmp_path / "none.png")


def test_an_image_of_16_bits_is_an_error_that_names_the_file(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), make_image().astype(np.uint16) * 257)

    with pytest.raises(WorkError, match=r"deep\.png: is stored as uint16"):
        images.read_rgb(tmp_path / "deep.png")


def test_what_is_written_is_read_back(tmp_path):
    image = make_image()

    images.write_png(tmp_path / "seq/0001.a.png", image)

    np.testing.assert_array_equal(images.read_rgb(tmp_path / "seq/0001.a.png"), image)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}])
@pytest.mark.parametrize("size", [(48, 64), (37, 53)])
def test_the_graph_decodes_jpeg_to_the_same_pixels(tmp_path, size, options):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(cv2.GaussianBlur(noise, (0, 0), 2)).save(tmp_path / "a.jpg", **{"quality": 95, **options})

    decoded = images.decode_in_graph(str(tmp_path / "a.jpg")).numpy()

    np.testing.assert_array_equal(decoded, images.read_rgb(tmp_path / "a.jpg"))


@pytest.mark.parametrize("size", [(48, 64), (37, 53), (1, 1)])
def test_the_graph_decodes_a_gray_jpeg_to_the_same_pixels(tmp_path, size):
    noise = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")

    decoded = images.decode_in_graph(str(tmp_path / "a.jpg")).numpy()

    np.testing.assert_array_equal(decoded, images.read_rgb(tmp_path / "a.jpg"))
    np.testing.assert_array_equal(decoded[..., 0], decoded[..., 2])


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_in_colours_of_print_is_refused_since_decoders_differ(tmp_path, progressive):
    path = tmp_path / "print.jpg"
    Image.fromarray(make_image()).convert("CMYK").save(path, progressive=progressive)

    with pytest.raises(WorkError, match=r"print\.jpg: is stored as CMYK"):
        images.read_rgb(path)
    with pytest.raises(InputError, match=r"print\.jpg: is stored as CMYK"):
        images.size_of(path)


def test_the_first_of_two_views_of_an_mpo_is_read(tmp_path):
    views = [Image.fromarray(make_image(seed=seed)) for seed in (0, 1)]
    views[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=views[1:])

    image = images.read_rgb(tmp_path / "a.jpg")

    np.testing.assert_array_equal(image, images.decode_in_graph(str(tmp_path / "a.jpg")).numpy())
    assert images.size_of(tmp_path / "a.jpg") == image.shape[1::-1]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_no_damage_ends_in_anything_but_an_error_of_ours(tmp_path, suffix):
    generator = np.random.default_rng(0)
    whole = write_image(tmp_path / f"whole{suffix}", make_image()).read_bytes()
    path = tmp_path / f"damaged{suffix}"
    for _ in range(100):
        damaged = bytearray(whole)
        for position in generator.integers(0, len(whole), 4):
            damaged[position] = generator.integers(0, 256)
        path.write_bytes(damaged)

        for read in (images.read_rgb, images.size_of, images.require_whole):
            try:
                read(path)
            except (InputError, WorkError) as error:
                assert f"damaged{suffix}" in str(error)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_the_graph_decodes_png_to_the_same_pixels(tmp_path, mode):
    Image.fromarray(make_image()).convert(mode).save(tmp_path / "a.png")

    decoded = images.decode_in_graph(str(tmp_path / "a.png")).numpy()

    np.testing.assert_array_equal(decoded, images.read_rgb(tmp_path / "a.png"))


def test_a_photograph_is_read_and_measured_upright_on_request(tmp_path):
    image, exif = make_image(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)

    upright = images.read_rgb(tmp_path / "turned.png", upright=True)

    np.testing.assert_array_equal(upright, np.rot90(image, -1))
    assert images.size_of(tmp_path / "turned.png", upright=True) == upright.shape[1::-1] == (16, 24)
    assert images.size_of(tmp_path / "turned.png") == (24, 16)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_keeps_channels_and_depth(shape, dtype):
    image = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape).astype(dtype)

    decoded = cv2.imdecode(np.frombuffer(images.encode_png(image), np.uint8), cv2.IMREAD_UNCHANGED)

    swapped = decoded if decoded.ndim == 2 else decoded[..., [2, 1, 0, 3][: decoded.shape[2]]]
    np.testing.assert_array_equal(swapped, image)


def test_numbers_of_every_type_come_back_from_the_unit_range():
    for dtype in (np.uint8, np.uint16, np.float32):
        image = make_image().astype(dtype) / (200 if dtype == np.float32 else 1)
        image = image.astype(dtype)
        unit = images.to_unit_range(image)
        assert unit.dtype == np.float32 and unit.min() >= 0 and unit.max() <= 1
        np.testing.assert_array_equal(images.from_unit_range(unit, dtype), image)
    assert images.from_unit_range(np.float32([0.999]), np.uint8, truncate=True) == 254
