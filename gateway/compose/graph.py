"""What order a graph allows: the cycles that forbid one, and the levels that show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def cycles(needs: Mapping[T, Sequence[T]]) -> Iterator[tuple[T, ...]]:
    """Yield one cycle for each group of nodes that need each other, as a path that ends where it begins."""
    done: set[T] = set()
    for start in needs:
        trail: list[T] = []
        stack = [(start, iter(needs[start]))] if start not in done else []
        while stack:
            node, rest = stack[-1]
            if not trail or trail[-1] != node:
                trail.append(node)
            following = next((other for other in rest if other not in done), None)
            if following is None:
                done.add(node)
                stack.pop()
                trail.pop()
            elif following in trail:
                yield (*trail[trail.index(following) :], following)
                done.update(trail)
                break
            else:
                stack.append((following, iter(needs[following])))


def levels(needs: Mapping[T, Sequence[T]]) -> list[list[T]]:
    """Return the nodes of an acyclic graph by the length of the longest path that leads to each."""
    depth: dict[T, int] = {}

    def measure(node: T) -> int:
        if node not in depth:
            depth[node] = 1 + max(map(measure, needs[node]), default=-1)
        return depth[node]

    height = 1 + max(map(measure, needs), default=-1)
    return [[node for node in needs if depth[node] == level] for level in range(height)]
