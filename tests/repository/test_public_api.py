"""The public names: adding or removing one changes this list, on purpose and in a review."""

from __future__ import annotations

import importlib
import inspect

import pytest

import mesh
import mesh.sync

PUBLIC = {
    "gateway": ["Gateway", "RequestProblem", "Violation"],
    "mesh": [
        "Call",
        "ChainError",
        "ConfigError",
        "MeshError",
        "Outcome",
        "Server",
        "Stage",
        "channel",
        "client_interceptors",
        "place",
        "report_load",
        "run",
        "server",
        "server_interceptors",
    ],
    "mesh.sync": ["Server", "channel", "client_interceptors", "server", "server_interceptors"],
    "mesh.simulate": ["Circuits", "Result", "Scenario", "Slice", "Summary", "load", "require", "run"],
}
SERVER = ["drain", "run", "serve", "start", "stop", "wait_for_termination"]
"""What an application calls; generated code calls `add_generic_rpc_handlers` and its sibling."""


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names(package: str) -> None:
    module = importlib.import_module(package)

    assert sorted(PUBLIC[package]) == sorted(module.__all__)
    assert 25 > len(module.__all__)


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in PUBLIC for name in PUBLIC[package]]
)
def test_public_names_are_documented(package: str, name: str) -> None:
    assert inspect.getdoc(getattr(importlib.import_module(package), name))


@pytest.mark.parametrize("server", [mesh.Server, mesh.sync.Server])
def test_what_a_server_can_do(server: type) -> None:
    methods = {name for name in vars(server) if not name.startswith(("_", "add_"))}

    assert SERVER == sorted(methods)
