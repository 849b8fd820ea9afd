"""Certificates made for a test and thrown away with it."""
import datetime
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def written(path, data, mode=0o600):
    """Put in place whole, as a careful operator does it."""
    draft = f"{path}.new"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    os.replace(draft, path)


class Certificate:
    """Two files in PEM: `path` with the certificate, `key` with its private key."""

    def __init__(self, folder, name, issuer=None, common_name=None, dns=(), uris=(), emails=(), addresses=(), client=False, begins=-1, ends=90,
                 password=None):
        self.folder, self.name = pathlib.Path(folder), name
        self.path, self.key = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")
        self.private = ec.generate_private_key(ec.SECP256R1())
        is_authority = issuer is None
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or name)])
        alternatives = ([x509.DNSName(text) for text in dns] + [x509.UniformResourceIdentifier(text) for text in uris]
                        + [x509.RFC822Name(text) for text in emails] + [x509.IPAddress(ipaddress.ip_address(text)) for text in addresses])
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.certificate.subject if issuer else subject)
                   .public_key(self.private.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now() + begins * DAY).not_valid_after(now() + ends * DAY)
                   .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True))
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        if not is_authority:
            usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        self.certificate = builder.sign((issuer or self).private, hashes.SHA256())
        written(self.path, self.certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        written(self.key, self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))

    @property
    def serial(self):
        return self.certificate.serial_number


class Authority(Certificate):
    def server(self, name="server", **more):
        return Certificate(self.folder, name, self, **{"dns": ["localhost"], "addresses": ["127.0.0.1"], **more})

    def client(self, name, **more):
        return Certificate(self.folder, name, self, client=True, **more)
