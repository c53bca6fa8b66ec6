"""How a list is cut into pages: a token is the position of the next page, wrapped so that nobody computes one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from services import problem
from services.problem import Context

MOST = 50
"""Entries of a page, whatever is asked for."""

Entry = TypeVar("Entry")


class Page(NamedTuple, Generic[Entry]):
    """Some entries of a list, and how to ask for the next; the token is empty when there are none."""

    entries: Sequence[Entry]
    next_page_token: str


async def cut(
    context: Context, entries: Sequence[Entry], *, size: int, token: str, default: int
) -> Page[Entry]:
    """Return the page that the token stands for; refuse what no earlier page can have handed out."""
    if size < 0:
        await problem.invalid(context, {"page_size": f"{size} is negative"})
    start = _position(token) if token else 0
    if start is None or start > len(entries):
        await problem.invalid(context, {"page_token": f'"{token}" is not a token of this list'})
    end = start + min(size or default, MOST)
    return Page(entries[start:end], _token(end) if end < len(entries) else "")


def _token(position: int) -> str:
    return base64.urlsafe_b64encode(f"at:{position}".encode()).decode().rstrip("=")


def _position(token: str) -> int | None:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        return None
    digits = text.removeprefix("at:")
    return int(digits) if text.startswith("at:") and digits.isdecimal() else None
