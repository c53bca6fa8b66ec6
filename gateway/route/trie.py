"""Decides which route answers a method and a raw path.

Rules, in the order they decide:

1.  A path whose last segment ends in `:verb` is tried against the templates with that verb, then, whole,
    against those without one.
2.  Segment by segment from the left, a literal beats `*`, and `*` beats `**`. Of templates that have come to their
    `**`, the one with more segments after it is tried first, and those segments decide among themselves likewise.
3.  A template that matches the path but not the method hides nothing: the search goes back and tries the next
    best.
4.  Among routes of one template, the method itself beats the custom kind `*` (any method).

`*` takes exactly one segment, which is not empty; `**` takes all that are left but for what the template has after
it, none included. So a trailing slash is another path: it is only ever matched by `**`. The order in which routes are
given decides nothing. A node is reached by one way only, so a search visits each node of the tree at most once; all
that is after a `**` is counted from the path's end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from gateway.route.template import Kind, Template, canonical

R = TypeVar("R")

ANY_METHOD: Final = "*"
_new: Final = tuple.__new__


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
    __slots__ = ("here", "literals", "one", "rest", "tails")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[R]] = {}
        self.one: _Node[R] | None = None
        self.here: dict[str, _Entry[R]] = {}
        """By method: the routes that end at this node."""
        self.rest: dict[str, _Entry[R]] = {}
        """By method: the routes that end with `**`."""
        self.tails: tuple[tuple[int, _Node[R]], ...] = ()
        """What follows a `**` that is not the end, by how many segments, the most first."""

    def tail(self, length: int) -> _Node[R]:
        """Return what follows a `**` that leaves so many segments."""
        tails = dict(self.tails)
        found = tails.setdefault(length, _Node())
        self.tails = tuple(sorted(tails.items(), reverse=True))
        return found


class Trie(Generic[R]):
    """An immutable index of routes. Give it at most one route per method and template shape."""

    __slots__ = ("_exact", "_roots", "_verbless")

    def __init__(self, routes: Iterable[tuple[str, Template, R]]) -> None:
        self._roots: dict[str, _Node[R]] = {"": _Node()}
        self._verbless = self._roots[""]
        self._exact: dict[bytes, dict[str, Match[R]]] = {}
        for method, template, route in routes:
            self._add(method, template, route)

    def find(self, method: str, path: str | bytes) -> Match[R]:
        """Return the route for a raw path (no query, not decoded), or the methods it allows, or neither."""
        if isinstance(path, str):
            path = path.encode("utf-8", "surrogateescape")
        exact = self._exact.get(path)
        if exact is not None:
            match = exact.get(method) or exact.get(ANY_METHOD)
            if match is not None:
                return match
        try:
            text = path.decode()
        except UnicodeDecodeError:
            text = path.decode("utf-8", "surrogateescape")
        if text[:1] != "/":
            return Match(None, (), ())
        # What is before the first slash is kept, as `_ranges` counts it; the root has no segments.
        segments = text.split("/") if len(text) > 1 else [""]
        keys = segments if "%" not in text else [canonical(segment) for segment in segments]
        raw = segments
        entry = None
        verbs = self._split_verb(segments, keys) if ":" in segments[-1] else None
        if verbs is not None:
            root, raw, compared = verbs
            entry = _search(root, compared, method)
        if entry is None:
            raw = segments
            entry = _search(self._verbless, keys, method)
        if entry is not None:
            route, ranges = entry
            captures: tuple[str, ...]
            if len(ranges) == 1:
                ((start, end),) = ranges
                captures = (raw[start] if end == start + 1 else "/".join(raw[start:end]),)
            else:
                captures = tuple(["/".join(raw[start:end]) for start, end in ranges])
            # As NamedTuple's own constructor does, without the call in between: a fifth of a search.
            return _new(Match, (route, captures, ()))
        allow: set[str] = set()
        if verbs is not None:
            _collect(verbs[0], verbs[2], 1, allow)
        _collect(self._verbless, keys, 1, allow)
        return Match(None, (), tuple(sorted(allow)))

    def _split_verb(
        self, segments: list[str], keys: list[str]
    ) -> tuple[_Node[R], list[str], list[str]] | None:
        """Return the tree of the path's verb, and the path without it: raw and as it is compared."""
        # The raw text is split: an encoded colon (%3A) is part of the segment, not the start of a verb.
        head, _, verb = segments[-1].rpartition(":")
        root = self._roots.get(canonical(verb)) if verb else None
        if root is None:
            return None
        return root, [*segments[:-1], head], [*keys[:-1], canonical(head)]

    def _add(self, method: str, template: Template, route: R) -> None:
        node = self._roots.setdefault(template.verb, _Node())
        entries: dict[str, _Entry[R]] | None = None
        for index, segment in enumerate(template.segments):
            if segment.kind is Kind.LITERAL:
                node = node.literals.setdefault(segment.text, _Node())
            elif segment.kind is Kind.ONE:
                if node.one is None:
                    node.one = _Node()
                node = node.one
            elif index + 1 == len(template.segments):
                entries = node.rest
            else:
                node = node.tail(len(template.segments) - index - 1)
        ranges = _ranges(template)
        (node.here if entries is None else entries)[method] = _Entry(route, ranges)
        texts = [segment.text for segment in template.segments]
        literal = all(segment.kind is Kind.LITERAL for segment in template.segments)
        # The dictionary must answer as the search would: not for literals that only an encoded path can
        # spell, nor for a last segment that the search would first try as a verb.
        plain = not any("/" in text or "%" in text for text in (*texts, template.verb))
        if literal and plain and ":" not in "".join(texts[-1:]):
            path = "/" + "/".join(texts) + (f":{template.verb}" if template.verb else "")
            captures = tuple("/".join(["", *texts][start:end]) for start, end in ranges)
            self._exact.setdefault(path.encode(), {})[method] = Match(route, captures, ())

    def __repr__(self) -> str:
        return f"<Trie verbs={sorted(self._roots)} exact={len(self._exact)}>"


