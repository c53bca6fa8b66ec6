"""The library of the ASGI tests, behind gateways with settings about caching and compression."""

from __future__ import annotations

from tests.gateway.asgi.conftest import app, backend, descriptors, make

__all__ = ["app", "backend", "descriptors", "make"]
