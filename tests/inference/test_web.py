import io
import threading

import numpy as np
import pytest
from drawing import camera_exif, picture, scene
from PIL import Image
from werkzeug.test import Client

from srn.inference import web
from srn.inference.web import Limits, Page

OWN = {"X-Requested-With": "test"}


def darker(pixels):
    return np.maximum(pixels, 10) - 10


def encoded(name="PNG", **options):
    buffer = io.BytesIO()
    picture().save(buffer, name, **options)
    return buffer.getvalue()


@pytest.fixture
def client():
    return Client(Page(darker, Limits(megabytes=1, megapixels=1, waiting=1)))


def test_a_photograph_goes_in_and_comes_back_with_its_metadata(client):
    upload = encoded("JPEG", exif=camera_exif(), quality=95)
    answer = client.post("/restore?name=a.jpg", data=upload, headers=OWN)

    assert answer.status_code == 200
    assert answer.json["name"] == "a_deblurred.jpg" and answer.json["notes"] == []
    result = client.get(f"/result/{answer.json['id']}")
    assert camera_exif(1) in result.data
    assert "a_deblurred.jpg" in result.headers["Content-Disposition"]
    assert result.headers["Cache-Control"] == "no-store"
    for what in ("before", "after"):
        shown = Image.open(io.BytesIO(client.get(f"/{what}/{answer.json['id']}").data))
        assert shown.format == "JPEG" and shown.size == (40, 60)


def test_pixels_are_those_of_the_network(client):
    answer = client.post("/restore?name=a.png", data=encoded(), headers=OWN)

    result = client.get(f"/result/{answer.json['id']}")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(result.data))), darker(scene()))


@pytest.mark.parametrize(
    "data, name, status, part",
    [
        (b"no image", "a.png", 422, "a.png: cannot be read"),
        (b"FUJIFILMCCD-RAW", "../../etc/a.raf", 422, "a.raf: is a raw file"),
        (b"P5 2000 2000 255\n", "a.pgm", 422, "megapixels"),
        (bytes(1_100_000), "a.png", 413, "megabytes"),
        (b"", "", 422, "cannot be read"),
    ],
)
def test_what_cannot_be_restored_is_said(client, data, name, status, part):
    answer = client.post(f"/restore?name={name}", data=data, headers=OWN)

    assert answer.status_code == status and part in answer.json["error"]


def test_another_page_cannot_use_it(client):
    assert client.post("/restore", data=encoded()).status_code == 403


def test_what_is_not_there_is_said(client):
    assert client.get("/result/none").status_code == 404
    assert client.get("/etc/passwd").status_code == 404
    assert client.get("/restore").status_code == 405


def test_only_the_last_results_are_kept_and_no_file(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    identities = [
        client.post("/restore?name=a.png", data=encoded(), headers=OWN).json["id"] for _ in range(9)
    ]

    states = [client.get(f"/result/{identity}").status_code for identity in identities]
    assert states == [404, *[200] * 8]
    assert list(tmp_path.iterdir()) == []


def test_too_many_at_a_time_are_refused():
    begun, go = threading.Event(), threading.Event()

    def wait(pixels):
        begun.set()
        assert go.wait(60)
        return pixels

    page = Page(wait, Limits(waiting=0))
    states = []
    first = threading.Thread(
        target=lambda: states.append(
            Client(page).post("/restore?name=a.png", data=encoded(), headers=OWN).status_code
        )
    )
    first.start()
    assert begun.wait(60)

    second = Client(page).post("/restore?name=a.png", data=encoded(), headers=OWN)
    go.set()
    first.join()

    assert second.status_code == 503 and states == [200]


def test_the_command_serves_with_its_limits(monkeypatch, capsys):
    served = []

    class Server:
        port = 8000

        def __init__(self, *arguments, threaded):
            served.extend(arguments)

        def serve_forever(self):
            pass

    monkeypatch.setattr("werkzeug.serving.make_server", Server)
    monkeypatch.setattr("srn.Deblurrer", lambda *arguments, **options: None, raising=False)

    assert web.main(["--port=8000", "--max_megabytes=0.001", "--max_waiting=2"]) == 0

    host, port, page = served
    assert (host, port) == ("127.0.0.1", 8000) and "http://127.0.0.1:8000/" in capsys.readouterr().out
    assert Client(page).post("/restore", data=bytes(1001), headers=OWN).status_code == 413
    assert page._limits == Limits(megabytes=0.001, waiting=2)


@pytest.mark.parametrize("word", ["--port=70000", "--max_waiting=-1", "--max_megapixels=many"])
def test_a_limit_out_of_range_is_one_line(capsys, word):
    with pytest.raises(SystemExit) as ended:
        web.main([word])

    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path):
    """Drops a photograph, moves the slider, finds the download."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait
    from werkzeug.serving import make_server

    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--window-size=900,900", "--disable-dev-shm-usage"):
        options.add_argument(word)
    try:
        browser = webdriver.Chrome(options=options)
    except WebDriverException as error:
        pytest.skip(f"no Chromium ({str(error).splitlines()[0]})")
    server = make_server("127.0.0.1", 0, Page(darker), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        picture(height=200, width=300).save(tmp_path / "photo.png")
        browser.get(f"http://127.0.0.1:{server.port}/")
        browser.find_element(By.ID, "file").send_keys(str(tmp_path / "photo.png"))
        WebDriverWait(browser, 60).until(lambda page: page.find_element(By.ID, "result").is_displayed())

        link = browser.find_element(By.ID, "download")
        assert link.text == "Download photo_deblurred.png" and "/result/" in link.get_attribute("href")
        assert browser.execute_script("return document.getElementById('after').naturalWidth") == 300
        assert "megapixels" in browser.find_element(By.ID, "says").text
        browser.save_screenshot(str(tmp_path / "page.png"))
        assert Image.open(tmp_path / "page.png").size[0] > 0
    finally:
        browser.quit()
        server.shutdown()
        thread.join()
