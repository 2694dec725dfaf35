"""Records as text and as HTML for notebooks."""

import re
from html.parser import HTMLParser

import pytest
from example_records import DIAGNOSIS, MANIFEST
from made_results import drift, flips, results
from made_sweeps import family
from made_trainings import training
from measured import changed

from edgenet.analysis.choice import choose
from edgenet.analysis.comparison import compare
from edgenet.analysis.loading import from_records
from edgenet.analysis.verdict import Limits, judge
from edgenet.bundle.bundle import Bundle
from edgenet.reporting.display import html_of, text_of

RESULTS = results({"int8": drift(flips(100), lost=100)})
(LOADED,) = from_records([RESULTS])
COMPARISON = compare(from_records([RESULTS, changed(RESULTS, created="2025-02-01T12:00:00Z")]))
FAMILY = family()
VERDICTS = judge(LOADED, Limits(max_drift=0.02, min_speedup=1.1))


@pytest.fixture(
    params=[
        *("results", "comparison", "verdicts", "diagnosis", "manifest", "bundle", "sweep", "choice", "no choice"),
        "training",
    ]
)
def record(request, tmp_path):
    records = {
        "results": RESULTS,
        "comparison": COMPARISON,
        "verdicts": VERDICTS,
        "diagnosis": DIAGNOSIS,
        "manifest": MANIFEST,
        "bundle": Bundle(tmp_path / "tiny", MANIFEST),
        "sweep": FAMILY,
        "choice": choose(FAMILY, device="pi5", max_latency=0.003),
        "training": training(),
        "no choice": choose(FAMILY, device="pi5", min_accuracy=0.99),
    }
    return records[request.param]


class Balanced(HTMLParser):
    """Notes the elements of an HTML text, and that each is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_text(record):
    text = text_of(record)
    assert re.search("^-{10,}$", text, re.MULTILINE) or record is VERDICTS or "No file" in text
    assert max(map(len, text.splitlines())) <= 100


def test_html_is_a_table(record):
    parser = Balanced()
    parser.feed(html_of(record))
    assert parser.open == []
    assert parser.seen[0] == "div" and ("table" in parser.seen or "No file" in html_of(record))
    assert set(parser.seen) <= {*("div", "p", "b", "br", "small", "span", "table", "thead", "tbody", "tr", "th", "td")}


def test_html_of_results():
    html = html_of(RESULTS)
    assert html.count("<table>") == 1
    assert "mobilenet on Raspberry Pi 4" in html and "timing quality: good" in html
    for name in ("int8", "dynamic", "float32", "float16"):
        assert f'<td class="left">{name}</td>' in html


def test_html_of_verdicts():
    html = html_of(VERDICTS)
    assert "mobilenet: fail" in html
    assert '<td class="left">drift 10.00% of 1,000 images, limit 2.00%</td>' in html


def test_names_are_escaped():
    nasty = "<script>alert(1)</script>"
    html = html_of(changed(RESULTS, name=nasty))
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_text_of_a_bundle_has_its_folder(tmp_path):
    assert text_of(Bundle(tmp_path / "tiny", MANIFEST)).startswith(f"{tmp_path / 'tiny'}\n")
    assert str(tmp_path) not in text_of(MANIFEST)


@pytest.mark.parametrize("function", [text_of, html_of])
def test_other_objects_have_none(function):
    with pytest.raises(TypeError, match="for int"):
        function(3)
