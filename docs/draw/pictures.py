"""Makes the pictures of the documentation; `make pictures` runs it.

    python docs/draw/pictures.py [--demo=demo] [--pairs=FOLDER] [--photographs=FOLDER] [--frames=FOLDER]
                                 [--sharp=FOLDER] [--ablation=FOLDER] [--report=FOLDER] [--run=FOLDER]

A picture is made anew where all that it needs is given; of the others a line says what is missing. What the
architecture needs is in the repository. Details are cut where they show something; their places stand below.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import architecture
import numpy as np
import progress
from PIL import Image, ImageDraw, ImageFont

import srn
from srn.command import quiet_tensorflow
from srn.data.sources import downscale_image
from srn.images import read_rgb
from srn.training.log import FILE, read_log

DOCS = Path(__file__).resolve().parents[1]
JPEG_QUALITY = 90
GAP = 6  # white, between the parts of a picture
# (file, (left, top) of details of equal size); all photographs are of 1280x720.
GALLERY = (
    ("srn_01.png", ((400, 100), (700, 330))),
    ("idr_taman.jpg", ((650, 360), (240, 330))),
)
GALLERY_WIDTH, GALLERY_DETAIL = 466, (230, 170)
TITLE_HEIGHT = 30
RESULTS = (
    ("GOPR0384_11_00_000013", 500, 300),
    ("GOPR0385_11_01_003100", 500, 300),
    ("GOPR0854_11_00_000001", 400, 300),
    ("GOPR0385_11_01_003014", 500, 300),
)
RESULTS_SIZE = (330, 220)
SCALES = {"1 scale": "scales_1", "2 scales": "scales_2", "3 scales": "sr_edrb3"}
# (file, (left, top) of the detail): the largest gain on the test pairs, and none.
SCALES_DETAILS = (("GOPR0384_11_05_004087.png", (240, 60)), ("GOPR0854_11_00_000001.png", (300, 160)))
SCALES_SIZE, SCALES_WIDTH = (100, 100), 250
MIDDLE_FRAME, FRAMES_DETAIL = "0256", (901, 0, 378, 380)
SHAKE_SEED = 12  # a stroke of middling length
SHAKEN, IN_FRONT, SHAKEN_DETAIL = "kodak_08.jpg", "budgie_perched-osprey.jpg", (300, 60, 380, 380)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture: `draw(path, **needs)` writes it; `needs` are names of flags."""

    draw: Callable[..., None]
    needs: tuple[str, ...] = ()


def draw_demo(path: Path, demo: Path) -> None:
    """Result of `make demo`: blurry, restored and sharp scenes."""
    _save(path, read_rgb(demo / "demo.png"))


def draw_gallery(path: Path, photographs: Path) -> None:
    """Photographs without a ground truth, blurry and restored: as a whole, and details at full size."""
    restore = srn.Deblurrer()
    rows = [[_title(text, GALLERY_WIDTH) for text in ("blurry", "restored")]]
    for name, details in GALLERY:
        blurry = read_rgb(photographs / name)
        images = (blurry, restore(blurry))
        rows.append([_resize(image, GALLERY_WIDTH) for image in images])
        cut = [[_cut(image, *detail, *GALLERY_DETAIL) for detail in details] for image in images]
        rows.append([_join(parts, axis=1) for parts in cut])
    _save(path, _grid(rows))


def draw_results(path: Path, pairs: Path) -> None:
    """Test pairs: blurry, restored, sharp."""
    restore, rows = srn.Deblurrer(), []
    for name, left, top in RESULTS:
        blurry, sharp = (read_rgb(pairs / side / f"{name}.png") for side in ("blur", "sharp"))
        rows.append([_cut(image, left, top, *RESULTS_SIZE) for image in (blurry, restore(blurry), sharp)])
    _save(path, _grid(rows))


def draw_frames(path: Path, frames: Path) -> None:
    """Thirteen frames of 240 a second: their mean, the mean of their light, the one in the middle."""
    from srn.synthesis.frames import average_window

    window = _window(frames, count=13, step=1)
    averages = [average_window(window, gamma) for gamma in (1.0, 2.2)]
    _save(path, _grid([[_cut(image, *FRAMES_DETAIL) for image in (*averages, window[6])]]))


