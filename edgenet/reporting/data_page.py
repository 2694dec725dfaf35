"""Photos before training as a self-contained HTML page that opens offline: findings, and a sample of each class."""

from importlib.util import find_spec
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.records.training import DataCheck, DataSamples

TEMPLATE = Path(__file__).parent / "data.html"
PAGE = ".html"
# Files that cannot be read that are listed.
MAX_BROKEN = 200


def check_path(path: Path) -> None:
    """Check that a page can be written as this file.

    Raises:
        EdgenetError: It has another ending, or the package that makes pages is not installed.
    """
    if path.suffix.lower() != PAGE:
        raise EdgenetError(f"{path}: a page is a file that ends in {PAGE}", parameter="page")
    if not find_spec("jinja2"):
        raise EdgenetError(f"{path}: a page needs jinja2; run pip install 'edgenet[report]'", parameter="page")


def page(check: DataCheck, samples: DataSamples) -> str:
    """The page.

    Args:
        check: What was found.
        samples: Images of it.
    """
    from edgenet.reporting.data_table import classes_table, sizes_text
    from edgenet.reporting.page import render

    return render(
        TEMPLATE,
        check=check,
        sizes=sizes_text(check),
        table=classes_table(check),
        classes=list(zip(check.classes, samples.classes, strict=True)),
        shared=[(one, shown) for one, shown in zip(check.shared, samples.shared, strict=False) if shown],
        broken=check.broken[:MAX_BROKEN],
    )
