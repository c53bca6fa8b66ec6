"""A certificate authority for one test, and what it vouches for."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Authority:
    """Makes certificates for servers at 127.0.0.1 and for clients."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority")
        self._root = self._signed(
            self._name, self._key, [(x509.BasicConstraints(ca=True, path_length=None), True)]
        )
        self.root = self._root.public_bytes(serialization.Encoding.PEM)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Of a server that asks its clients for certificates."""
        pair = self.issue("server", [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return grpc.ssl_server_credentials([pair], self.root, require_client_auth=True)

    def channel_credentials(self, common_name: str, uris: Sequence[str] = ()) -> grpc.ChannelCredentials:
        """Of a client with this common name, and these URIs as alternative names."""
        key, chain = self.issue(common_name, [x509.UniformResourceIdentifier(uri) for uri in uris])
        return grpc.ssl_channel_credentials(self.root, key, chain)

    def issue(self, common_name: str, names: Sequence[x509.GeneralName]) -> tuple[bytes, bytes]:
        """Return a private key and its certificate, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = [(x509.SubjectAlternativeName(names), False)] if names else []
        signed = self._signed(_name(common_name), key, extensions)
        return (
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            signed.public_bytes(serialization.Encoding.PEM),
        )

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extensions: Sequence[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
