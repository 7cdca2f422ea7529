import io

import cv2
import numpy as np
import pytest
from PIL import Image

from srn.errors import WorkError
from srn.inference.image_files import Photograph, read_photograph, write_photograph

ORIENTATION, MAKER = 0x0112, 0x010F


def picture(mode="RGB", size=(6, 4)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def test_orientation_is_applied_and_taken_out_and_the_rest_kept(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = 6, "Camera"  # lying on its side: turn by 270 degrees
    picture().save(tmp_path / "in.png", exif=exif, icc_profile=b"profile")

    photograph = read_photograph(tmp_path / "in.png")
    write_photograph(tmp_path / "out.jpg", photograph)

    np.testing.assert_array_equal(photograph.pixels, np.rot90(np.asarray(picture()), -1))
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.size == (4, 6)
        assert written.getexif()[MAKER] == "Camera"
        assert written.getexif().get(ORIENTATION, 1) == 1
        assert written.info["icc_profile"] == b"profile"


@pytest.mark.parametrize(
    "mode, shape", [("L", (4, 6)), ("RGB", (4, 6, 3)), ("RGBA", (4, 6, 4)), ("P", (4, 6, 3))]
)
def test_modes_keep_their_channels(tmp_path, mode, shape):
    picture(mode).save(tmp_path / "image.png")

    assert read_photograph(tmp_path / "image.png").pixels.shape == shape


def test_a_transparent_palette_keeps_its_alpha(tmp_path):
    picture("P").save(tmp_path / "image.png", transparency=0)

    assert read_photograph(tmp_path / "image.png").pixels.shape == (4, 6, 4)


def test_what_would_lose_something_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full([4, 4, 3], 300, np.uint16))
    cv2.imwrite(str(tmp_path / "deep.tif"), np.full([4, 4, 3], 300, np.uint16))
    frames = [picture("P"), picture("P").rotate(180)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])

    for name, part in (("deep.png", "8 bits"), ("deep.tif", ""), ("moving.gif", "holds 2 pictures")):
        with pytest.raises(WorkError, match=name) as error:
            read_photograph(tmp_path / name)
        assert part in str(error.value)


def test_a_profile_of_other_colours_is_not_kept(tmp_path):
    picture("CMYK").save(tmp_path / "print.jpg", icc_profile=b"profile of inks")
    picture("RGB").save(tmp_path / "screen.jpg", icc_profile=b"profile of lights")

    assert read_photograph(tmp_path / "print.jpg").icc_profile is None
    assert read_photograph(tmp_path / "screen.jpg").icc_profile == b"profile of lights"


def test_png_is_written_without_loss(tmp_path):
    pixels = np.asarray(picture("RGBA"))

    write_photograph(tmp_path / "new/folder/image.png", Photograph(pixels))

    np.testing.assert_array_equal(read_photograph(tmp_path / "new/folder/image.png").pixels, pixels)


def test_alpha_is_left_out_of_a_jpeg(tmp_path):
    write_photograph(tmp_path / "image.jpg", Photograph(np.asarray(picture("RGBA"))))

    assert read_photograph(tmp_path / "image.jpg").pixels.shape == (4, 6, 3)


def test_what_cannot_be_read_or_written_names_the_file(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    buffer = io.BytesIO()
    picture(size=(60, 40)).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:300])
    Image.new("I;16", (4, 4)).save(tmp_path / "deep.png")

    for name in ("text.png", "cut.png", "deep.png", "missing.png"):
        with pytest.raises(WorkError, match=name):
            read_photograph(tmp_path / name)
    with pytest.raises(WorkError, match=r"no image format has the suffix '\.xyz'"):
        write_photograph(tmp_path / "image.xyz", Photograph(np.zeros([2, 2, 3], np.uint8)))
