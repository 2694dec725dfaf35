"""The report of a training: the terminal, the model card, and the page, in a real browser where there is one."""

import re
from dataclasses import replace

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from drawn_images import draw
from made_trainings import NAMES, outcome, part, training

from edgenet import api
from edgenet.analysis.verdict import Limits
from edgenet.cli.main import main
from edgenet.errors import EdgenetError
from edgenet.reporting.display import html_of, text_of
from edgenet.reporting.training_report import render, write
from edgenet.training import report, summary

NASTY = (
    "<script>document.title = 'broken'</script>",
    '"><img src=x onerror="document.title=\'broken\'">',
    "{{ 7 * 7 }}",
)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    found = outcome()
    for number, file in enumerate([*found.validation.paths, *found.test.paths]):
        (folder / file).parent.mkdir(exist_ok=True)
        draw(np.random.default_rng(number), 32, 32).save(folder / file)
    return summary.summarize(found, folder)


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


def test_the_terminal(made):
    text = text_of(made)
    assert text.startswith("insects: accuracy 0.")
    assert max(map(len, text.splitlines())) <= 100
    for part_of in ("this model", "majority class", "linear head", *NAMES, "Thresholds", "perhaps in the wrong folder"):
        assert part_of in text
    assert "kept: fine-tuned, its validation loss is 0.31, the head's 0.35" in text
    assert html_of(made).count("<table>") >= 2


def test_many_classes_with_long_names_fit_a_terminal():
    names = [f"a rather long name of an insect or a plant, number {number}" for number in range(60)]
    found = training(names, each=3)
    text = text_of(found)
    assert max(map(len, text.splitlines())) <= 100
    assert "Classes: 20 of 60, the lowest accuracies first" in text
    page = render(found, ".html")
    assert "Confusion matrix" not in page and "Confusions" in page


def test_a_perfect_model():
    sure = part(60, 3, 400.0, 0)
    found = training(test=sure, validation=sure)
    assert found.accuracy.value == 1
    assert found.suspects == ()
    for text in (text_of(found), render(found, ".md"), render(found, ".html")):
        assert "Confusions" not in text and "wrong folder" not in text


def test_nothing_that_could_be_left_out(tmp_path):
    few = part(6, 3, 1.0, 0)
    found = training(test=few, validation=few, history=(), given={}, reason="", versions={}, seconds={}, options={})
    assert "Thresholds" not in text_of(found)
    assert render(found, ".html").rstrip().endswith("</html>")


def test_the_page_has_everything(made):
    page = render(made, ".html")
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert titles == [
        "Accuracy by epoch",
        "Loss by epoch",
        "Reliability (bins with equally many images; bars: 95% CI)",
    ]
    assert re.findall("<h2>(.*?)</h2>", page) == [
        *("Accuracy", f"Look at these {len(made.suspects)}: perhaps in the wrong folder", "Classes"),
        *("Confusion matrix", "Confusions", "Thresholds", "Photos", "Training"),
    ]
    assert page.count('src="data:image/jpeg;base64,') == len(made.suspects)
    assert len(page.encode()) < 400_000
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert render(made, ".html") == page


def test_the_card(made):
    card = render(made, ".md")
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings[:4] == ["# insects", "## Use", "## Accuracy", "## Classes"]
    assert "| alpha | 0.75 |" in card
    assert "warning: photos: fewer than 20 images of bees" in card


def test_a_file_of_each_format(made, tmp_path):
    for name, beginning in (("r.html", "<!DOCTYPE html>"), ("r.md", "# insects")):
        assert api.report(made, tmp_path / name) == tmp_path / name
        assert (tmp_path / name).read_text(encoding="utf-8").lstrip().startswith(beginning)
    with pytest.raises(EdgenetError, match=r"r\.csv: the report of a training is a file that ends in \.html or \.md$"):
        write(made, tmp_path / "r.csv")
    with pytest.raises(
        EdgenetError, match=r"^the report of a training has no verdicts; leave the limits and variants="
    ):
        write(made, tmp_path / "r.md", Limits(max_drift=0.1))
    with pytest.raises(EdgenetError, match=r"^report: a training has a report of its own; give it alone$"):
        api.report([made, made], tmp_path / "r.md")


def test_the_command(made, tmp_path, capsys):
    folder = tmp_path / "insects"
    report.write(made, folder)
    (folder / "training.html").unlink()
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"Report: {folder / 'training.html'}\n"
    assert "perhaps in the wrong folder" in (folder / "training.html").read_text(encoding="utf-8")
    assert main(["report", str(folder / "training.json"), "--out", str(tmp_path / "r.md")]) == 0
    assert (tmp_path / "r.md").read_bytes() == (folder / "MODEL_CARD.md").read_bytes()


def test_a_damaged_record(made, tmp_path, capsys):
    report.write(made, tmp_path)
    path = tmp_path / "training.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"kept": "fine', '"kept": "vine'), encoding="utf-8")
    assert main(["report", str(tmp_path)]) == 1
    assert "this edgenet training file was changed after it was written; create it again" in capsys.readouterr().err


def show(browser: Browser, tmp_path, text: str, width: int = 1400, theme: str = "light") -> None:
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    browser.look(width, 900, theme)
    browser.open(path.as_uri())


@in_browser
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1400, "light")])
def test_in_a_browser(browser, tmp_path, made, width, theme):
    show(browser, tmp_path, render(made, ".html"), width, theme)
    assert browser.complaints() == []
    assert browser.ask("document.documentElement.scrollWidth") == width


@in_browser
def test_names_are_shown_and_do_nothing(browser, tmp_path):
    found = replace(training(NASTY), name=NASTY[0], reason=NASTY[1], photos=NASTY[2], options={NASTY[0]: NASTY[1]})
    found = replace(found, suspects=tuple(replace(one, file=NASTY[1]) for one in found.suspects))
    show(browser, tmp_path, render(found, ".html"))
    assert browser.ask("document.title") == f"{NASTY[0]}: edgenet train"
    assert browser.complaints() == []
    assert browser.ask("document.scripts.length") == 0
    text = browser.ask("document.body.textContent")
    assert all(name in text for name in NASTY)
