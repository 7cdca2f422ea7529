"""The report in a real browser: Debian's Chromium, driven by Selenium."""

import shutil
import tempfile

import numpy as np
import pytest
from PIL import Image

from srn.data.listing import Pair
from srn.evaluation import page, scoring
from srn.evaluation.methods import Network
from srn.evaluation.protocols import PAIRS


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
    assert text.count("data:image/jpeg;base64,") == 3 * 3 + 3 + 2  # pictures, thumbnails, worst and best
    assert "small &amp; fine" in text and "a &lt;b&gt;" in text and "b/&lt;2&gt;" in text


def test_pictures_of_a_large_set_are_smaller(report):
    assert page._picture_width(11) == 960
    assert 240 <= page._picture_width(1111) < 360


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


def test_the_browser_has_nothing_to_complain_of(opened):
    assert [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert opened.title == "small & fine"
    assert opened.execute_script(
        "return [...document.querySelectorAll('img[src]')].every(image => image.naturalWidth > 0)"
    )


def test_worst_and_best_stand_on_top(opened):
    assert find(opened, "#worst button").get_attribute("data-open") == "a/1"
    assert find(opened, "#best button").get_attribute("data-open") == "b/<2>"


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