def draw_interpolation(path: Path, frames: Path) -> None:
    """Every eighth frame: the mean of three, the mean with made frames between, what was really there."""
    from srn.synthesis.frames import Exposure, WindowSettings, average_window, make_pair

    few = _window(frames, count=3, step=8)
    made, _ = make_pair(Exposure(1, few, 13), WindowSettings(between=7))
    images = (average_window(few), made, average_window(_window(frames, count=13, step=1)))
    _save(path, _grid([[_cut(image, *FRAMES_DETAIL) for image in images]]))


def draw_shakes(path: Path, sharp: Path) -> None:
    """One shake: the plain mean; light and saturation; the same with a foreground; its ground truth."""
    from srn.synthesis.shake import ShakeSettings, shake

    photograph, other = read_rgb(sharp / SHAKEN), read_rgb(sharp / IN_FRONT)
    none = ("gamma_probability", "saturation_probability", "foreground", "noise", "jpeg_probability")
    plain = dict.fromkeys(none, 0)
    light = {**plain, "gamma_probability": 1, "saturation_probability": 1}
    blurry = [_shake(photograph, other, shake, ShakeSettings(**changes))[0] for changes in (plain, light)]
    blurry += _shake(photograph, other, shake, ShakeSettings(**{**light, "foreground": 1}))
    _save(path, _grid([[_cut(image, *SHAKEN_DETAIL) for image in blurry]]))


def _shake(photograph, other, shake, settings):
    pair = shake(photograph, np.random.default_rng(SHAKE_SEED), settings, other)
    return [np.uint8(np.rint(image * 255)) for image in pair]


def draw_ablation_curves(path: Path, ablation: Path) -> None:
    """The curves of validation that `python -m srn.ablation` leaves."""
    shutil.copyfile(ablation / "validation.png", path)


def draw_ablation_pictures(path: Path, ablation: Path, pairs: Path) -> None:
    """Fig. 4 of the paper: details of test pairs at half size, restored with one to three scales."""
    rows = [[_title(text, SCALES_WIDTH) for text in ("blurry", *SCALES, "sharp")]]
    for name, corner in SCALES_DETAILS:
        blurry, sharp = (downscale_image(read_rgb(pairs / side / name), 2) for side in ("blur", "sharp"))
        runs = [ablation / model / "seed-0" / "test" / "restored" for model in SCALES.values()]
        images = (blurry, *(read_rgb(folder / name) for folder in runs), sharp)
        rows.append([_resize(_cut(image, *corner, *SCALES_SIZE), SCALES_WIDTH) for image in images])
    _save(path, _grid(rows))


def draw_validation(path: Path, run: Path) -> None:
    """The `log.csv` of a training run: the loss of its batches, and the PSNR of its validations."""
    from matplotlib.figure import Figure

    rows = read_log(run / FILE)
    figure = Figure(figsize=(8, 3), layout="constrained")
    columns = {"loss": "loss of the batch", "validation_psnr": "PSNR on the validation pairs, dB"}
    for axes, (column, what) in zip(figure.subplots(1, 2), columns.items()):
        points = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
        axes.plot(*zip(*points), marker=".")
        axes.set(xlabel="step", ylabel=what)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=80)


def draw_report(path: Path, report: Path) -> None:
    """An evaluation's report.html as Chromium shows it: its top, and the slider over its best image."""
    browser = _open_browser()
    try:
        browser.get((report / "report.html").resolve().as_uri())
        views = [browser.get_screenshot_as_png()]
        browser.find_element("css selector", "#best button").click()
        views.append(browser.get_screenshot_as_png())
    finally:
        browser.quit()
    _save(path, _grid([[np.asarray(Image.open(io.BytesIO(view)).convert("RGB")) for view in views]]))


