"""The edge: an ASGI application that answers REST with gRPC.

Importing this package loads nothing else: generated stubs import `gateway.v1` in processes that are no gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.problem import RequestProblem, Violation

__all__ = ["Gateway", "RequestProblem", "Violation"]

_MODULES = {"Gateway": "app", "RequestProblem": "problem", "Violation": "problem"}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"gateway.{_MODULES[name]}"), name)
