"""The lines of a plan's keys. In these documents every number is that of its own line."""

import random
import sys

import pytest

from edgenet.sweep.plan_lines import Lines

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EVERYTHING = '''\
top = 1
# [no.table] = 7
dotted . "quoted.key" . 'x' = 3

[table] # a remark with "quotes and [brackets]
a = 6
text = """
b = 8
\\""" ] still text """"
literal = \'\'\'
c = """
\'\'\'
c = 13
list = [ 14,
  15, "]", # 99 ]

  [ 17, { in = 17, "a,}" = 17 } ], \'#\',

  19, ]
inline = { x.y = 20, z = [20, 20], s = "}" }
"esc\\u0061ped\\t" = 21

[[models]]
a = 24
  [[models.layers]]
  b = 26
  [[models.layers]]
  b = 28
  [models.layers.deep]
  c = 30

[[models]]
a = 33
[[models.layers]]
b = [
  36,
  37]
[other.table]
when = 2020-01-01 10:00:00
d = 40'''


def numbers(value, place=()):
    """Each number of a document, and the way to it."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from numbers(one, (*place, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from numbers(one, (*place, index))
    elif isinstance(value, int):
        yield place, value


def check(text: str) -> int:
    lines, found = Lines(text), list(numbers(tomllib.loads(text)))
    assert {place: lines.line(place) for place, _ in found} == dict(found)
    return len(found)


def test_all_of_toml():
    assert check(EVERYTHING) == 22
    assert check(EVERYTHING.replace("\n", "\r\n")) == 22


def test_tables_have_the_line_of_their_header():
    lines = Lines(EVERYTHING)
    expected = {
        ("table",): 5,
        ("models",): 23,
        ("models", 1): 32,
        ("models", 1, "layers", 0): 34,
        ("other", "table"): 38,
    }
    assert {place: lines.line(place) for place in expected} == expected


def test_what_is_missing_has_the_line_of_what_it_would_be_in():
    lines = Lines(EVERYTHING)
    assert lines.line(("models", 1, "alpha")) == 32
    assert lines.line(("table", "list", 40)) == 14
    assert lines.line(("nothing", "at all")) == 1
    assert Lines("").line(("a",)) == 1


def made(rng: random.Random) -> str:
    """A document of tables, arrays of tables and values over several lines."""
    written: list[str] = []

    def value(depth: int) -> None:
        """Write a value behind what is in the last line."""
        kind = rng.choice("nnnstlai" if depth < 3 else "nnst")
        if kind == "n":
            written[-1] += str(len(written))
        elif kind == "s":
            written[-1] += rng.choice(['"a = [1"', "'# {'", '"\\"]"', '""', "''"])
        elif kind == "t":
            written[-1] += rng.choice(['"""', "'''"])
            mark = written[-1][-3:]
            written.extend(["x = 999 # ["] * rng.randrange(3))
            written.append(mark)
        elif kind in "la":
            written[-1] += "["
            for _ in range(rng.randrange(4)):
                if rng.random() < 0.4:
                    written.append("  # 999, ]" if rng.random() < 0.3 else "  ")
                    written.append("  ")
                value(depth + 1)
                written[-1] += ", "
            written[-1] += "]"
        else:
            written[-1] += "{"
            for index in range(rng.randrange(3)):
                written[-1] += f"{', ' if index else ''}k{index} = "
                inline = len(written)
                value(3)
                if len(written) > inline:  # a text of several lines
                    continue
            written[-1] += "}"

    def pairs(count: int) -> None:
        for index in range(count):
            written.append(rng.choice(["", "  "]) + rng.choice(["k{} = ", "a.b{} = ", '"q.r{}" = ']).format(index))
            value(0)
            written.extend(["", "# 999"][: rng.randrange(3)])

    pairs(rng.randrange(4))
    for index in range(rng.randrange(6)):
        written.append(rng.choice(["[[array]]", f"[array{index}]", f"[t.u{index}]", "[[s.'v w']]", f'[x{index}."y"]']))
        pairs(rng.randrange(4))
    return "\n".join(written)


@pytest.mark.parametrize("seed", range(4))
def test_random_documents(seed):
    rng = random.Random(seed)
    assert sum(check(made(rng)) for _ in range(200)) > 500


@pytest.mark.parametrize("seed", range(2))
def test_what_is_not_toml_ends(seed):
    rng = random.Random(seed)
    for _ in range(500):
        text = list(EVERYTHING)
        for _ in range(rng.randrange(1, 8)):
            text[rng.randrange(len(text))] = rng.choice("[]{}\"'=,#.\n\\ a")
        assert Lines("".join(text)).line(("models", 0, "a")) >= 1
