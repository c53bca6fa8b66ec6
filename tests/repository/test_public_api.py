"""The public names: adding or removing one changes this list, on purpose and in a review."""

from __future__ import annotations

import importlib
import inspect

import pytest

import mesh

PUBLIC = {
    "gateway": ["Gateway", "RequestProblem", "Violation"],
    "mesh": [
        "ChainError",
        "ConfigError",
        "MeshError",
        "Server",
        "channel",
        "client_interceptors",
        "run",
        "server",
        "server_interceptors",
    ],
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


def test_what_a_server_can_do() -> None:
    methods = {name for name in vars(mesh.Server) if not name.startswith(("_", "add_"))}

    assert SERVER == sorted(methods)
