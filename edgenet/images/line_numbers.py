"""Class names that carry their own index: "0 Cat", "1: dog", "bird,2"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A separator may have spaces around it. Behind a name only those count that no name has before a number of its own, as
# in "Boeing 747" or "F-16".
_FORMS = (
    ("before", re.compile(r"(?P<number>[0-9]{1,9})\s*(?P<separator>[,;:|=.)\]_-])\s*(?P<name>\S.*)")),
    ("before", re.compile(r"(?P<number>[0-9]{1,9})(?P<separator>)\s+(?P<name>\S.*)")),
    ("after", re.compile(r"(?P<name>.*\S)\s*(?P<separator>[,;:|=])\s*(?P<number>[0-9]{1,9})")),
    ("after", re.compile(r"(?P<name>.*\S)(?P<separator>)\s*\t\s*(?P<number>[0-9]{1,9})")),
)
# Between two numbers these make another: "0.5", "1-2".
_IN_NUMBERS = (".", "_", "-")


@dataclass(frozen=True)
class Numbered:
    """Names in the order of their numbers, and a sentence that says so."""

    names: list[str]
    note: str


def without_numbers(lines: Sequence[str]) -> Numbered | None:
    """Take the index off each line, and sort by it.

    Args:
        lines: Lines without spaces around them, none empty.

    Returns:
        None if the numbers belong to the names: unless every line has one, with the same separator, and they are 0 to
        n - 1 or 1 to n, each once; or if names differ in nothing else ("1 euro", "2 euro").
    """
    for place, form in _FORMS:
        found = [form.fullmatch(line) for line in lines]
        matches = [match for match in found if match]
        if len(lines) < 2 or len(matches) < len(lines) or len({match["separator"] for match in matches}) > 1:
            continue
        names, numbers = [match["name"] for match in matches], [int(match["number"]) for match in matches]
        order = counting_order(numbers)
        is_one_number = matches[0]["separator"] in _IN_NUMBERS and all(map(str.isdecimal, names))
        if order is None or is_one_number or not _differ(names):
            continue
        if matches[0]["separator"] in (",", ";"):
            names = [name[1:-1].replace('""', '"') if re.fullmatch('".+"', name) else name for name in names]
        note = f"the numbers {place} the names are their classes" + (", counted from 1" if min(numbers) else "")
        return Numbered([names[index] for index in order], note)
    return None


def counting_order(numbers: Sequence[int]) -> list[int] | None:
    """The order that sorts numbers which are 0 to n - 1, or 1 to n, each once; None for others."""
    count = len(numbers)
    order = sorted(range(count), key=numbers.__getitem__)
    in_order = [numbers[index] for index in order]
    return order if in_order and in_order in (list(range(count)), list(range(1, count + 1))) else None


def _differ(names: Sequence[str]) -> bool:
    """Whether names are those of different classes, as singular and plural are not. In ImageNet a few come twice."""
    different = {name.casefold().removesuffix("s") for name in names}
    return len(different) >= len(names) - len(names) // 100
