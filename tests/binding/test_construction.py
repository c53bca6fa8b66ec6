"""A server is told where to listen when it is made; what generated code or a habit says later is refused in words."""

from __future__ import annotations

import grpc
import pytest

import mesh
import mesh.sync
from mesh.binding.construction import DEFAULT_LISTEN, place_of
from mesh.binding.runtime import Runtime
from mesh.errors import ConfigError

MAKERS = pytest.mark.parametrize(
    ("make", "name"), [(mesh.server, "mesh.server"), (mesh.sync.server, "mesh.sync.server")]
)


@MAKERS
async def test_ports_cannot_be_added(make, name):
    server = make("shop", using=Runtime())
    credentials = grpc.ssl_server_credentials([(b"key", b"certificate")])

    with pytest.raises(ConfigError) as plain:
        server.add_insecure_port("[::]:50051")
    with pytest.raises(ConfigError) as secure:
        server.add_secure_port("[::]:50051", credentials)

    assert f'"[::]:50051": say where to listen with {name}(listen=...)' == str(plain.value)
    assert f'"[::]:50051": say where to listen with {name}(listen=..., credentials=...)' == str(secure.value)


@pytest.mark.parametrize(
    ("listen", "chosen", "expected"),
    [("a:1", "b:2", "a:1"), (None, "b:2", "b:2"), ("", "", DEFAULT_LISTEN), (None, None, DEFAULT_LISTEN)],
)
def test_what_is_said_counts_before_what_mesh_up_chose(monkeypatch, listen, chosen, expected):
    if chosen is not None:
        monkeypatch.setenv("MESH_LISTEN", chosen)

    assert expected == place_of(listen)
