"""A certificate for https in a local network, made for one run: browsers give camera and threads to nobody else.

No authority signs it, so each phone warns once. Its key never leaves this process, and is gone with it.
"""

import datetime
import ipaddress
import ssl
import tempfile
from importlib.util import find_spec
from pathlib import Path

from edgenet.errors import EdgenetError


def context(address: str) -> tuple[ssl.SSLContext, str]:
    """For a server at an IP address. Returns the SHA-256 of the certificate, too, as browsers show it.

    Raises EdgenetError where the package that makes certificates is not installed.
    """
    if not find_spec("cryptography"):
        raise EdgenetError(
            "--lan: expected the package cryptography for https, found none; run pip install 'edgenet[serve]', or add "
            "--http, which gives phones no camera and one thread"
        )
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "edgenet serve")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # phones' clocks differ
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:  # Python's ssl reads files only; this folder is its owner's alone
        path = Path(folder, "both.pem")
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        made.load_cert_chain(path)
    return made, certificate.fingerprint(hashes.SHA256()).hex(":").upper()
