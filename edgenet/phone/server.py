"""The web server: requests and responses over HTTP.

Python's own server, with a limited number of connections and a thread for each. Every path is one of a fixed list, the
size and the duration of every request are limited, and a request that ends early has no effect.
"""

import io
import json
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore
from typing import Any

from edgenet.errors import EdgenetError
from edgenet.phone.access import COOKIE
from edgenet.phone.files import Payload
from edgenet.phone.service import RequestError, Service

# A connection is closed after this long without a byte.
TIMEOUT_SECONDS = 30
# The longest time for a request's head, including the wait for it, and for its body.
HEAD_SECONDS, BODY_SECONDS = 60, 60
# Connections that are served at the same time, and those that wait to be accepted.
MAX_CONNECTIONS, BACKLOG = 256, 256
# Reports that are read at the same time.
MAX_REPORTS = 16
# Bytes of a request's head; a browser's has about 1,000. Python limits the request line to half as many.
MAX_HEAD_BYTES = 131_072
# Bytes that are sent at a time; each such piece may take TIMEOUT_SECONDS.
PIECE_BYTES = 65_536
# A phone's report, the largest body beside scores; and the others.
MAX_REPORT_BYTES, MAX_SMALL_BYTES = 8_000_000, 1_000

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NO_SESSION = "this link was already used or is wrong; scan the code that the terminal shows now"
NOT_FOUND = "there is no such page"

SCORES = re.compile(r"/runs/([\w-]{1,64})/scores/([\w.-]{1,64})/([0-9]{1,9})")
FINISH = re.compile(r"/runs/([\w-]{1,64})/finish")
IMAGES = re.compile(r"/images/([0-9]{1,9})")

