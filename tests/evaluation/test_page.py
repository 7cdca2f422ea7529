"""The report in a real browser: Debian's Chromium, driven by Selenium."""

import shutil
import tempfile

import numpy as np
import pytest
from PIL import Image

from srn.data.listing import Pair
from srn.evaluation import page, scoring
from srn.evaluation.methods import Method, Network
from srn.evaluation.protocols import PAIRS
from srn.evaluation.scores import Score


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of three pairs, of which `b/<2>` gains most and `a/1` least."""
    folder = tmp_path_factory.mktemp("report")
    generator, pairs, gains = np.random.default_rng(0), [], {}
    for name, gain in (("a/1", 2), ("b/<2>", 8), ("b/10", 5)):
        sharp = generator.integers(20, 200, (90, 160, 3)).astype(np.uint8)
        files = [folder / side / f"{name}.png" for side in ("blur", "sharp")]
        for file, image in zip(files, (sharp + 10, sharp)):
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
        pairs.append(Pair(*files, name, sequence=name[0]))
        gains[(sharp + 10).tobytes()] = gain
    method = Network(lambda blurry: blurry - gains[blurry.tobytes()], "small", folder, {})
    scores = scoring.score_images(pairs, method, PAIRS).scores
    summary = PAIRS.summarise(scores)
    path = folder / "report.html"
    page.write_page(path, "small & fine", scores, summary, pairs, method, PAIRS, {"command": "a <b>"})
    return path


def test_the_report_needs_no_other_file(report):
    text = report.read_text(encoding="utf-8")

    assert "http" not in text.replace("http-equiv", "")
    assert text.count("data:image/jpeg;base64,") == 3 * 3 + 3  # pictures and thumbnails, each once
    assert "small &amp; fine" in text and "a &lt;b&gt;" in text and "b/&lt;2&gt;" in text


def test_each_image_is_decoded_once(report, tmp_path, monkeypatch):
    read, decoded = page.read_picture, []

    def count(path):
        decoded.append(path)
        return read(path)

    monkeypatch.setattr(page, "read_picture", count)
    names = ("a/1", "b/<2>", "b/10")
    pairs = [
        Pair(*(report.parent / side / f"{name}.png" for side in ("blur", "sharp")), name) for name in names
    ]
    scores = scoring.score_images(pairs, Method(), PAIRS)

    page.write_page(tmp_path / "r.html", "t", scores.scores, scores.summary, pairs, Method(), PAIRS, {})

    assert sorted(decoded) == sorted(path for pair in pairs for path in (pair.blurry, pair.sharp))


def test_the_curve_shows_each_image_once_and_their_medians():
    def score(index):
        return Score(
            str(index), {}, {"psnr": 25 + index / 10 + (index % 2)}, 0.0, psnr_blurry=20 + index / 10
        )

    plot = page._plot_gain([score(index) for index in range(60)])

    assert [name for _, _, name in plot["points"]] == [str(index) for index in range(60)]
    lefts = [left for left, _, _ in plot["points"]]
    assert lefts == sorted(lefts) and lefts[0] >= 44 and lefts[-1] <= 712
    assert len(plot["curve"].split()) == 12
    assert [label for _, label in plot["across"]] == ["20", "21", "22", "23", "24", "25", "26"]
    assert [label for _, label in plot["up"]] == ["0", "1", "2", "3", "4", "5", "6"]
    blurry = [Score("a", {}, {"psnr": 20.0}, 0.0, 20.0), Score("b", {}, {"psnr": 21.0}, 0.0, 21.0)]
    assert page._plot_gain(blurry) is None


def test_pictures_of_a_large_set_are_smaller(tmp_path):
    """By their own size: noise, which hardly compresses, becomes smaller still."""
    generator, widths = np.random.default_rng(0), {}
    for kind, level in (("flat", 1), ("noise", 255)):
        Image.fromarray(generator.integers(0, level, (540, 960, 3)).astype(np.uint8)).save(
            tmp_path / f"{kind}.png"
        )
        files = dict.fromkeys(("blurry", "sharp"), tmp_path / f"{kind}.png")
        for count in (8, 100, 1111):
            scores = [Score(str(index), {}, {}, 0.0) for index in range(count)]
            widths.setdefault(kind, []).append(page._picture_width(scores, lambda _, files=files: files))

    assert widths["flat"] == [960, 960, 960]
    assert widths["noise"][0] == 960 and 240 <= widths["noise"][2] < widths["noise"][1] < 960


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed: make test-full")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("chromium and chromedriver are not installed: make test-full")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    with tempfile.TemporaryDirectory() as profile:
        for word in (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1200,900",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
        yield driver
        driver.quit()


@pytest.fixture
def opened(browser, report):
    """The report, freshly loaded."""
    browser.get(report.as_uri())
    return browser


def find(browser, selector):
    return browser.find_element("css selector", selector)


def names(browser):
    return [
        row.get_attribute("data-name") for row in browser.find_elements("css selector", "#scores tbody tr")
    ]


@pytest.mark.slow
def test_the_browser_has_nothing_to_complain_of(opened):
    assert [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert opened.title == "small & fine"
    assert opened.execute_script(
        "return [...document.querySelectorAll('img[src]')].every(image => image.naturalWidth > 0)"
    )


@pytest.mark.slow
def test_worst_and_best_stand_on_top(opened):
    assert find(opened, "#worst button").get_attribute("data-open") == "a/1"
    assert find(opened, "#best button").get_attribute("data-open") == "b/<2>"


@pytest.mark.slow
def test_a_click_on_a_heading_sorts_and_a_second_one_turns_round(opened):
    psnr = next(head for head in opened.find_elements("css selector", "thead button") if head.text == "PSNR")

    psnr.click()
    assert names(opened) == ["b/<2>", "b/10", "a/1"]
    psnr.click()
    assert names(opened) == ["a/1", "b/10", "b/<2>"]

    name = find(opened, "thead th.text button")
    name.click()
    assert names(opened)[0] == "a/1"
    name.click()
    assert names(opened)[-1] == "a/1"


@pytest.mark.slow
def test_the_slider_uncovers_one_version_and_hides_the_other(opened):
    find(opened, "#best button").click()

    assert find(opened, "dialog").is_displayed()
    assert find(opened, "#shown").text == "b/<2>"
    slider = find(opened, "dialog input")
    slider.send_keys("\ue010")  # End
    assert opened.execute_script(
        "return getComputedStyle(document.querySelector('.over')).clipPath"
    ).startswith("inset(0px 0")
    before = find(opened, ".under").get_attribute("src")
    opened.execute_script(
        "const choice = document.querySelector('#right'); choice.selectedIndex = 2;"
        "choice.dispatchEvent(new Event('change'))"
    )
    assert find(opened, ".under").get_attribute("src") != before
    find(opened, "#close").click()
    assert not find(opened, "dialog").is_displayed()


def test_pictures_come_into_being_when_they_are_seen(browser, tmp_path):
    """A thousand rows of one small pair: the page opens at once, and decodes what is on the screen."""
    files = [tmp_path / f"{side}.png" for side in ("blurry", "sharp")]
    for file, level in zip(files, (90, 100)):
        Image.new("RGB", (160, 90), (level,) * 3).save(file)
    pairs = [Pair(*files, f"s/{index:04d}", "s") for index in range(1111)]
    scores = [
        Score(
            pair.name,
            {"sequence": "s"},
            {"psnr": 20 + index % 7, "ssim_matlab": 0.9, "ssim_channel": 0.9},
            0.1,
            20,
        )
        for index, pair in enumerate(pairs)
    ]
    path = tmp_path / "report.html"
    page.write_page(path, "many", scores, PAIRS.summarise(scores), pairs, Method(), PAIRS, {})

    browser.get(path.as_uri())

    shown = "return document.querySelectorAll('td img[src]').length"
    assert len(names(browser)) == 1111
    assert browser.execute_script(shown) < 100
    browser.execute_script("document.querySelector('#image-1110').scrollIntoView()")
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert browser.execute_script("return document.querySelector('#image-1110 img').naturalWidth") > 0
    assert browser.execute_script(shown) < 200


def test_a_point_of_the_curve_opens_its_image(opened):
    opened.execute_script(
        "document.querySelector('circle[data-open=\"b/10\"]').dispatchEvent(new Event('click'))"
    )

    assert find(opened, "#shown").text == "b/10"
    find(opened, "#close").click()
    assert find(opened, "#worst a").get_attribute("href").endswith("#image-0")
