"""`edgenet report`"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli import limits
from edgenet.cli.arguments import add_results, default_bundle, names, tell
from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    from edgenet.analysis.loading import Loaded
    from edgenet.analysis.verdict import Limits

HELP = "show results as a page, as Markdown or as CSV"

PAGE = ".html"
FORMATS = (PAGE, ".md", ".csv")
# What the page is made with, beside what a device has.
NEEDED = ("jinja2", "matplotlib")


def add(parser: argparse.ArgumentParser) -> None:
    add_results(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .html, .md or .csv (default: a page beside the first results)"
    )
    parser.add_argument("--variants", type=names, metavar="NAMES", help="those that are judged (default all)")
    limits.add(parser)


def run(options: argparse.Namespace) -> None:
    from edgenet import files
    from edgenet.analysis import loading

    asked = limits.of(options)
    loaded = loading.load(options.results or [default_bundle()])
    tell(loaded)
    out = options.out or loaded[0].path.with_suffix(PAGE)
    if out.suffix.lower() not in FORMATS:
        raise EdgenetError(f"--out: expected a file that ends in {', '.join(FORMATS)}, found {out.name!r}")
    if out.suffix.lower() == PAGE and missing():
        raise EdgenetError(
            f"report: expected {' and '.join(missing())} for a page, found none; "
            "run pip install 'edgenet[report]', or write --out report.md"
        )
    files.check_writable(out)
    files.write_whole(out, made(loaded, out.suffix.lower(), asked, options.variants).encode())
    print(f"report: {out}")


def missing() -> list[str]:
    """What a page needs and is not installed."""
    return [name for name in NEEDED if not find_spec(name)]


def made(loaded: "Sequence[Loaded]", ending: str, asked: "Limits", variants: tuple[str, ...] | None = None) -> str:
    """The report in the format of FORMATS that `ending` is."""
    from edgenet.analysis import loading

    if ending == ".csv":
        from edgenet.reporting.spreadsheet import spreadsheet

        return spreadsheet(loaded, asked, variants)
    diagnoses = loading.diagnoses(loaded)
    if ending == ".md":
        from edgenet.reporting.markdown import markdown

        return markdown(loaded, diagnoses, asked, variants)
    from edgenet.reporting.page import page

    return page(loaded, diagnoses, asked, variants)


def beside(path: Path) -> str:
    """Write the page of one file of results beside it. Returns a line that says where it lies, or why there is none."""
    from edgenet import files
    from edgenet.analysis import loading
    from edgenet.analysis.verdict import Limits

    if missing():
        return (
            f"report: none here, without {' and '.join(missing())}; copy the results to a laptop, and run "
            f"`edgenet report {path.name}` there"
        )
    page = path.with_suffix(PAGE)
    files.write_whole(page, made(loading.load([path]), PAGE, Limits()).encode())
    return f"report: {page}"
