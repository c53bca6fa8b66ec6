"""How the demo looks: requests as curl lines, answers as short JSON, facts with a tick; colours only on a terminal."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from typing import Any

WIDTH = 100
LONGEST_TEXT = 64
LONGEST_LIST = 3
DEEP = 4
"""Objects that are indented as far as this are cut to one line."""

_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Printer:
    """Where the demo prints."""

    def __init__(self, *, colours: bool | None = None) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ if colours is None else colours

    def heading(self, text: str) -> None:
        self._line(f"\n{self._paint(text, 'bold')}")

    def note(self, text: str) -> None:
        self._line(f"  {self._paint(text, 'dim')}")

    def command(self, text: str) -> None:
        self._line(f"  {self._paint(f'$ {text}', 'cyan')}")

    def progress(self, name: str, count: int, total: int) -> None:
        self._line(
            f"  {self._paint(f'{count:>2}/{total}', 'dim')} {name} is {self._paint('healthy', 'green')}"
        )

    def links(self, links: Mapping[str, str]) -> None:
        width = max(map(len, links))
        for name, link in links.items():
            self._line(f"  {name:<{width}}  {self._paint(link, 'cyan')}")

    def verdict(self, text: str, *, good: bool) -> None:
        self._line(f"\n{self._paint(text, 'green' if good else 'red')}")

    def fail(self, *lines: str) -> None:
        print(*lines, sep="\n", file=sys.stderr, flush=True)

    def request(self, method: str, url: str, body: Any = None, *, stream: bool = False) -> None:
        words = [
            "curl",
            *(("-N",) if stream else ()),
            *(("-X", method) if method != ("GET" if body is None else "POST") else ()),
            url,
        ]
        line = "$ " + shlex.join(words)
        if body is not None:
            data = shlex.quote(json.dumps(body, ensure_ascii=False))
            line += f" -H 'content-type: application/json' \\\n      -d {data}"
        self._line(f"  {self._paint(line, 'cyan')}")

    def status(self, status: int, reason: str, seconds: float) -> None:
        colour = "green" if status < 400 else "yellow"
        self._line(f"  {self._paint(f'{status} {reason}', colour)} in {seconds * 1000:.0f} ms")

    def answer(self, value: Any, *, whole: bool = False) -> None:
        self._line("\n".join(f"  {line}" for line in pretty(value, whole=whole).splitlines()))

    def facts(self, facts: Mapping[str, bool]) -> None:
        for sentence, holds in facts.items():
            self._line(
                f"  {self._paint('✓', 'green')} {sentence}"
                if holds
                else f"  {self._paint(f'✗ not so: {sentence}', 'red')}"
            )

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colours else text

    def _line(self, text: str) -> None:
        print(text, flush=True)


def pretty(value: Any, *, whole: bool = False, indent: int = 0) -> str:
    """Return a value as JSON for reading: on one line where it fits, and cut short with `...` where it is long.

    With `whole`, no part of an object is left out, however deep.
    """
    flat = _flat(value)
    if len(flat) + indent <= WIDTH or not isinstance(value, (dict, list)):
        return flat
    if indent >= DEEP and not whole:
        return _cut(value, WIDTH - indent)
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(key)}: {pretty(entry, whole=whole, indent=indent + 2)}"
            for key, entry in value.items()
        ]
    else:
        parts = [pretty(entry, whole=whole, indent=indent + 2) for entry in value[:LONGEST_LIST]]
        parts += _more(value)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    lines = f",\n{inner}".join(parts)
    return f"{opening}\n{inner}{lines}\n{' ' * indent}{closing}"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_flat(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join([*map(_flat, value[:LONGEST_LIST]), *_more(value)]) + "]"
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return json.dumps(value[:LONGEST_TEXT].rsplit(" ", 1)[0] + " ...", ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _more(value: list[Any]) -> list[str]:
    return [f"... {len(value) - LONGEST_LIST} more"] if len(value) > LONGEST_LIST else []


def _cut(value: dict[str, Any] | list[Any], width: int) -> str:
    """Return as many parts as fit on a line."""
    is_object = isinstance(value, dict)
    parts = (
        [f"{json.dumps(key)}: {_flat(entry)}" for key, entry in value.items()]
        if isinstance(value, dict)
        else [_flat(entry) for entry in value]
    )
    kept: list[str] = []
    while parts and len(", ".join((*kept, parts[0], "..."))) + 2 <= width:
        kept.append(parts.pop(0))
    inside = ", ".join([*kept, "..."])
    return f"{{{inside}}}" if is_object else f"[{inside}]"