# This machine by its address, or by the name that always means this machine; with or without a port.
_HOST = re.compile(r"(localhost|[0-9.]{7,15}|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)

HEADERS = {
    # WebAssembly has threads only on pages that are isolated from all others.
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
    """Serves one bundle.

    Args:
        address: An IP address of this machine.
        port: The port; 0 for any that is free.
        service: Answers the requests.
        tls: For https.

    Attributes:
        address: The URL of the page.

    Raises:
        EdgenetError: The port is not available.
    """

    daemon_threads = True
    request_queue_size = BACKLOG
    # On Windows, this option would let two servers use one port.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, address: str, port: int, service: Service, tls: ssl.SSLContext | None = None):
        self.service, self.tls = service, tls
        self.reports = BoundedSemaphore(MAX_REPORTS)
        self._free = BoundedSemaphore(MAX_CONNECTIONS)
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise EdgenetError(
                f"port {port} at {address} is not available ({error.strerror}); choose another", parameter="port"
            ) from error
        self.address = f"{'https' if tls else 'http'}://{address}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self._reject(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was started
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def _reject(self, request: socket.socket) -> None:
        """Refuse a connection, without waiting for it."""
        with suppress(OSError):
            request.setblocking(False)
            if not self.tls:  # before the TLS handshake, there can be no response
                request.send(BUSY)
        self.shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        self.service.close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(TIMEOUT_SECONDS)
        if self.tls:  # in the thread of this connection, so that a slow handshake delays no other
            request = self.tls.wrap_socket(request, server_side=True)
        with request:
            super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an unexpected exception in one line; broken connections are not logged."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.service.log(f"internal error: {type(error).__name__}: {error}")


class _Reader(io.RawIOBase):
    """Reads from a connection, with a limit of time and bytes."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self.allow(0, 0)

    def allow(self, seconds: float, count: int) -> None:
        """From now on, read for at most `seconds`, and about `count` bytes."""
        self._deadline, self._left = time.monotonic() + seconds, count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError after too long, and ConnectionError after too many bytes."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        if self._left <= 0:
            raise ConnectionError("the request was too large")
        self._connection.settimeout(min(TIMEOUT_SECONDS, left))
        count = self._connection.recv_into(buffer)
        self._left -= count
        return count


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "edgenet", ""
    server: Server
    _cookie: str | None = None

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._reader = _Reader(self.connection)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        self._reader.allow(HEAD_SECONDS, MAX_HEAD_BYTES)
        super().handle_one_request()

    def do_GET(self) -> None:
        self._respond(self._get)

    def do_POST(self) -> None:
        self._respond(self._post)

    def _respond(self, handle: Callable[[str], Payload]) -> None:
        try:
            self._check_host()
            self._send(HTTPStatus.OK, handle(self.path.split("?")[0]))
        except RequestError as error:
            self._refuse(error.status, str(error))
        except EdgenetError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))

    def _get(self, path: str) -> Payload:
        service = self.server.service
        if path not in service.files.public:
            self._check_session()
        if path == "/bundle.json":
            return Payload.from_bytes(service.description, "application/json")
        if match := IMAGES.fullmatch(path):
            return Payload.from_bytes(service.images(int(match[1])), "application/octet-stream")
        if file := service.files.get(path):
            return file
        raise RequestError(HTTPStatus.NOT_FOUND, NOT_FOUND)

    def _post(self, path: str) -> Payload:
        service = self.server.service
        if path == "/session":
            return self._open_session(self._body(MAX_SMALL_BYTES))
        self._check_session()
        if path == "/runs":
            self._body(MAX_SMALL_BYTES)
            response: dict[str, Any] = service.begin()
        elif match := SCORES.fullmatch(path):
            run, variant, number = match[1], match[2], int(match[3])
            data = self._body(service.output_bytes(run, variant, number))
            response = service.scores(run, variant, number, data)
        elif match := FINISH.fullmatch(path):
            service.check_run(match[1])
            with self.server.reports:
                response = service.finish(match[1], self._body(MAX_REPORT_BYTES))
        else:
            raise RequestError(HTTPStatus.NOT_FOUND, NOT_FOUND)
        return Payload.from_bytes(json.dumps(response).encode(), "application/json")

    def _open_session(self, body: bytes) -> Payload:
        try:
            token = json.loads(body)["token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            token = None
        session = self.server.service.sessions.open(token) if isinstance(token, str) else None
        if session is None:
            raise RequestError(HTTPStatus.FORBIDDEN, NO_SESSION)
        secure = "; Secure" if self.server.tls else ""
        self._cookie = f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict{secure}"
        return Payload.from_bytes(b"{}", "application/json")

    def _check_session(self) -> None:
        cookies: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            cookies.load(self.headers.get("Cookie", ""))
        if not self.server.service.sessions.is_allowed(cookies[COOKIE].value if COOKIE in cookies else None):
            raise RequestError(HTTPStatus.FORBIDDEN, NO_SESSION)

    def _check_host(self) -> None:
        """Allow only requests to an IP address or localhost, since an attacker's name may resolve to this machine (DNS
        rebinding), and only from the page itself."""
        host = self.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            raise RequestError(HTTPStatus.MISDIRECTED_REQUEST, "open this page by the address in the terminal")
        origin = self.headers.get("Origin")
        if origin is not None and origin.partition("//")[2] != host:
            raise RequestError(HTTPStatus.FORBIDDEN, "requests from other pages are not allowed")

    def _body(self, largest: int) -> bytes:
        """The whole body. Refuses one of unknown size, or of more bytes than `largest`."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,18}", length) or "Transfer-Encoding" in self.headers:
            raise RequestError(HTTPStatus.LENGTH_REQUIRED, "expected a body with a Content-Length")
        if int(length) > largest:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {largest:,} bytes, got {int(length):,}"
            )
        self._reader.allow(BODY_SECONDS, int(length) + io.DEFAULT_BUFFER_SIZE)
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            raise ConnectionError("the client disconnected")
        return data

    def _refuse(self, status: HTTPStatus, line: str) -> None:
        # The rest of the body would be read as the next request.
        self.close_connection = True
        self._send(status, Payload.from_bytes(json.dumps({"error": line}).encode(), "application/json"))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send the errors of http.server itself in the same form."""
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _send(self, status: HTTPStatus, payload: Payload) -> None:
        self.connection.settimeout(TIMEOUT_SECONDS)
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", payload.media_type)
        self.send_header("Content-Length", str(payload.size))
        if self.close_connection:
            self.send_header("Connection", "close")
        if self._cookie:
            self.send_header("Set-Cookie", self._cookie)
            self._cookie = None
        self.end_headers()
        with payload.stream:
            left = 0 if self.command == "HEAD" else payload.size
            while left:
                piece = payload.stream.read(min(PIECE_BYTES, left))
                if not piece:
                    raise ConnectionError("a file became shorter while it was sent")
                self.wfile.write(piece)
                left -= len(piece)

    def log_message(self, *_: Any) -> None:
        """Print nothing for each request."""
