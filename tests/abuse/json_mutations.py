"""Seeded damage to JSON, and to the records that edgenet writes in it."""

import hashlib
import json
from collections import defaultdict

from mutations import Random, choose


def _leaves(value, path=()) -> list[tuple]:
    """The places of everything in parsed JSON."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            found += _leaves(item, (*path, key))
    return found


def _strange(random: Random):
    return choose(
        random,
        [
            -1,
            0,
            1,
            2**31,
            2**63,
            2**64,
            10**400,
            -(10**18),
            1e308,
            -1e308,
            5e-324,
            float("nan"),
            float("inf"),
            -float("inf"),
            0.5,
            True,
            None,
            "",
            "\0",
            "\ud800",
            "a" * 100_000,
            "../x",
            "/etc/passwd",
            "a\nb",
            "<script>alert(1)</script>",
            "\x1b[2J",
            [],
            {},
            [[]],
            {"": None},
            [None] * 100,
        ],
    )


def json_value(body, random: Random):
    """Parsed JSON with another value, or none, at one place; that is in the body itself."""
    places = defaultdict(list)
    for path in _leaves(body):
        # Of a long list, or of files by their paths, no item counts more than a field that is there once.
        places[tuple("*" if isinstance(key, int) or "." in key else key for key in path)].append(path)
    path = choose(random, choose(random, places.values()))
    inner = body
    for key in path[:-1]:
        inner = inner[key]
    key, kind = path[-1], choose(random, ("replace", "replace", "replace", "remove", "double"))
    if kind == "replace":
        inner[key] = _strange(random)
    elif kind == "remove":
        del inner[key]
    elif isinstance(inner, list):
        inner.append(inner[key])
    else:
        inner[f"{key} "] = inner[key]
    return body


def json_text(data: bytes, random: Random) -> bytes:
    """JSON whose text is damaged."""
    text = data.decode()
    numbers = [place for place, letter in enumerate(text) if letter.isdigit() and not text[place - 1].isalnum()]
    place = choose(random, numbers or [0])
    number = choose(random, ("1e400", "-1e400", "NaN", "Infinity", "9" * 5000, "0" * 100_000, "-", "1" * 400, "01"))
    return choose(
        random,
        [
            lambda: text[:place] + number + text[place:],
            lambda: "[" * 100_000,
            lambda: "[" * 100_000 + "]" * 100_000,
            lambda: '{"a":' * 50_000 + "1" + "}" * 50_000,
            lambda: '{"kind": "edgenet bundle", "format": ' + "[" * 90_000 + "]" * 90_000 + "}",
            lambda: "\ufeff" + text,
            lambda: text.replace("\n", "\r\n"),
            lambda: text.replace('"', "'"),
            lambda: text + text,
            lambda: text[:-3],
            lambda: text.encode("utf-16", "surrogatepass").decode("latin-1"),
            lambda: text.replace(":", ": " + " " * 1000),
            lambda: "null",
            lambda: "[]",
            lambda: "{}",
            lambda: '"edgenet"',
        ],
    )().encode("utf-8", "surrogatepass")


def with_digest(body: dict) -> bytes:
    """A record as edgenet writes it, the digest made again."""
    body = {key: value for key, value in body.items() if key != "digest"}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({**body, "digest": digest}, indent=1).encode() + b"\n"
