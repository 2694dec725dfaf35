"""`edgenet help`"""

import argparse
import sys
from importlib.resources import files

from edgenet.errors import EdgenetError

TOPICS = files("edgenet") / "help"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="the topic; the list of topics if none is given")


def run(options: argparse.Namespace) -> None:
    texts = {
        entry.name.removesuffix(".md"): entry.read_text(encoding="utf-8")
        for entry in TOPICS.iterdir()
        if entry.name.endswith(".md")
    }
    if options.topic is None:
        width = max(map(len, texts)) + 2
        for name in sorted(texts):
            print(f"{name:<{width}}{_title(texts[name])}")
        print("\n`edgenet help TOPIC` shows a topic, `edgenet COMMAND --help` the options of a command.")
    elif options.topic in texts:
        sys.stdout.write(texts[options.topic])
    else:
        raise EdgenetError(f"help: no topic {options.topic!r}; topics: {', '.join(sorted(texts))}")


def _title(text: str) -> str:
    return text.splitlines()[0].lstrip("# ")
