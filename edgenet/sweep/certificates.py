"""Certificates of a sweep's cluster: client, scheduler and workers show each other one that the same authority signed.

The authority's own key is not kept: nobody can make further certificates, and whoever has the folder is in.
"""

import datetime
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet import files
from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    from distributed import Security

AUTHORITY, CERTIFICATE, KEY = "authority.pem", "certificate.pem", "key.pem"
DAYS = 3_650


def make(folder: Path) -> None:
    """Make an authority, and a certificate that it signs, in a new or empty folder.

    Raises:
        EdgenetError: The folder has something in it, or cannot be written to; or the package cryptography is missing.
    """
    if not find_spec("cryptography"):
        raise EdgenetError("certificates need the package cryptography: pip install 'edgenet[sweep]'")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EdgenetError(f"{folder} is there already; choose a new folder, or use the certificates in it")
    with files.atomic_folder(folder) as fresh:
        fresh.chmod(0o700)
        for name, data in _made().items():
            # Only this user may read the key, from the first moment.
            number = os.open(fresh / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if name == KEY else 0o644)
            with open(number, "wb") as file:
                file.write(data)


def check(folder: Path) -> None:
    """Check that a folder has certificates.

    Raises:
        EdgenetError: A file is missing.
    """
    for name in (AUTHORITY, CERTIFICATE, KEY):
        if not (folder / name).is_file():
            raise EdgenetError(
                f"{folder / name}: no such file; `edgenet sweep certificates=FOLDER` makes a folder of certificates, "
                "of which each machine of a cluster has a copy"
            )


def security(folder: Path) -> "Security":
    """What Dask needs to know to use the certificates of a folder.

    Raises:
        EdgenetError: A file is missing.
    """
    check(folder)
    from distributed import Security

    own = {
        f"tls_{role}_{what}": str((folder / name).absolute())
        for role in ("client", "scheduler", "worker")
        for what, name in (("cert", CERTIFICATE), ("key", KEY))
    }
    return Security(require_encryption=True, tls_ca_file=str((folder / AUTHORITY).absolute()), **own)


def _made() -> dict[str, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # Names of their own: two sets must not be taken for each other.
    number = x509.random_serial_number()
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgenet sweep {number % 10**8:08}")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgenet sweep: client, scheduler and workers")])

    def signed(name: x509.Name, public: ec.EllipticCurvePublicKey, is_authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))  # the clocks of boards differ
            .not_valid_after(now + datetime.timedelta(days=DAYS))
            .add_extension(
                x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )
        if is_authority:
            usage = x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            )
            builder = builder.add_extension(usage, critical=True)
        else:
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        return builder.sign(authority_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    return {
        AUTHORITY: signed(issuer, authority_key.public_key(), True).public_bytes(pem),
        CERTIFICATE: signed(subject, key.public_key(), False).public_bytes(pem),
        KEY: key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }
