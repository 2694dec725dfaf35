"""Limits: connections, sessions, time and memory that clients can use."""

import socket
import threading
import time

import pytest
from phones import Phone

from edgenet.phone import access
from edgenet.phone.access import SessionStore
from edgenet.phone.files import ServedFiles

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# Tries of a client that never stops by itself: a server without a limit outlasts them.
TRIES = 400


@pytest.fixture
def served(serve, tiny_bundle):
    with serve(tiny_bundle) as serving:
        yield serving


def connect(served) -> socket.socket:
    return socket.create_connection(served.server.server_address[:2], timeout=20)


def status(connection: socket.socket) -> bytes:
    try:
        return connection.recv(100).partition(b"\r\n")[0]
    except ConnectionResetError:  # refused before the request was read
        return b""


def test_connections_beyond_the_limit_are_refused_and_taken_when_others_end(serve, tiny_bundle, monkeypatch):
    monkeypatch.setattr("edgenet.phone.server.MAX_CONNECTIONS", 3)
    with serve(tiny_bundle) as served:
        held = [connect(served) for _ in range(3)]
        for connection in held:
            connection.sendall(GET)
            assert status(connection) == b"HTTP/1.1 200 OK"
        with connect(served) as refused:
            assert status(refused) == b"HTTP/1.1 503 Service Unavailable"
            assert refused.recv(100) == b""
        assert threading.active_count() < 20
        for connection in held:
            connection.close()
        for _ in range(TRIES):  # until the server has seen that they are gone
            with connect(served) as connection:
                connection.sendall(GET)
                if status(connection) == b"HTTP/1.1 200 OK":
                    break
            time.sleep(0.02)
        else:
            pytest.fail("closed connections stay taken")


def drip(connection: socket.socket, data: bytes) -> bool:
    """Send a byte now and then. Returns whether the server ended it."""
    for number in range(TRIES):
        try:
            connection.sendall(data[number % len(data) :][:1])
        except OSError:
            return True
        connection.settimeout(0.05)
        try:
            if connection.recv(1_000) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    ("head", "byte"),
    [
        (b"", b"G"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"x"),
        (b"POST /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n", b"x"),
    ],
    ids=["request line", "header", "body"],
)
def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(serve, tiny_bundle, monkeypatch, head, byte):
    monkeypatch.setattr("edgenet.phone.server.HEAD_SECONDS", 1)
    monkeypatch.setattr("edgenet.phone.server.BODY_SECONDS", 1)
    with serve(tiny_bundle) as served:
        with connect(served) as connection:
            connection.sendall(head)
            assert drip(connection, byte)
        assert Phone(served.server).get("/").status == 200


def test_a_head_without_end_is_cut_off(served):
    with connect(served) as connection:
        sent = 0
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            for number in range(90):  # fewer lines than Python allows, of nearly the length that it allows
                line = b"X-%d: %s\r\n" % (number, b"x" * 60_000)
                connection.sendall(line)
                sent += len(line)
                time.sleep(0.01)
            connection.sendall(b"\r\n")
            assert not status(connection).startswith(b"HTTP/1.1 200")
        except OSError:
            assert sent < 90 * 60_000


def test_sessions_are_bounded_and_the_one_in_use_stays():
    tokens, sessions = [], SessionStore(requires_token=True)
    sessions.announce(tokens.append)
    first = sessions.open(tokens[-1])
    second = sessions.open(tokens[-1])
    for _ in range(access.MAX_SESSIONS - 1):
        assert sessions.is_allowed(first)
        assert sessions.open(tokens[-1])
    assert sessions.is_allowed(first) and not sessions.is_allowed(second)


def test_a_model_is_sent_in_pieces(litert, tmp_path):
    path = tmp_path / "large.tflite"
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # a hole: more than fits in memory
    sent = ServedFiles({"large": path}, litert).get("/models/large.tflite")
    with sent.stream:
        assert sent.size == 1 << 40 and sent.stream.read(4) == bytes(4)


def test_a_reader_that_is_slow_gets_all(served, tiny_bundle):
    model = tiny_bundle.file("float32.tflite").read_bytes()
    with connect(served) as connection:
        connection.sendall(b"GET /models/float32.tflite HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        data = b""
        while piece := connection.recv(4_096):
            data += piece
    assert data.partition(b"\r\n\r\n")[2] == model
