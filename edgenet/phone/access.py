"""Access to the server: one-time tokens, and the sessions that they open."""

import ipaddress
import secrets
import socket
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from edgenet.errors import EdgenetError

COOKIE = "edgenet"
# A further session replaces the one that was not used for longest.
MAX_SESSIONS = 64


class SessionStore:
    """The sessions that may use the server.

    One token is valid at a time. It opens one session, and a new token replaces it.

    Args:
        requires_token: Whether requests need a session; if not, all are allowed.
    """

    def __init__(self, requires_token: bool):
        self._requires_token = requires_token
        self._announce: Callable[[str], None] = lambda token: None
        self._sessions: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()
        self._token = secrets.token_urlsafe(16)

    def announce(self, callback: Callable[[str], None]) -> None:
        """Call `callback` with the current token, and with each new one."""
        with self._lock:
            self._announce = callback
            callback(self._token)

    def open(self, token: str) -> str | None:
        """Use a token. Returns the ID of a new session; None if the token is wrong or was already used."""
        with self._lock:
            if not self._requires_token or not secrets.compare_digest(token.encode(), self._token.encode()):
                return None
            session = secrets.token_urlsafe(32)
            self._sessions[session] = None
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
            self._token = secrets.token_urlsafe(16)
            self._announce(self._token)
        return session

    def is_allowed(self, session: str | None) -> bool:
        """Whether a request with this session ID, or without one, is allowed."""
        if not self._requires_token:
            return True
        with self._lock:
            if session is None or session not in self._sessions:
                return False
            self._sessions.move_to_end(session)
        return True


def check_address(text: str) -> str:
    """Check that a text is an IPv4 address of this machine. Returns it.

    Raises:
        EdgenetError: It is not.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((str(ipaddress.IPv4Address(text)), 0))
    except (ValueError, OSError) as error:
        raise EdgenetError(f"{text!r} is not an IPv4 address of this machine", parameter="lan") from error
    return text


def lan_address() -> str:
    """This machine's address in its local network.

    Raises:
        EdgenetError: It has none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: the system chooses the address that it would use (RFC 5737's example network).
            probe.connect(("192.0.2.1", 9))
            address: str = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    if ipaddress.ip_address(address).is_loopback:
        raise EdgenetError(
            "this machine has no address in a local network; join one, or give the address: lan=192.168.1.5",
            parameter="lan",
        )
    return address
