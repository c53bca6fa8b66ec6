"""Decides which route answers a method and a raw path.

Rules, in the order they decide:

1.  A path whose last segment ends in `:verb` is tried against the templates with that verb, then, whole,
    against those without one.
2.  Segment by segment from the left, a literal beats `*`, and `*` beats `**`.
3.  A template that matches the path but not the method hides nothing: the search goes back and tries the next
    best.
4.  Among routes of one template, the method itself beats the custom kind `*` (any method).

`*` takes exactly one segment, which is not empty; `**` takes all that are left, none included. So a trailing
slash is another path: it is only ever matched by `**`. The order in which routes are given decides nothing. A
node is reached by one way only, so a search visits each node of the tree at most once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from gateway.route.template import Kind, Template, canonical

R = TypeVar("R")

ANY_METHOD: Final = "*"


class Match(NamedTuple, Generic[R]):
    """What a search found: a route, or else the methods that the path would have allowed."""

    route: R | None
    captures: tuple[str, ...]
    """Raw text per variable of the template, in its order, still percent-encoded."""
    allow: tuple[str, ...]
    """For a path without a route for this method: the methods of every template that matches, sorted."""


class _Entry(NamedTuple, Generic[R]):
    route: R
    ranges: tuple[tuple[int, int | None], ...]


class _Node(Generic[R]):
    __slots__ = ("here", "literals", "one", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[R]] = {}
        self.one: _Node[R] | None = None
        self.here: dict[str, _Entry[R]] = {}
        """By method: the routes that end at this node."""
        self.rest: dict[str, _Entry[R]] = {}
        """By method: the routes that go on with `**`."""


class Trie(Generic[R]):
    """An immutable index of routes. Give it at most one route per method and template shape."""

    __slots__ = ("_exact", "_roots")

    def __init__(self, routes: Iterable[tuple[str, Template, R]]) -> None:
        self._roots: dict[str, _Node[R]] = {}
        self._exact: dict[str, dict[str, Match[R]]] = {}
        for method, template, route in routes:
            self._add(method, template, route)

    def find(self, method: str, path: str | bytes) -> Match[R]:
        """Return the route for a raw path (no query, not decoded), or the methods it allows, or neither."""
        if isinstance(path, bytes):
            path = path.decode("utf-8", "surrogateescape")
        exact = self._exact.get(path)
        if exact is not None:
            match = exact.get(method) or exact.get(ANY_METHOD)
            if match is not None:
                return match
        if not path.startswith("/"):
            return Match(None, (), ())
        segments = path[1:].split("/") if len(path) > 1 else []
        keys = segments if "%" not in path else [canonical(segment) for segment in segments]
        ways = self._ways(segments, keys)
        for root, raw, compared in ways:
            entry = _search(root, compared, 0, method)
            if entry is not None:
                captures = tuple(
                    [
                        raw[start] if end == start + 1 else "/".join(raw[start:end])
                        for start, end in entry.ranges
                    ]
                )
                return Match(entry.route, captures, ())
        allow: set[str] = set()
        for root, _, compared in ways:
            _collect(root, compared, 0, allow)
        return Match(None, (), tuple(sorted(allow)))

    def _ways(self, segments: list[str], keys: list[str]) -> list[tuple[_Node[R], list[str], list[str]]]:
        """Return the trees to search, each with the path as it sees it: verb split off, then whole."""
        ways: list[tuple[_Node[R], list[str], list[str]]] = []
        if segments:
            # The raw text is split: an encoded colon (%3A) is part of the segment, not the start of a verb.
            head, colon, verb = segments[-1].rpartition(":")
            if colon and verb:
                root = self._roots.get(canonical(verb))
                if root is not None:
                    ways.append((root, [*segments[:-1], head], [*keys[:-1], canonical(head)]))
        root = self._roots.get("")
        if root is not None:
            ways.append((root, segments, keys))
        return ways

    def _add(self, method: str, template: Template, route: R) -> None:
        node = self._roots.setdefault(template.verb, _Node())
        entries: dict[str, _Entry[R]] | None = None
        for segment in template.segments:
            if segment.kind is Kind.LITERAL:
                node = node.literals.setdefault(segment.text, _Node())
            elif segment.kind is Kind.ONE:
                if node.one is None:
                    node.one = _Node()
                node = node.one
            else:
                entries = node.rest
        ranges = tuple((variable.start, variable.end) for variable in template.variables)
        (node.here if entries is None else entries)[method] = _Entry(route, ranges)
        texts = [segment.text for segment in template.segments]
        literal = all(segment.kind is Kind.LITERAL for segment in template.segments)
        # The dictionary must answer as the search would: not for literals that only an encoded path can
        # spell, nor for a last segment that the search would first try as a verb.
        plain = not any("/" in text or "%" in text for text in (*texts, template.verb))
        if literal and plain and ":" not in "".join(texts[-1:]):
            path = "/" + "/".join(texts) + (f":{template.verb}" if template.verb else "")
            captures = tuple("/".join(texts[start:end]) for start, end in ranges)
            self._exact.setdefault(path, {})[method] = Match(route, captures, ())

    def __repr__(self) -> str:
        return f"<Trie verbs={sorted(self._roots)} exact={len(self._exact)}>"


def _search(node: _Node[R], keys: list[str], index: int, method: str) -> _Entry[R] | None:
    if index == len(keys):
        here = node.here
        if here:
            entry = here.get(method) or here.get(ANY_METHOD)
            if entry is not None:
                return entry
    else:
        key = keys[index]
        child = node.literals.get(key)
        if child is not None:
            entry = _search(child, keys, index + 1, method)
            if entry is not None:
                return entry
        if node.one is not None and key:
            entry = _search(node.one, keys, index + 1, method)
            if entry is not None:
                return entry
    rest = node.rest
    return (rest.get(method) or rest.get(ANY_METHOD)) if rest else None


def _collect(node: _Node[R], keys: list[str], index: int, allow: set[str]) -> None:
    allow.update(node.rest)
    if index == len(keys):
        allow.update(node.here)
        return
    child = node.literals.get(keys[index])
    if child is not None:
        _collect(child, keys, index + 1, allow)
    if node.one is not None and keys[index]:
        _collect(node.one, keys, index + 1, allow)
