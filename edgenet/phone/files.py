"""The files that the server sends: the page, LiteRT.js and the bundle's models. Each has one exact path."""

import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgenet.errors import EdgenetError

PAGE = Path(__file__).parent / "page"
# Where `make web` installs LiteRT.js.
LITERT = Path(sys.prefix, "share", "edgenet", "web", "node_modules", "@litertjs")
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".tflite": "application/octet-stream",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Payload:
    """The body of a response: `size` bytes of a stream, which the receiver closes."""

    stream: BinaryIO
    size: int
    media_type: str

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str) -> "Payload":
        return cls(io.BytesIO(data), len(data), media_type)


def check_installed(litert: Path | None = None) -> None:
    """Raise EdgenetError unless LiteRT.js is in its folder, by default LITERT."""
    litert = litert or LITERT
    if not (litert / "core" / "dist" / "index.js").is_file():
        raise EdgenetError(f"LiteRT.js is not installed in {litert}; run `make web` (it needs npm)")


class ServedFiles:
    """Files by their path on the server.

    Args:
        models: `.tflite` files by variant.
        litert: The folder of LiteRT.js.

    Attributes:
        public: The paths that need no session: the page itself, which has nothing of the bundle.
        litert_version: The version of LiteRT.js.

    Raises:
        EdgenetError: LiteRT.js is not installed.
    """

    def __init__(self, models: dict[str, Path], litert: Path):
        check_installed(litert)
        core = litert / "core"
        self.litert_version: str = json.loads((core / "package.json").read_bytes())["version"]
        page = sorted(path for path in PAGE.iterdir() if path.suffix in MEDIA_TYPES)
        self._paths = {f"/page/{path.name}": path for path in page if path.suffix != ".html"}
        self._paths["/"] = PAGE / "index.html"
        self.public = frozenset(self._paths)
        self._paths["/litert/core.js"] = core / "dist" / "index.js"
        self._paths["/litert/wasm-utils.js"] = litert / "wasm-utils" / "dist" / "index.js"
        wasm = (path for path in (core / "wasm").iterdir() if path.suffix in MEDIA_TYPES)
        self._paths |= {f"/litert/wasm/{path.name}": path for path in wasm}
        self._paths |= {f"/models/{name}.tflite": path for name, path in models.items()}

    def get(self, path: str) -> Payload | None:
        """The file with a path; None if there is none.

        Raises:
            EdgenetError: The file cannot be read any more.
        """
        file = self._paths.get(path)
        if file is None:
            return None
        try:
            if path == "/litert/core.js":  # import maps do not apply to workers
                data = file.read_bytes().replace(b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"')
                return Payload.from_bytes(data, MEDIA_TYPES[file.suffix])
            # As a stream: many connections must not each hold a whole model in memory.
            stream = file.open("rb")
            return Payload(stream, os.fstat(stream.fileno()).st_size, MEDIA_TYPES[file.suffix])
        except OSError as error:
            raise EdgenetError(f"{file.name}: {error.strerror}") from error
