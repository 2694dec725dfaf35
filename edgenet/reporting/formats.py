"""The formats of a report."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from edgenet import files
from edgenet.analysis.loading import LoadedResults, diagnoses
from edgenet.analysis.verdict import Limits
from edgenet.errors import EdgenetError

PAGE, MARKDOWN, CSV = FORMATS = (".html", ".md", ".csv")
# What the page needs beside what a device has.
PAGE_PACKAGES = ("jinja2", "matplotlib")


def format_of(path: Path) -> str:
    """The format of a file by its ending: one of FORMATS.

    Raises:
        EdgenetError: The ending is another.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise EdgenetError(f"{path}: a report is a file that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    return ending


def check_format(path: Path) -> None:
    """Check that a report can be made in the format of a file.

    Raises:
        EdgenetError: The ending is none of FORMATS, or the page's packages are not installed.
    """
    if format_of(path) == PAGE and (missing := missing_packages()):
        raise EdgenetError(
            f"{path}: a page needs {' and '.join(missing)}; run pip install 'edgenet[report]', or write a .md file"
        )


def write(
    loaded: Sequence[LoadedResults], path: Path, limits: Limits | None = None, variants: Sequence[str] | None = None
) -> None:
    """Write the report of some results to a file, in the format of its ending.

    Args:
        loaded, limits, variants: As in `render`.
        path: The file.

    Raises:
        EdgenetError: As `check_format` and `render`, or the file cannot be written.
    """
    check_format(path)
    files.check_writable(path)
    files.write_atomic(path, render(loaded, format_of(path), limits, variants).encode())


def missing_packages() -> list[str]:
    """The packages of the page that are not installed."""
    return [name for name in PAGE_PACKAGES if not find_spec(name)]


def render(
    loaded: Sequence[LoadedResults], format: str, limits: Limits | None = None, variants: Sequence[str] | None = None
) -> str:
    """The report of some results, with the diagnoses in their folders.

    Args:
        loaded: The results.
        format: One of FORMATS.
        limits: What variants are judged by; none for no verdicts.
        variants: The names of those to judge; all by default.

    Raises:
        EdgenetError: A diagnosis cannot be read, or the results lack what a limit needs.
    """
    limits = limits or Limits()
    if format == CSV:
        from edgenet.reporting.spreadsheet import spreadsheet

        return spreadsheet(loaded, limits, variants)
    if format == MARKDOWN:
        from edgenet.reporting.markdown import markdown

        return markdown(loaded, diagnoses(loaded), limits, variants)
    from edgenet.reporting.page import page

    return page(loaded, diagnoses(loaded), limits, variants)
