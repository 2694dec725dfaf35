"""`edgenet data`"""

import argparse
from dataclasses import replace
from pathlib import Path

from edgenet.cli.arguments import print_next
from edgenet.cli.wording import as_options, shown_progress
from edgenet.errors import EdgenetError


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        f"{parser.description} Exit code: 0, or 1 where no model can be trained on them as they are, or after an error."
    )
    parser.add_argument("action", choices=["check"], metavar="check", help="check the photos; nothing is changed")
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder with a folder of images for each class")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write an HTML page with a sample of each class to FILE"
    )
    parser.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")


def run(options: argparse.Namespace) -> None:
    from edgenet import files
    from edgenet.reporting import data_page
    from edgenet.reporting.data_table import data_table
    from edgenet.training import check
    from edgenet.training.samples import samples

    if options.page:
        data_page.check_path(options.page)
        files.check_writable(options.page)
    with shown_progress() as progress:
        checked = check.check(options.photos, skip_broken=options.skip_broken, progress=progress)
        findings = tuple(replace(finding, text=as_options(finding.text)) for finding in checked.check.findings)
        shown = replace(checked.check, findings=findings)
        if options.page:
            progress.step("writing the page")
            files.write_atomic(options.page, data_page.page(shown, samples(checked)).encode("utf-8", "replace"))
    print(data_table(shown))
    if options.page:
        print(f"\nPage: {options.page}")
    if shown.problems:
        raise EdgenetError(f"{options.photos}: no model can be trained on this yet; fix what is marked as wrong above")
    if not options.page:
        print_next(f"edgenet data check {options.photos} --page photos.html")
