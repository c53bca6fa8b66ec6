"""Whether an optional package is installed: found, but not imported."""

from __future__ import annotations

import importlib.util


def installed(module: str) -> bool:
    """Return whether the module could be imported; the packages around it are."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
