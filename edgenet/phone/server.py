"""The web server: what is asked and answered over HTTP, and what is refused.

Python's own server, a thread for each connection, and a limit to those. Every path is one of a fixed list, every
request has a size and a time that it may take, and one that stops in the middle leaves nothing behind.
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

from edgenet.errors import EdgenetError
from edgenet.phone.access import COOKIE
from edgenet.phone.files import Sent
from edgenet.phone.service import RefusalError, Service

# Seconds of silence after which a connection is closed; and those in which a request's head, silence before it
# included, and its body must have come, so that a byte now and then holds no connection.
PATIENCE, HEAD_SECONDS, BODY_SECONDS = 30, 60, 60
# Connections that are served at a time, and those that wait to be accepted.
MAX_CONNECTIONS, BACKLOG = 256, 256
# Reports that are read at a time, each of up to LARGEST_BODY.
MAX_REPORTS = 16
# Bytes of a request's head; a browser's has about 1,000. Python limits the request line to half as many.
MAX_HEAD_BYTES = 131_072
# Bytes that are sent at a time; each such piece has PATIENCE seconds.
PIECE_BYTES = 65_536
# The largest body that is no scores: a phone's report.
LARGEST_BODY = 8_000_000

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
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
        self.reports = BoundedSemaphore(MAX_REPORTS)
        self._free = BoundedSemaphore(MAX_CONNECTIONS)
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise EdgenetError(
                f"serve: expected a free port at {address}, found {port}: {error.strerror}; name another with --port"
            ) from error
        self.address = f"{'https' if tls else 'http'}://{address}:{self.server_port}/"

    def process_request(self, request: socket.socket, client_address) -> None:
        if not self._free.acquire(blocking=False):
            self._turn_away(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was started
            self._free.release()
            raise

    def process_request_thread(self, request: socket.socket, client_address) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def _turn_away(self, request: socket.socket) -> None:
        """Refuse one connection too many, without waiting for it."""
        with suppress(OSError):
            request.setblocking(False)
            if not self.tls:  # a client that expects a handshake understands no answer
                request.send(BUSY)
        self.shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        self.service.close()

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


class _Reader(io.RawIOBase):
    """What a connection sends, until so many seconds or bytes are over."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self.allow(0, 0)

    def allow(self, seconds: float, count: int) -> None:
        """From now on, give what comes within `seconds`, and about `count` bytes of it."""
        self._deadline, self._left = time.monotonic() + seconds, count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        """Raises TimeoutError, and ConnectionError after too many bytes."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        if self._left <= 0:
            raise ConnectionError("the request was too large")
        self._connection.settimeout(min(PATIENCE, left))
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
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, made: Callable[[str], Sent]) -> None:
        try:
            self._check_host()
            self._send(HTTPStatus.OK, made(self.path.split("?")[0]))
        except RefusalError as refusal:
            self._refuse(refusal.status, str(refusal))
        except EdgenetError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))

    def _get(self, path: str) -> Sent:
        service = self.server.service
        if path not in service.files.open:
            self._check_session()
        if path == "/bundle.json":
            return Sent.of(service.description, "application/json")
        if found := PICTURES.fullmatch(path):
            return Sent.of(service.pictures(int(found[1])), "application/octet-stream")
        if sent := service.files.get(path):
            return sent
        raise RefusalError(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self, path: str) -> Sent:
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
            service.check_begun(found[1])
            with self.server.reports:
                answer = service.finish(found[1], self._body(LARGEST_BODY))
        else:
            raise RefusalError(HTTPStatus.NOT_FOUND, "there is nothing here")
        return Sent.of(json.dumps(answer).encode(), "application/json")

    def _enter(self, body: bytes) -> Sent:
        try:
            token = json.loads(body)["token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            token = None
        session = self.server.service.doors.enter(token) if isinstance(token, str) else None
        if session is None:
            raise RefusalError(HTTPStatus.FORBIDDEN, NO_SESSION)
        secure = "; Secure" if self.server.tls else ""
        self._cookie = f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict{secure}"
        return Sent.of(b"{}", "application/json")

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
        self._reader.allow(BODY_SECONDS, int(length) + io.DEFAULT_BUFFER_SIZE)
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            raise ConnectionError("the client left in the middle")
        return data

    def _refuse(self, status: HTTPStatus, line: str) -> None:
        # What is left of the body would be taken for the next request.
        self.close_connection = True
        self._send(status, Sent.of(json.dumps({"error": line}).encode(), "application/json"))

    def send_error(self, code, message=None, explain=None) -> None:
        """What http.server itself refuses, in the same form."""
        self.headers = getattr(self, "headers", {})
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _send(self, status: HTTPStatus, sent: Sent) -> None:
        self.connection.settimeout(PATIENCE)
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", sent.type)
        self.send_header("Content-Length", str(sent.size))
        if self.close_connection:
            self.send_header("Connection", "close")
        if self._cookie:
            self.send_header("Set-Cookie", self._cookie)
            self._cookie = None
        self.end_headers()
        with sent.stream:
            left = 0 if self.command == "HEAD" else sent.size
            while left:
                piece = sent.stream.read(min(PIECE_BYTES, left))
                if not piece:
                    raise ConnectionError("a file became shorter while it was sent")
                self.wfile.write(piece)
                left -= len(piece)

    def log_message(self, *_) -> None:
        """The terminal is for what a person wants to know."""
