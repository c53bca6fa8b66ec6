"""What settings look like when they are shown: as they are written, defaults included, secrets left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.admin.report import jsonable, redacted
from mesh.config.address import Address
from mesh.config.edge import CacheScope, Protocol, ServerTls
from mesh.config.spec import Gateway, Telemetry


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("http://u:p@c:4318/v1", "http://(redacted)@c:4318/v1", id="a user and a password"),
        pytest.param("http://c:4318", "http://c:4318", id="none"),
        pytest.param("a@b", "a@b", id="not a URL"),
        pytest.param("http://[", "http://[", id="not even nearly"),
    ],
)
def test_what_is_left_out(text, shown):
    assert redacted(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Address("::1", 80), "[::1]:80"),
        (Path("x.pem"), "x.pem"),
        (frozenset(Protocol), ["Connect", "gRPC-Web"]),
        (CacheScope.NONE, "no-store"),
        (ServerTls(certificate=Path("a"), private_key=Path("b")), {"certificate": "a", "private_key": "b"}),
        (("a", 1, None, 0.5, True), ["a", 1, None, 0.5, True]),
        (Telemetry(otlp_endpoint="http://u:p@c"), {
            "prometheus_listen": None, "otlp_endpoint": "http://(redacted)@c", "trace_ratio": 0.01, "console": False,
        }),
    ],
)  # fmt: skip
def test_values(value, shown):
    assert jsonable(value) == shown


def test_settings_are_shown_with_their_defaults():
    shown = jsonable(Gateway())
    assert shown["listen"] == "127.0.0.1:8080"
    assert shown["json"]["proto_names"] is False
    assert shown["methods"] == {}