def _ranges(template: Template) -> tuple[tuple[int, int | None], ...]:
    """Return what each variable captures, as a slice of a path split at its slashes; from the end, after a `**`."""
    count = len(template.segments)
    rest = next((i for i, segment in enumerate(template.segments) if segment.kind is Kind.REST), count)

    def place(index: int) -> int | None:
        # The first piece of a split path is the nothing before its first slash.
        return index + 1 if index <= rest else (index - count or None)

    ranges: list[tuple[int, int | None]] = []
    for variable in template.variables:
        start = place(variable.start)
        ranges.append((start or 0, None if variable.end is None else place(variable.end)))
    return tuple(ranges)


def _search(node: _Node[R], keys: list[str], method: str) -> _Entry[R] | None:
    """Go down the tree, the best child first; `later` holds the ways not taken, the best of them last."""
    index, count = 1, len(keys)
    later: list[tuple[_Node[R], int] | _Entry[R]] = []
    entry: _Entry[R] | None
    while True:
        if index == count:
            entries = node.here
            if entries:
                entry = entries.get(method) or entries.get(ANY_METHOD)
                if entry is not None:
                    return entry
            entries = node.rest
            if entries:
                entry = entries.get(method) or entries.get(ANY_METHOD)
                if entry is not None:
                    return entry
        else:
            if node.rest:
                entry = node.rest.get(method) or node.rest.get(ANY_METHOD)
                if entry is not None:
                    later.append(entry)
            if node.tails:
                later += [(tail, count - n) for n, tail in reversed(node.tails) if index + n <= count]
            key = keys[index]
            index += 1
            one = node.one if key else None
            child = node.literals.get(key)
            if child is not None:
                if one is not None:
                    later.append((one, index))
                node = child
                continue
            if one is not None:
                node = one
                continue
        if not later:
            return None
        way = later.pop()
        if isinstance(way, _Entry):
            return way
        node, index = way


def _collect(node: _Node[R], keys: list[str], index: int, allow: set[str]) -> None:
    allow.update(node.rest)
    if index == len(keys):
        allow.update(node.here)
        return
    for length, tail in node.tails:
        if index + length <= len(keys):
            _collect(tail, keys, len(keys) - length, allow)
    child = node.literals.get(keys[index])
    if child is not None:
        _collect(child, keys, index + 1, allow)
    if node.one is not None and keys[index]:
        _collect(node.one, keys, index + 1, allow)
