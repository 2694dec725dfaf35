"""The way to a scheduler: its address, whether it is safe, and what is wrong if nothing answers."""

import ipaddress
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edgenet.errors import EdgenetError, first_sentence
from edgenet.sweep import certificates
from edgenet.sweep.dask_settings import CONNECT_SECONDS

if TYPE_CHECKING:
    from distributed import Security

PORT = 8786
_SCHEMES = ("tls", "tcp")
# A scheduler that rejects a certificate closes the connection at once, and one that accepts it waits.
_REJECTED_SECONDS = 1.0


def check(scheduler: str, folder: Path | None, insecure: bool) -> tuple[str, "Security | None"]:
    """Check that a scheduler can be reached, and safely.

    Args:
        scheduler: Its address, such as "tls://host:8786"; the scheme and the port may be left out.
        folder: The certificates; None for none.
        insecure: Whether a connection without certificates may lead to another machine: whoever can reach it can run
            any program on its workers.

    Returns:
        The whole address, and what Dask needs to know for it.

    Raises:
        EdgenetError: It cannot, in a line.
    """
    scheme, host, port = _parsed(scheduler, folder)
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    if scheme == "tcp" and folder:
        raise EdgenetError(f"{scheduler}: tcp uses no certificates; write tls://, or leave certificates= out")
    if scheme == "tls" and not folder:
        raise EdgenetError(f"{scheduler}: tls needs the folder of the cluster's certificates: certificates=FOLDER")
    if scheme == "tcp" and not insecure and not _is_loopback(host):
        raise EdgenetError(
            f"{scheduler}: without certificates, whoever reaches this cluster can run any program on its workers; use "
            "tls:// and certificates=FOLDER, or insecure=True in a network that is yours alone"
        )
    if folder:
        certificates.check(folder)
    try:
        with socket.create_connection((host, port), CONNECT_SECONDS / 2) as connection:
            if folder:
                _check_handshake(connection, address, folder)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or first_sentence(error)
        raise EdgenetError(
            f"{address}: no scheduler answers there ({reason}); start it, or correct scheduler="
        ) from error
    return address, certificates.security(folder) if folder else None


def explain(address: str, error: BaseException) -> str:
    """Why Dask could not connect, although something answers there."""
    wanted = "without certificates" if address.startswith("tls") else "with certificates"
    reason = f" ({first_sentence(error)[:200]})" if isinstance(error, OSError) else ""
    return f"{address}: what answers there is no Dask scheduler, or one that runs {wanted}{reason}"


def _parsed(scheduler: str, folder: Path | None) -> tuple[str, str, int]:
    whole = scheduler if "://" in scheduler else f"{'tls' if folder else 'tcp'}://{scheduler}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme not in _SCHEMES:
        raise EdgenetError(f"expected an address like tls://host:{PORT}, got {scheduler!r}", parameter="scheduler")
    return parts.scheme, host, port


def is_loopback(address: str) -> bool:
    """Whether a whole address is one that only this machine reaches."""
    return _is_loopback(urlsplit(address).hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _check_handshake(connection: socket.socket, address: str, folder: Path) -> None:
    """Shake hands as Dask does, to tell what is wrong with whose certificate."""
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(folder / certificates.AUTHORITY))
        context.check_hostname = False  # as in Dask: an address may change, the authority does not
        context.load_cert_chain(folder / certificates.CERTIFICATE, folder / certificates.KEY)
    except (ssl.SSLError, OSError) as error:
        raise EdgenetError(f"{folder}: damaged certificates ({first_sentence(error)}); copy them again") from error
    try:
        with context.wrap_socket(connection) as wrapped:
            wrapped.settimeout(_REJECTED_SECONDS)
            with suppress(TimeoutError):
                wrapped.recv(1)  # since TLS 1.3, a certificate is rejected after the handshake
    except ssl.SSLCertVerificationError as error:
        raise EdgenetError(
            f"{address}: the scheduler's certificate is not of the authority in {folder}; use the folder that the "
            "scheduler was started with"
        ) from error
    except ssl.SSLError as error:
        if "alert" in str(error).lower():
            raise EdgenetError(
                f"{address}: the scheduler does not accept the certificate in {folder}; use the folder that the "
                "scheduler was started with"
            ) from error
        raise EdgenetError(
            f"{address}: what answers there does not use tls; start the scheduler with certificates"
        ) from error