def draw_web(path: Path, photographs: Path) -> None:
    """The page of `srn-web` in Chromium, after a photograph was restored."""
    from selenium.webdriver.support.ui import WebDriverWait
    from werkzeug.serving import make_server

    from srn.inference.web import Page

    server = make_server("127.0.0.1", 0, Page(srn.Deblurrer()), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = _open_browser()
    try:
        browser.get(f"http://127.0.0.1:{server.port}/")
        browser.find_element("id", "file").send_keys(str((photographs / GALLERY[0][0]).resolve()))
        WebDriverWait(browser, 120).until(lambda page: page.find_element("id", "result").is_displayed())
        WebDriverWait(browser, 30).until(
            lambda page: page.execute_script("return [...document.images].every(image => image.complete)")
        )
        view = browser.get_screenshot_as_png()
    finally:
        browser.quit()
        server.shutdown()
    _save(path, np.asarray(Image.open(io.BytesIO(view)).convert("RGB")))


def _open_browser():
    """Headless Chromium as Debian installs it; named, or Selenium would look for one in the network."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or sys.exit("chromium is not installed")
    for word in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        "--window-size=805,863",
    ):
        options.add_argument(word)
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


PICTURES = {
    "architecture.png": Picture(architecture.draw),
    "demo.jpg": Picture(draw_demo, ("demo",)),
    "gallery.jpg": Picture(draw_gallery, ("photographs",)),
    "results.jpg": Picture(draw_results, ("pairs",)),
    "report.jpg": Picture(draw_report, ("report",)),
    "web.jpg": Picture(draw_web, ("photographs",)),
    "validation.png": Picture(draw_validation, ("run",)),
    "ablation_validation.png": Picture(draw_ablation_curves, ("ablation",)),
    "ablation_pictures.jpg": Picture(draw_ablation_pictures, ("ablation", "pairs")),
    "making_blur_frames.jpg": Picture(draw_frames, ("frames",)),
    "making_blur_interpolation.jpg": Picture(draw_interpolation, ("frames",)),
    "making_blur_photos.jpg": Picture(draw_shakes, ("sharp",)),
    "training_progress.png": Picture(progress.draw),
}
SOURCES = {
    "demo": "what `make demo` left",
    "pairs": "test pairs of GOPRO, with blur/ and sharp/",
    "photographs": "blurry photographs; web.jpg needs Chromium",
    "frames": "frames of GOPRO's GOPR0477_11_00, 240 a second, 0208.jpg to 0299.jpg",
    "sharp": "sharp photographs",
    "ablation": "the folder of an ablation of the list `scales`, tested on these pairs at half size",
    "run": "the folder of a training run with validation",
    "report": "the folder of an evaluation, with report.html; needs Chromium",
}


def _window(frames, count, step):
    """`count` frames, every `step`-th, around the middle one: uint8 [count, H, W, 3]."""
    first = int(MIDDLE_FRAME) - count // 2 * step
    return np.stack([read_rgb(frames / f"{first + step * index:04d}.jpg") for index in range(count)])


def _title(text, width):
    image = Image.new("RGB", (width, TITLE_HEIGHT), "white")
    middle = (width // 2, TITLE_HEIGHT // 2)
    ImageDraw.Draw(image).text(middle, text, "black", ImageFont.load_default(20), anchor="mm")
    return np.asarray(image)


def _resize(image, width):
    size = (width, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _cut(image, left, top, width, height):
    return image[top : top + height, left : left + width]


def _grid(rows):
    """Images of equal size in rows, with gaps: uint8 RGB."""
    strips = [_join(row, axis=1) for row in rows]
    return _join(strips, axis=0)


def _join(images, axis):
    gap = list(images[0].shape)
    gap[axis] = GAP
    parts = [images[0]]
    for image in images[1:]:
        parts += [np.full(gap, 255, np.uint8), image]
    return np.concatenate(parts, axis=axis)


def _save(path, image):
    Image.fromarray(image).save(path, quality=JPEG_QUALITY)


def main() -> int:
    """Makes what can be made; returns an exit code."""
    quiet_tensorflow()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, what in SOURCES.items():
        parser.add_argument(f"--{name}", type=Path, help=what)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the pictures")
    given = vars(parser.parse_args())
    out = given.pop("out")
    for name, picture in PICTURES.items():
        missing = [need for need in picture.needs if given[need] is None]
        if missing:
            wanted = ", ".join(f"--{need} ({SOURCES[need]})" for need in missing)
            print(f"{name}: left as it is; it needs {wanted}")
            continue
        picture.draw(out / name, **{need: given[need] for need in picture.needs})
        print(f"{name}: made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
