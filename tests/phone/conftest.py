"""A served bundle."""

import shutil
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from phones import Phone

from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.phone.access import SessionStore
from edgenet.phone.server import Server
from edgenet.phone.service import Service


@pytest.fixture(scope="session")
def litert(tmp_path_factory):
    """A folder like that of LiteRT.js."""
    folder = tmp_path_factory.mktemp("litertjs")
    for part in ("core/dist", "core/wasm", "wasm-utils/dist"):
        (folder / part).mkdir(parents=True)
    (folder / "core/dist/index.js").write_text('import { createWasmLib } from "@litertjs/wasm-utils";\n')
    (folder / "core/package.json").write_text('{"version": "2.5.3"}')
    (folder / "wasm-utils/dist/index.js").write_text("export {};\n")
    (folder / "core/wasm/litert_wasm_internal.wasm").write_bytes(b"\0asm")
    return folder


@pytest.fixture
def serve(litert):
    """Serve a bundle until the block ends. Yields the server, its log, its results and its tokens.

    faults: the number of lines that the server logs.
    """

    @contextmanager
    def serving(
        bundle: Bundle, requires_token: bool = False, names: tuple[str, ...] | None = None, faults: int = 0, **tls
    ):
        logged, finished, tokens = [], [], []
        sessions = SessionStore(requires_token)
        service = Service(
            bundle,
            names,
            sessions,
            rounds=6,
            seconds=0.01,
            command="edgenet serve",
            log=logged.append,
            on_results=lambda path, results: finished.append((path, results)),
            litert=litert,
        )
        sessions.announce(tokens.append)
        with Server("127.0.0.1", 0, service, **tls) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            try:
                yield SimpleNamespace(server=server, logged=logged, finished=finished, tokens=tokens)
            finally:
                server.shutdown()
        assert len(logged) == faults, logged

    return serving


@pytest.fixture
def bundle(tiny_bundle, tmp_path):
    """A copy that results are written into."""
    return bundles.load(shutil.copytree(tiny_bundle.folder, tmp_path / "tiny"))


@pytest.fixture
def served(serve, bundle):
    with serve(bundle) as serving:
        yield serving


@pytest.fixture
def phone(served):
    return Phone(served.server)
