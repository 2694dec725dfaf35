"""The files that a browser gets: the page, LiteRT.js, and the bundle's models; each by one exact path, nothing else."""

import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgenet.errors import EdgenetError

PAGE = Path(__file__).parent / "page"
# Where `make web` puts LiteRT.js: beside the packages of the Python that runs this.
LITERT = Path(sys.prefix, "share", "edgenet", "web", "node_modules", "@litertjs")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".tflite": "application/octet-stream",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Sent:
    """What is sent for a path: `size` bytes of a stream, which the receiver closes."""

    stream: BinaryIO
    size: int
    type: str

    @classmethod
    def of(cls, data: bytes, kind: str) -> "Sent":
        return cls(io.BytesIO(data), len(data), kind)


class Files:
    """By path. open: those that need no session: the page itself, which holds nothing of the bundle. version: of
    LiteRT.js.

    Raises EdgenetError where LiteRT.js is not installed.
    """

    def __init__(self, models: dict[str, Path], litert: Path):
        core = litert / "core"
        if not (core / "dist" / "index.js").is_file():
            raise EdgenetError(f"serve: expected LiteRT.js in {litert}, found none; run `make web` (it needs npm)")
        self.version = json.loads((core / "package.json").read_bytes())["version"]
        page = sorted(path for path in PAGE.iterdir() if path.suffix in TYPES)
        self._paths = {f"/page/{path.name}": path for path in page if path.suffix != ".html"}
        self._paths["/"] = PAGE / "index.html"
        self.open = frozenset(self._paths)
        self._paths["/litert/core.js"] = core / "dist" / "index.js"
        self._paths["/litert/wasm-utils.js"] = litert / "wasm-utils" / "dist" / "index.js"
        self._paths |= {f"/litert/wasm/{path.name}": path for path in (core / "wasm").iterdir() if path.suffix in TYPES}
        self._paths |= {f"/models/{name}.tflite": path for name, path in models.items()}

    def get(self, path: str) -> Sent | None:
        """The file of a path, None where there is none. Raises EdgenetError when it has gone meanwhile."""
        found = self._paths.get(path)
        if found is None:
            return None
        try:
            if path == "/litert/core.js":  # no import map reaches a worker
                data = found.read_bytes().replace(b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"')
                return Sent.of(data, TYPES[found.suffix])
            # Models are large: never whole in memory, for each of many connections.
            stream = found.open("rb")
            return Sent(stream, os.fstat(stream.fileno()).st_size, TYPES[found.suffix])
        except OSError as error:
            raise EdgenetError(f"{found.name}: expected a file to send, found: {error.strerror}") from error
