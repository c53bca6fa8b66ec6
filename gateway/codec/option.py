"""What may be chosen about the JSON form of messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEPTH_LIMIT: Final = 100
"""The deepest nesting protobuf's own wire parsers accept by default; deeper JSON could not be sent on."""


@dataclass(frozen=True, slots=True)
class Options:
    """Choose how messages are written as JSON, and what is let pass when they are read."""

    proto_names: bool = False
    """Print `unit_price` instead of `unitPrice`. Both are always accepted."""
    enum_numbers: bool = False
    """Print enum values as numbers. Names and numbers are always accepted."""
    emit_defaults: bool = False
    """Print fields without presence even when they hold their default."""
    ignore_unknown: bool = False
    """Skip unknown fields and unknown enum names instead of refusing them."""
    depth: int = DEPTH_LIMIT
    """How many messages may be nested, the outermost counted, when reading and when writing."""

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= DEPTH_LIMIT:
            raise ValueError(f"depth: expected 1 to {DEPTH_LIMIT}, got {self.depth}")
