import json
import os
import re
import shutil
from html import escape as html_escape
from html.parser import HTMLParser

import keras
import pytest

from keras_inits import InputError
from keras_inits.experiments import (
    EXPERIMENTS,
    EverythingConfig,
    MnistConfig,
    Page,
    Picture,
    Table,
    run_all,
)
from keras_inits.experiments._html import html

NAMES = [experiment.name for experiment in EXPERIMENTS]
PHONE, DESKTOP = (390, 844), (1280, 900)


def figure():
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9, 2))
    drawn.subplots().plot([1, 2])
    return drawn


def small_page(**changes):
    wide = Table("wide", tuple(f"column\n{i}" for i in range(30)), (("1 < 2",) * 30,))
    parts = {
        "name": "small",
        "title": "Small & simple",
        "question": "Is <b> shown as it is?",
        "sources": (),
        "recipe": (("model", "Dense(1)"),),
        "tables": (wide,),
        "pictures": (Picture("line.png", 'A "line"', figure),),
        "supported": ("Yes.",),
        "unsupported": (),
    }
    return Page(**parts | changes)


class Tags(HTMLParser):
    """Counts tags, and fails where one is closed that is not open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.all = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.all.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_report_is_whole_escaped_and_self_contained():
    text = html([small_page()], "keras-inits reproduce all --out DIR")
    tags = Tags(text)
    assert "Is &lt;b&gt; shown" in text
    assert "1 &lt; 2" in text
    assert "What it does not" not in text
    (image,) = [attributes for tag, attributes in tags.all if tag == "img"]
    assert image["src"].startswith("data:image/png;base64,")
    assert image["alt"] == 'A "line"'
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"base64,[^\"]*", "", text))
    assert not [tag for tag, _ in tags.all if tag == "script"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Everything, in its quick form: the folder, the pages and the progress."""
    out, pages, told = tmp_path_factory.mktemp("all"), [], []
    config = EverythingConfig(out, source="digits", quick=True)
    files = run_all(
        EXPERIMENTS,
        config,
        report=lambda line: None,
        on_experiment=pages.append,
        on_progress=told.append,
    )
    return out, pages, told, files


@pytest.mark.slow
def test_everything_is_run_and_written(made):
    out, pages, told, files = made
    assert [page.name for page in pages] == NAMES
    assert all(file.is_file() for file in files)
    for name in NAMES:
        result = json.loads((out / name / "result.json").read_text())
        assert result["experiment"] == name
        assert result["versions"]["keras"]
    done = [progress.done for progress in told]
    assert done == sorted(done)
    assert done[-1] == told[-1].total == sum(experiment.seconds for experiment in EXPERIMENTS)
    report = (out / "report.html").read_text()
    Tags(report)
    assert report.count("<section") == len(NAMES)
    on_mnist = [e for e in EXPERIMENTS if issubclass(e.config, MnistConfig)]
    assert report.count("NOT comparable") == len(on_mnist)  # digits are not MNIST


@pytest.mark.slow
def test_everything_resumes_from_what_is_there(made, monkeypatch):
    out, _, _, _ = made
    before = {name: (out / name / "result.json").read_text() for name in NAMES}

    def train(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("keras_inits._compare.chunks.train_population", train)
    monkeypatch.setattr("keras_inits._diagnose.diagnose", train)
    config = EverythingConfig(out, source="digits", quick=True)
    run_all(EXPERIMENTS, config, report=lambda line: None)
    assert before == {name: (out / name / "result.json").read_text() for name in NAMES}


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; CI sets KERAS_INITS_BROWSER so that it cannot be missing there."""
    if not os.environ.get("KERAS_INITS_BROWSER") and not shutil.which("chromedriver"):
        pytest.skip("no chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def look(browser, page, size):
    """Opens a page at a size; returns what is wrong with it."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    missing, scroll = browser.execute_script(
        "return [[...document.images].filter(i => !i.complete || !i.naturalWidth).length,"
        " document.documentElement.scrollWidth - window.innerWidth]"
    )
    log = [entry["message"] for entry in browser.get_log("browser")]
    found = {"missing images": missing, "scroll": max(0, scroll), "console": log}
    return {name: value for name, value in found.items() if value}


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_report_looks_right_in_a_browser(browser, made, size):
    out, pages, _, _ = made
    assert look(browser, out / "report.html", size) == {}
    images = browser.execute_script("return document.images.length")
    assert images == sum(len(page.pictures) for page in pages)


@pytest.mark.slow
def test_the_browser_finds_what_is_wrong(browser, tmp_path):
    page = tmp_path / "page.html"
    text = html([small_page()], "command")
    page.write_text(text)
    assert look(browser, page, PHONE) == {}  # the wide table scrolls by itself
    page.write_text(text.replace("overflow-x: auto", ""))
    assert look(browser, page, PHONE).keys() == {"scroll"}
    broken = re.sub(r"base64,[^\"]*", "base64,AAAA", text)
    page.write_text(broken.replace("</body>", "<script>nothing()</script></body>"))
    assert look(browser, page, DESKTOP).keys() == {"missing images", "console"}


def test_texts_are_no_markup_in_the_terminal_and_in_html():
    hostile = "a[b] [/b] $x^$ <b> & \x1b[31m"
    visible = r"a[b] [/b] $x^$ <b> & \x1b[31m"
    table = Table(hostile, (hostile, "x"), ((hostile, hostile),))
    page = Page("n", hostile, hostile, (), ((hostile, hostile),), (table,), (), (hostile,), ())
    text = page.summary()
    assert visible in text
    assert "\x1b" not in text
    report = html([page], hostile)
    assert html_escape(visible) in report
    assert "\x1b" not in report
    assert "<b>" not in report


def test_another_backend_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr("keras_inits.experiments.mnist_log.run", None)
    with pytest.raises(InputError, match=r"needs Keras on TensorFlow.*backend=jax"):
        run_all(EXPERIMENTS, EverythingConfig(tmp_path / "out", source="digits"))
    assert not (tmp_path / "out").exists()
