"""A certificate for https in a local network: browsers allow the camera and threads only on secure pages.

It is made for one run and signed by no authority, so each phone shows a warning once. The private key never leaves this
process.
"""

import datetime
import ipaddress
import ssl
import tempfile
from importlib.util import find_spec
from pathlib import Path

from edgenet.errors import EdgenetError


def make_context(address: str) -> tuple[ssl.SSLContext, str]:
    """Make a certificate for a server.

    Args:
        address: The server's IP address.

    Returns:
        The server's TLS context, and the SHA-256 of the certificate as browsers show it.

    Raises:
        EdgenetError: The package cryptography is not installed.
    """
    if not find_spec("cryptography"):
        raise EdgenetError(
            "https needs the package cryptography: pip install 'edgenet[serve]'. With http=True, phones offer no "
            "camera and only one thread",
            parameter="lan",
        )
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgenet serve")])
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
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:  # ssl reads files only; only this user can read this folder
        path = Path(folder, "both.pem")
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(path)
    return context, certificate.fingerprint(hashes.SHA256()).hex(":").upper()
