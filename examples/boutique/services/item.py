"""Which lists of items make sense: at least one, each with a product and a quantity that fits a parcel."""

from __future__ import annotations

from collections.abc import Iterable

from boutique.type.v1 import line_item_pb2

MOST = 99
"""Pieces of one product."""


def violations(items: Iterable[line_item_pb2.LineItem], field: str = "items") -> dict[str, str]:
    """Return what is wrong, by the path of the field."""
    found: dict[str, str] = {}
    index = -1
    for index, item in enumerate(items):
        found |= violation(item, f"{field}[{index}]")
    if index < 0:
        found[field] = "is empty, and needs at least one item"
    return found


def violation(item: line_item_pb2.LineItem, field: str) -> dict[str, str]:
    """Return what is wrong with one item."""
    found: dict[str, str] = {}
    if not item.product_id:
        found[f"{field}.product_id"] = "is missing"
    if not 1 <= item.quantity <= MOST:
        found[f"{field}.quantity"] = f"{item.quantity} is not between 1 and {MOST}"
    return found
