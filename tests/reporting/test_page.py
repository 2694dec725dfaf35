"""The page, in a real browser where there is one."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from made_results import drift, flips, results, thumbnail
from measured import changed

from edgenet.analysis.loading import LoadedResults
from edgenet.analysis.tradeoff import pareto_front
from edgenet.analysis.verdict import Limits
from edgenet.records import Diagnosis, Flip, LayerNoise, MixedPrecision, Prediction
from edgenet.reporting.page import page

# What must be shown, and must do nothing.
NASTY = (
    "<script>document.title = 'broken'</script>",
    '"><img src=x onerror="document.title=\'broken\'">',
    "'quotes' & \"more\" {{ 7 * 7 }} {% raw %}",
    "\u202egnp.exe\u202c שלום مرحبا",
    "👩🏽\u200d🚀 Zürich 蟻 $\\frac{1}{0}$",
)
DIAGNOSIS = Diagnosis(
    bundle=NASTY[0],
    variant="int8",
    images=100,
    agreeing=98,
    logits_sqnr=31.5,
    layers=(
        LayerNoise(
            f"net/{NASTY[1]}/conv", "CONV_2D", 0.435, 20.5, 18.25, (MixedPrecision("float32", 1.5, 2, 1_000, 1.25),)
        ),
        LayerNoise("net/pool/Mean", "MEAN", None, None, None, ()),
    ),
    created="2026-01-31T12:00:00Z",
    versions={},
    files={},
)


def loaded(results, name: str = "mobilenet") -> LoadedResults:
    return LoadedResults(Path("build/results/20260131.json"), name, results)


def with_flips(count: int, **fields):
    """Results whose int8 flips some pictures."""
    found = flips(count)
    pictures = {flip.file: thumbnail(number) for number, flip in enumerate(found[:48])}
    return results({"int8": drift(found, lost=count)}, thumbnails=pictures, **fields)


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


in_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


def show(browser: Browser, tmp_path: Path, text: str, width: int = 1400, theme: str = "light") -> None:
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    browser.look(width, 900, theme)
    browser.open(path.as_uri())


@in_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_in_a_browser(browser, tmp_path, width, theme):
    text = page([loaded(with_flips(6))], [DIAGNOSIS], Limits(max_drift=0.02))
    show(browser, tmp_path, text, width, theme)
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [(tmp_path / "page.html").as_uri()]
    # What is wider than the window scrolls in a box of its own.
    assert browser.ask("document.documentElement.scrollWidth") == width
    assert browser.ask("document.images.length") == 6
    seen = "[...document.images].every(i => i.complete && i.naturalWidth > 0 && i.getBoundingClientRect().width >= 90)"
    assert browser.ask(seen)
    assert browser.ask("document.querySelectorAll('figure svg').length") == 6
    # Text is readable on its ground: WCAG's contrast of 4.5, for words and in plots.
    for where in ("body", ".soft", "figure svg text", "td.pass", "th"):
        assert browser.ask(CONTRAST.replace("WHERE", where)) >= 4.5, where
    # Words in plots are no smaller than 8 pixels on a phone.
    assert (
        browser.ask(
            "Math.min(...[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height))"
        )
        >= 8
    )


CONTRAST = """(() => {
  const light = rgb => {
    const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.match(/[\\d.]+/g).map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b };
  const style = getComputedStyle(document.querySelector('WHERE'));
  const colour = document.querySelector('WHERE').namespaceURI.endsWith('svg') ? style.fill : style.color;
  const both = [light(colour), light(getComputedStyle(document.body).backgroundColor)].sort();
  return (both[1] + .05) / (both[0] + .05) })()"""


@in_browser
def test_names_from_files_are_shown_and_do_nothing(browser, tmp_path):
    guesses = tuple(Prediction(label, 0.3) for label in range(3))
    flipped = [Flip(f"evaluation/{name}.png", 0, guesses, guesses[::-1]) for name in NASTY]
    found = results(
        {"int8": drift(flipped)},
        name=NASTY[0],
        cpu=NASTY[1],
        labels=NASTY,
        thumbnails={flipped[0].file: thumbnail(0), flipped[1].file: '"><script>document.title="broken"</script>'},
        notes=NASTY,
        command=NASTY[2],
        files={f"{NASTY[0]}.tflite": NASTY[1]},
    )
    renamed = replace(found, measurements=tuple(replace(m, name=f"{m.name}{NASTY[0]}") for m in found.measurements))
    for one in (found, replace(renamed, base=f"float32{NASTY[0]}")):
        show(browser, tmp_path, page([loaded(one, NASTY[1])], [DIAGNOSIS], Limits()))
        assert browser.ask("document.title") == f"{NASTY[0]}: edgenet report"
        assert browser.complaints() == []
        assert [url for url in browser.requests() if not url.startswith(("data:", "file:"))] == []
        assert browser.ask("document.scripts.length") == 0
        text = browser.ask("document.body.textContent")
        for name in NASTY:
            assert name in text


@in_browser
def test_prints_without_its_dark_ground(browser, tmp_path):
    show(browser, tmp_path, page([loaded(with_flips(2))], [], Limits()), theme="dark")
    media = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser("Emulation.setEmulatedMedia", media="print", features=media)
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser("Page.printToPDF")["data"]
    browser("Emulation.setEmulatedMedia", media="")


@pytest.mark.slow
def test_ten_results_of_a_thousand_images():
    # As a benchmark of four variants on three numbers of threads writes them, a tenth of the images flipped.
    many = [
        loaded(with_flips(100, cpu=f"device {number}", threads=(1, 2, 4), rounds=20, samples=20), f"device {number}")
        for number in range(10)
    ]
    page(many[:1], [], Limits())  # the library's own first start
    begun = time.process_time()
    text = page(many, [], Limits(max_drift=0.02))
    assert time.process_time() - begun < 10  # of the processor's time, whatever else the machine does
    assert len(text.encode()) < 3_000_000


def test_is_self_contained():
    text = page([loaded(with_flips(2))], [DIAGNOSIS], Limits())
    found = set(re.findall(r"https?://[^\"'<> ]+", text))
    # Names of formats, which are not fetched.
    assert found <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "default-src 'none'" in text


def test_the_gallery_begins_with_the_highest_scores_of_keras():
    found = with_flips(20)
    text = page([loaded(found)], [], Limits())
    shown = re.findall(r'class="card">.*?<b>Keras</b><span[^>]*><bdi>class 0</bdi></span><span>([\d.]+)', text, re.S)
    assert len(shown) == 20
    assert shown == sorted(shown, reverse=True)


def test_more_flips_than_thumbnails():
    text = page([loaded(with_flips(100))], [], Limits())
    assert text.count('class="card"') == 48
    assert "100 evaluation images flip in at least one variant; 48 of them are shown" in text


def test_without_thumbnails_the_names_are_shown():
    text = page([loaded(changed(with_flips(3), thumbnails={}))], [], Limits())
    assert text.count('class="card"') == text.count('class="nothing"') == 3


def test_without_flips():
    assert "None: every variant has the same top class as Keras on every image." in page(
        [loaded(results())], [], Limits()
    )


def test_of_a_file_without_a_reference():
    found = results()
    measurements = tuple(replace(m, drift=None) for m in found.measurements)
    text = page([loaded(changed(found, measurements=measurements, reference=None, sha256=None))], [], Limits())
    assert "there is no reference, so their drift is unknown" in text
    assert "Flipped images" not in text


def test_few_rounds_and_one_number_of_threads():
    text = page([loaded(results(threads=(1,), rounds=2))], [], Limits())
    assert "Thread scaling" not in text
    assert text.count("<svg") == 3


def test_several_results_are_distinguished():
    text = page([loaded(results(), "Pi 4"), loaded(results(name="other"), "Pi 5")], [], Limits())
    assert "All results" in text
    for number, name in ((1, "Pi 4"), (2, "Pi 5")):
        assert f'<a href="#results-{number}">{number}, <bdi>{name}</bdi></a>' in text
    # What plots have inside of them, clips and markers, is not mixed up.
    used = re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", text)
    defined = re.findall(r'\bid="([^"]+)"', text)
    for name in {first or second for first, second in used}:
        assert defined.count(name) == 1, name


def test_pareto_front():
    points = [(1, 0.9), (2, 0.95), (2, 0.8), (3, 0.95), (4, 1.0), (4, 1.0), (0.5, 0.1)]
    # By definition: those that no other point beats in one and equals or beats in the other.
    expected = {
        one
        for one in points
        if not any((c <= one[0] and w > one[1]) or (c < one[0] and w >= one[1]) for c, w in points)
    }
    assert pareto_front(points) == sorted(expected)


def test_thread_counts_are_headings_over_their_columns():
    text = page([loaded(results(threads=(1, 4)))], [], Limits())
    first, second = re.findall(r"<thead><tr>(.*?)</tr><tr>(.*?)</tr></thead>", text)[0]
    headings = re.findall(r'<th (?:colspan|rowspan)="(\d)"[^>]*>(?:<span>)?([^<]+)', first)
    assert headings == [("2", "variant"), ("1", "size"), ("2", "1 thread"), ("2", "4 threads"), ("3", "top-1")]
    titles = re.findall(r"<th[^>]*>([^<]+)", second)
    assert titles == ["MB", "ms", "speedup", "ms", "speedup", "agreement", "accuracy", "change"]


def test_every_detail_is_in_the_page():
    text = page([loaded(results())], [], Limits())
    titles = re.findall("<summary>(.*?)</summary>", text)
    assert titles == ["Latency in detail", "Start and memory", "Agreement", "Flips", "Accuracy"]


def test_results_that_were_never_in_a_file():
    text = page([LoadedResults(None, "mobilenet", results(command=""))], [], Limits())
    assert "<dt>results</dt><dd>2025-01-31T12:00:00Z</dd>" in text
    assert "<dt>command</dt>" not in text
