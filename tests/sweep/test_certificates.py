"""Certificates of a cluster, and what is said about a scheduler that does not fit to them."""

import os
import socket
import ssl
import stat
import threading
from contextlib import contextmanager, suppress

import pytest

from edgenet.errors import EdgenetError
from edgenet.sweep import certificates, connection

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = [tmp_path_factory.mktemp("sets") / name for name in ("one", "two")]
    for folder in made:
        certificates.make(folder)
    return made


@contextmanager
def server(folder=None, verify=True):
    """Something that listens: with certificates as a scheduler does, without any, or without TLS. Yields its port."""
    context = None
    if folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / certificates.CERTIFICATE, folder / certificates.KEY)
        context.load_verify_locations(folder / certificates.AUTHORITY)
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            with suppress(OSError):
                while True:
                    connected, _ = listening.accept()
                    with suppress(OSError), connected:
                        if context:
                            with context.wrap_socket(connected, server_side=True) as wrapped:
                                wrapped.recv(1)
                        else:
                            connected.sendall(b"not TLS, but some other protocol")

        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname()[1]


def test_a_set_is_made_once_and_only_its_owner_reads_the_key(folders):
    if os.name != "nt":
        assert stat.S_IMODE((folders[0] / certificates.KEY).stat().st_mode) == 0o600
        assert stat.S_IMODE(folders[0].stat().st_mode) == 0o700
    before = (folders[0] / certificates.KEY).read_bytes()
    with pytest.raises(EdgenetError, match="one is there already; choose a new folder, or use the certificates in it"):
        certificates.make(folders[0])
    assert (folders[0] / certificates.KEY).read_bytes() == before
    assert len({(folder / certificates.AUTHORITY).read_bytes() for folder in folders}) == 2


def test_both_sides_of_one_set_trust_each_other(folders):
    with server(folders[0]) as port:
        address, security = connection.check(f"127.0.0.1:{port}", folders[0], insecure=False)
    assert address == f"tls://127.0.0.1:{port}" and security.require_encryption


def test_the_set_of_another_cluster(folders):
    with server(folders[0]) as port, pytest.raises(EdgenetError) as error:
        connection.check(f"tls://127.0.0.1:{port}", folders[1], insecure=False)
    assert str(error.value) == (
        f"tls://127.0.0.1:{port}: the scheduler's certificate is not of the authority in {folders[1]}; use the folder "
        "that the scheduler was started with"
    )


def test_a_certificate_that_the_scheduler_does_not_accept(folders, tmp_path):
    """Of another authority, although this side knows the scheduler's."""
    for name, folder in zip(
        (certificates.AUTHORITY, certificates.CERTIFICATE, certificates.KEY), (0, 1, 1), strict=True
    ):
        (tmp_path / name).write_bytes((folders[folder] / name).read_bytes())
    with server(folders[0]) as port, pytest.raises(EdgenetError, match="does not accept the certificate in"):
        connection.check(f"tls://127.0.0.1:{port}", tmp_path, insecure=False)


def test_a_scheduler_without_tls(folders):
    with (
        server() as port,
        pytest.raises(EdgenetError, match="what answers there does not use tls; start the scheduler"),
    ):
        connection.check(f"tls://127.0.0.1:{port}", folders[0], insecure=False)


def test_damaged_certificates(folders, tmp_path):
    for name in (certificates.AUTHORITY, certificates.CERTIFICATE, certificates.KEY):
        (tmp_path / name).write_bytes(b"nothing")
    with server(folders[0]) as port, pytest.raises(EdgenetError, match=r"damaged certificates \(.*\); copy them again"):
        connection.check(f"tls://127.0.0.1:{port}", tmp_path, insecure=False)


@pytest.mark.parametrize(
    ("scheduler", "folder", "error"),
    [
        ("tls://127.0.0.1:8786", None, "tls needs the folder of the cluster's certificates: certificates=FOLDER"),
        ("tls://127.0.0.1:8786", "missing", r"authority\.pem: no such file; `edgenet sweep certificates=FOLDER` makes"),
        ("tcp://127.0.0.1:8786", "missing", "tcp uses no certificates; write tls://, or leave certificates= out"),
        ("tcp://192.0.2.1:8786", None, "whoever reaches this cluster can run any program on its workers; use tls://"),
        ("board:8786", None, "whoever reaches this cluster can run any program on its workers"),
        ("http://127.0.0.1", None, r"^scheduler: expected an address like tls://host:8786, got 'http://127"),
        ("127.0.0.1:x", None, "^scheduler: expected an address like"),
        ("", None, "^scheduler: expected an address like"),
        ("127.0.0.1:1", None, "^tcp://127.0.0.1:1: no scheduler answers there .*; start it, or correct scheduler=$"),
    ],
)
def test_addresses_that_lead_nowhere(tmp_path, scheduler, folder, error):
    with pytest.raises(EdgenetError, match=error):
        connection.check(scheduler, folder and tmp_path / folder, insecure=False)


def test_without_certificates_only_on_purpose_or_on_this_machine():
    with server() as port:
        assert connection.check(f"127.0.0.1:{port}", None, insecure=False) == (f"tcp://127.0.0.1:{port}", None)
        assert connection.check(f"localhost:{port}", None, insecure=True)[0] == f"tcp://localhost:{port}"
