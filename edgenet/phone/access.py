"""Who may come in: tokens that work once, and the sessions that they open."""

import ipaddress
import secrets
import socket
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from edgenet.errors import EdgenetError

COOKIE = "edgenet"
# Sessions at a time; a new one takes the place of that which was not used for longest.
MAX_SESSIONS = 64


class Doors:
    """Open to everybody (`guarded` false), or to those who bring the token that is shown at that moment.

    A token opens one session, and the next one takes its place.
    """

    def __init__(self, guarded: bool):
        self._guarded = guarded
        self._show: Callable[[str], None] = lambda token: None
        self._sessions: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()
        self._token = secrets.token_urlsafe(16)

    def show(self, shown: Callable[[str], None]) -> None:
        """Call `shown` with the token of this moment, and with each that follows."""
        with self._lock:
            self._show = shown
            shown(self._token)

    def enter(self, token: str) -> str | None:
        """The name of a new session, or None for a token that is wrong or was used."""
        with self._lock:
            if not self._guarded or not secrets.compare_digest(token.encode(), self._token.encode()):
                return None
            session = secrets.token_urlsafe(32)
            self._sessions[session] = None
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
            self._token = secrets.token_urlsafe(16)
            self._show(self._token)
        return session

    def knows(self, session: str | None) -> bool:
        """Whether somebody with this session, or without one, may come in."""
        if not self._guarded:
            return True
        with self._lock:
            if session not in self._sessions:
                return False
            self._sessions.move_to_end(session)
        return True


def given_address(text: str) -> str:
    """An address of this machine, as somebody typed it. Raises EdgenetError when it is none."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((str(ipaddress.IPv4Address(text)), 0))
    except (ValueError, OSError) as error:
        raise EdgenetError(f"--lan: expected an IPv4 address of this machine, found {text!r}") from error
    return text


def lan_address() -> str:
    """This machine's address in its local network. Raises EdgenetError when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it asks which address would (RFC 5737's example network)
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    if ipaddress.ip_address(address).is_loopback:
        raise EdgenetError(
            "--lan: expected an address in a local network, found none; join one, or name it: --lan 192.168.1.5"
        )
    return address
