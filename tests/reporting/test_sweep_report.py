"""The report of a sweep: the page, in a real browser where there is one, Markdown and CSV."""

import re
from dataclasses import replace

import pytest
from browser import CHROMIUM, Browser
from made_sweeps import entry, family, sweep

from edgenet.analysis.verdict import Limits
from edgenet.errors import EdgenetError
from edgenet.reporting.sweep_page import MAX_ROWS, page
from edgenet.reporting.sweep_report import render, write

NASTY = (
    "<script>document.title = 'broken'</script>",
    '"><img src=x onerror="document.title=\'broken\'">',
    "{{ 7 * 7 }}",
)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.fixture(scope="module")
def family_page() -> str:
    return page(family())


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


def test_the_family_has_a_plot_for_each_device_and_value(family_page):
    titles = re.findall(r"<figcaption><bdi>(.*?)</bdi>", family_page)
    assert titles == [
        f"{device}: {value} against latency"
        for value in ("accuracy", "agreement")
        for device in ("pi4", "pi5", "laptop")
    ]
    assert family_page.count("<svg") == 6
    assert "published" in family_page and "fair timing" in family_page and "poor timing" in family_page
    assert family_page.count("<tr><td") > 16 * 4 * 3 * 2  # a row for each file, device and number of threads
    assert "the worker did not answer for 600 s" in family_page
    assert len(family_page.encode()) < 1_000_000
    found = set(re.findall(r"https?://[^\"'<> ]+", family_page))
    assert found <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_same_sweep_gives_the_same_page(family_page):
    assert page(family()) == family_page


def test_many_devices_have_a_table_without_plots():
    text = page(family(devices=[f"device-{number}" for number in range(60)], threads=(1,)))
    assert "<svg" not in text and "Plots are shown for up to 12 devices" in text
    assert "of 3,840 rows: those on the Pareto front of their device" in text
    assert 60 * 5 < text.count("<tr><td") <= MAX_ROWS + 60
    assert len(text.encode()) < 2_000_000


@pytest.mark.parametrize(
    "made",
    [
        sweep(),
        sweep(missing=1),
        sweep(entry()),
        sweep(entry(agreement=900)),
        sweep(entry("a", accuracy=500), entry("b")),
        sweep(*(entry(name, agreement=count) for name, count in (("a", 900), ("b", 950)))),
    ],
    ids=["empty", "missing", "latency only", "agreement only", "some accuracy", "two models' agreement"],
)
def test_sweeps_with_little_in_them(made):
    assert "</html>" in page(made)
    assert render(made, ".md").startswith("# made: ")


def test_markdown():
    text = render(family(), ".md")
    assert text.startswith("# family: 64 files of 16 models on 3 devices")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Devices",
        *(f"## {d}: {n} of 64 files, those on the Pareto front of latency and accuracy" for d, n in FRONTS),
        "## Failed",
    ]


FRONTS = (("pi4", 15), ("pi5", 15), ("laptop", 16))


def test_a_file_of_each_format(tmp_path):
    made = sweep(entry(accuracy=500))
    for name, beginning in (("r.html", "<!DOCTYPE html>"), ("r.md", "# made"), ("r.csv", "model,device,variant")):
        write(made, tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8").lstrip().startswith(beginning)
    with pytest.raises(EdgenetError, match=r"r\.pdf: a report is a file that ends in"):
        write(made, tmp_path / "r.pdf")
    with pytest.raises(EdgenetError, match=r"^the report of a sweep has no verdicts; leave the limits and variants="):
        write(made, tmp_path / "r.md", Limits(max_drift=0.1))


def show(browser: Browser, tmp_path, text: str, width: int = 1400, theme: str = "light") -> None:
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    browser.look(width, 900, theme)
    browser.open(path.as_uri())


@in_browser
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1400, "light")])
def test_in_a_browser(browser, tmp_path, family_page, width, theme):
    show(browser, tmp_path, family_page, width, theme)
    assert browser.complaints() == []  # the policy allows the script
    assert browser.ask("document.documentElement.scrollWidth") == width
    heights = "[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)"
    assert browser.ask(f"Math.min(...{heights})") >= 8


COLUMN = """[...document.querySelector('table.sortable').tBodies[0].rows].filter(row => !row.hidden)
  .map(row => row.cells[NUMBER].textContent)"""


@in_browser
def test_the_table_is_sorted_and_filtered(browser, tmp_path, family_page):
    show(browser, tmp_path, family_page)
    heads = "[...document.querySelectorAll('table.sortable th')].map(head => head.textContent)"
    number = browser.ask(heads).index("ms")
    ms = COLUMN.replace("NUMBER", str(number))
    press = f"document.querySelectorAll('table.sortable th button')[{number}].click()"
    for reverse in (False, True):
        browser.ask(press)
        found = [float(text.replace(",", "")) for text in browser.ask(ms)]
        assert found == sorted(found, reverse=reverse) and len(found) == 16 * 4 * 3 * 2
    # What has no speedup comes last, both ways.
    speedup = browser.ask(heads).index("speedup")
    for _ in range(2):
        browser.ask(f"document.querySelectorAll('table.sortable th button')[{speedup}].click()")
        found = browser.ask(COLUMN.replace("NUMBER", str(speedup)))
        assert found[0] and found[-16 * 3 * 2 :] == [""] * 16 * 3 * 2
    browser.ask("document.querySelector('input').value = 'PI5  int8'")
    browser.ask("document.querySelector('input').dispatchEvent(new Event('input'))")
    assert len(browser.ask(ms)) == 16 * 2


@in_browser
def test_names_are_shown_and_do_nothing(browser, tmp_path):
    entries = [entry(name, device=name, variant=name, ms=5 + n, accuracy=500 + n) for n, name in enumerate(NASTY)]
    show(browser, tmp_path, page(replace(sweep(*entries), name=NASTY[0], versions={NASTY[1]: NASTY[2]})))
    assert browser.ask("document.title") == f"{NASTY[0]}: edgenet sweep"
    assert browser.complaints() == []
    assert browser.ask("document.scripts.length") == 1
    text = browser.ask("document.body.textContent")
    assert all(name in text for name in NASTY)
