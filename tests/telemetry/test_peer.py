"""gRPC's names of peers, split."""

from __future__ import annotations

import pytest

from mesh.telemetry.peer import address


@pytest.mark.parametrize(
    ("peer", "split"),
    [
        ("ipv4:127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("ipv6:%5B::1%5D:5000", ("::1", 5000)),
        ("ipv6:[fe80::1]:5000", ("fe80::1", 5000)),
        ("unix:/run/mesh.sock", ("/run/mesh.sock", None)),
        ("unix:", ("", None)),
        ("unknown", ("", None)),
        ("", ("", None)),
    ],
)
def test_addresses(peer, split):
    assert address(peer) == split
