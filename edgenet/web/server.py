"""The web server: what is asked and answered over HTTP, and what is refused.

Python's own server, a thread for each connection. Every path is one of a fixed list, every body has a size that is
known before it is read, and whoever stops in the middle leaves nothing behind.
"""

import json
import re
import socket
import ssl
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgenet.errors import EdgenetError
from edgenet.web.access import COOKIE
from edgenet.web.service import RefusalError, Service

# Seconds of silence after which a connection is closed.
PATIENCE = 30
# Connections that wait for a thread.
BACKLOG = 256
# The largest body that is no scores: a phone's report.
LARGEST_BODY = 8_000_000

NO_SESSION = "this link was used before or is wrong; scan the code that is shown now"

SCORES = re.compile(r"/runs/([\w-]{1,64})/scores/([\w.-]{1,64})/([0-9]{1,9})")
FINISH = re.compile(r"/runs/([\w-]{1,64})/finish")
PICTURES = re.compile(r"/pictures/([0-9]{1,9})")

# This machine by a number, or by the one name that nobody else can give it; with or without a port.
_HOST = re.compile(r"(localhost|[0-9.]{7,15}|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)

HEADERS = {
    # Threads of WebAssembly are for pages that are isolated from all others.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
        "style-src 'self'; img-src data:; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """Serves one bundle at an address. tls: for https. Raises EdgenetError when the port is taken."""

    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, address: str, port: int, service: Service, tls: ssl.SSLContext | None = None):
        self.service, self.tls = service, tls
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise EdgenetError(
                f"serve: expected a free port at {address}, found {port}: {error.strerror}; name another with --port"
            ) from error
        self.address = f"{'https' if tls else 'http'}://{address}:{self.server_port}/"

    def finish_request(self, request: socket.socket, client_address) -> None:
        request.settimeout(PATIENCE)
        if self.tls:  # here, in the connection's own thread: whoever does not shake hands keeps nobody waiting
            request = self.tls.wrap_socket(request, server_side=True)
        with request:
            super().finish_request(request, client_address)

    def handle_error(self, request, client_address) -> None:
        """A connection that broke is the client's affair; anything else is a fault of ours, told in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.service.tell(f"fault: {type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "edgenet", ""
    server: Server
    _cookie: str | None = None

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, made: Callable[[str], tuple[bytes, str]]) -> None:
        try:
            self._check_host()
            data, kind = made(self.path.split("?")[0])
            self._send(HTTPStatus.OK, data, kind)
        except RefusalError as refusal:
            self._refuse(refusal.status, str(refusal))
        except EdgenetError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))

    def _get(self, path: str) -> tuple[bytes, str]:
        service = self.server.service
        if path not in service.files.open:
            self._check_session()
        if path == "/bundle.json":
            return service.description, "application/json"
        if found := PICTURES.fullmatch(path):
            return service.pictures(int(found[1])), "application/octet-stream"
        if sent := service.files.get(path):
            return sent.data, sent.type
        raise RefusalError(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self, path: str) -> tuple[bytes, str]:
        service = self.server.service
        if path == "/session":
            return self._enter(self._body(1_000))
        self._check_session()
        if path == "/runs":
            self._body(1_000)
            answer = service.begin()
        elif found := SCORES.fullmatch(path):
            run, variant, number = found[1], found[2], int(found[3])
            answer = service.scores(run, variant, number, self._body(service.bytes_of(run, variant, number)))
        elif found := FINISH.fullmatch(path):
            answer = service.finish(found[1], self._body(LARGEST_BODY))
        else:
            raise RefusalError(HTTPStatus.NOT_FOUND, "there is nothing here")
        return json.dumps(answer).encode(), "application/json"

    def _enter(self, body: bytes) -> tuple[bytes, str]:
        try:
            token = json.loads(body)["token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            token = None
        session = self.server.service.doors.enter(token) if isinstance(token, str) else None
        if session is None:
            raise RefusalError(HTTPStatus.FORBIDDEN, NO_SESSION)
        secure = "; Secure" if self.server.tls else ""
        self._cookie = f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict{secure}"
        return b"{}", "application/json"

    def _check_session(self) -> None:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            cookies = {}
        if not self.server.service.doors.knows(cookies[COOKIE].value if COOKIE in cookies else None):
            raise RefusalError(HTTPStatus.FORBIDDEN, NO_SESSION)

    def _check_host(self) -> None:
        """Only requests by an address: a name may be an attacker's that points here (DNS rebinding). And a page of
        another origin has nothing to ask."""
        host = self.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            raise RefusalError(HTTPStatus.MISDIRECTED_REQUEST, "open this page by the address that the terminal shows")
        origin = self.headers.get("Origin")
        if origin is not None and origin.partition("//")[2] != host:
            raise RefusalError(HTTPStatus.FORBIDDEN, "another page may not ask this server")

    def _body(self, largest: int) -> bytes:
        """The body, read to its end. Refuses one without a size, or of more bytes than `largest`."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,18}", length) or "Transfer-Encoding" in self.headers:
            raise RefusalError(HTTPStatus.LENGTH_REQUIRED, "expected a body whose size is said")
        if int(length) > largest:
            raise RefusalError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {largest:,} bytes, found {int(length):,}"
            )
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            raise ConnectionError("the client left in the middle")
        return data

    def _refuse(self, status: HTTPStatus, line: str) -> None:
        # What is left of the body would be taken for the next request.
        self.close_connection = True
        self._send(status, json.dumps({"error": line}).encode(), "application/json")

    def send_error(self, code, message=None, explain=None) -> None:
        """What http.server itself refuses, in the same form."""
        self.headers = getattr(self, "headers", {})
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _send(self, status: HTTPStatus, data: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        if self._cookie:
            self.send_header("Set-Cookie", self._cookie)
            self._cookie = None
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_) -> None:
        """The terminal is for what a person wants to know."""
