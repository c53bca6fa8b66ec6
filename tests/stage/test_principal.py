"""Who calls: what a certificate proves, and without one where the call comes from."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call
from mesh.stage.principal import principal
from tests.stage.call import METHOD

SAN, CN = "x509_subject_alternative_name", "x509_common_name"
SSL = {"transport_security_type": [b"ssl"]}


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({}, "10.0.0.7"),
        (SSL, "10.0.0.7"),
        ({**SSL, CN: [b"shop"]}, "shop"),
        ({**SSL, CN: [b""]}, "10.0.0.7"),
        ({**SSL, CN: [b"shop"], SAN: [b"shop.example", b"10.0.0.9"]}, "shop"),
        ({**SSL, CN: [b"shop"], SAN: [b"shop.example", b"spiffe://prod/shop"]}, "spiffe://prod/shop"),
    ],
)
def test_a_spiffe_id_then_the_common_name_then_the_address(auth, expected):
    call = Call(METHOD, Arity.UNARY_UNARY, peer=lambda: "ipv4:10.0.0.7:50051", auth=lambda: auth)

    assert expected == principal(call)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("ipv6:%5B::1%5D:50051", "::1"), ("unix:/run/shop.sock", "/run/shop.sock"), ("", "")],
)
def test_addresses_have_no_port(peer, expected):
    """A caller has a new one with each connection."""
    assert expected == principal(Call(METHOD, Arity.UNARY_UNARY, peer=lambda: peer))
