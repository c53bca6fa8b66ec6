"""What the gateway says of certificate files that cannot be shown, and when it takes new ones."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.certificate import Certificate, check
from mesh.config.edge import ServerTls
from tests.binding.certificate import Authority

LOOPBACK = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


def write(folder: Path, pair: tuple[bytes, bytes]) -> ServerTls:
    tls = ServerTls(certificate=folder / "server.pem", private_key=folder / "server.key")
    for file, text in ((tls.private_key, pair[0]), (tls.certificate, pair[1])):
        # Another file in its place, as those who renew certificates do it: times of one file may be too coarse.
        beside = file.with_suffix(".new")
        beside.write_bytes(text)
        os.replace(beside, file)
    return tls


def issue(name: str = "server") -> tuple[bytes, bytes]:
    return Authority().issue(name, LOOPBACK)


def encrypted() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


def test_a_certificate_and_its_key(tmp_path):
    assert check(write(tmp_path, issue())) == []


@pytest.mark.parametrize(
    ("key", "chain", "problem"),
    [
        pytest.param(issue()[0], issue()[1], "gateway.tls: ", id="the key is another's"),
        pytest.param(b"\x30\x82", issue()[1], "gateway.tls.private_key: ", id="a key that is not PEM"),
        pytest.param(
            issue()[0], b"\x30\x82", "gateway.tls.certificate: ", id="a certificate that is not PEM"
        ),
        pytest.param(encrypted(), issue()[1], "gateway.tls: ", id="a key with a password"),
    ],
)
def test_files_that_make_no_certificate(tmp_path, key, chain, problem):
    found = check(write(tmp_path, (key, chain)))
    assert len(found) == 1
    assert str(found[0]).startswith(problem)
    assert str(tmp_path) in str(found[0])


def test_a_new_pair_is_taken_when_both_files_fit(tmp_path):
    old, new = issue("old"), issue("new")
    certificate = Certificate(write(tmp_path, old))
    assert not certificate.changed()
    write(tmp_path, (old[0], new[1]))
    # Seen twice in one state before it counts: somebody may be writing.
    assert [certificate.changed(), certificate.changed()] == [False, False]
    write(tmp_path, new)
    assert [certificate.changed(), certificate.changed()] == [False, True]
    assert not certificate.changed()
