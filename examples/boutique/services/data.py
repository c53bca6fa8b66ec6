"""Where the shop's data comes from: the YAML files in `data/`, read once when a service starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).resolve().parent.parent / "data"


def load(name: str) -> Any:
    """Return the content of `data/NAME.yaml`."""
    return yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
