"""What changes from one environment's policies to another's: for which methods, from which value to which.

Compared is what is in force, not what is written: moving a value from a service to the defaults may change nothing, and
one line of the defaults may change everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from google.protobuf import descriptor_pool

from mesh.policy import annotation, provenance
from mesh.v1 import config_pb2

OTHER: Final = "*"
"""Stands for every service, or every method of a service, that nobody names."""


class Method(NamedTuple):
    """A method, or all that go unnamed."""

    service: str
    name: str


class Change(NamedTuple):
    """One field that changes, for everything in its scope."""

    scope: str
    field: str
    old: str | None
    """None: the field had no value, because its section was off, or another field stood in its place."""
    new: str | None


def changes(
    old: config_pb2.Policies,
    new: config_pb2.Policies,
    methods: Iterable[Method] = (),
    pool: descriptor_pool.DescriptorPool | None = None,
) -> list[Change]:
    """Return what changes, the widest scope first; `methods` are those known of the services, beyond the named ones."""
    known = sorted({Method(OTHER, OTHER), *methods, *_named(old), *_named(new)})
    found: dict[tuple[str, str | None, str | None], set[Method]] = {}
    for method in known:
        before, after = _values(old, method, pool), _values(new, method, pool)
        for field in sorted({**before, **after}):
            was, now = before.get(field), after.get(field)
            if was != now and not _follows(field, before, after):
                values = (field, None if was is None else was[0], None if now is None else now[0])
                found.setdefault(values, set()).add(method)
    result = [
        (rank, Change(scope, *values))
        for values, where in found.items()
        for rank, scope in _scopes(where, known)
    ]
    return [change for _, change in sorted(result, key=lambda pair: (pair[0], pair[1][:2]))]


def _named(policies: config_pb2.Policies) -> Iterator[Method]:
    for entry in policies.services:
        yield Method(entry.service, OTHER)
        for method in entry.methods:
            yield Method(entry.service, method.method)


_Values = Mapping[str, tuple[str, bool]]
"""Each field's value, and whether somebody wrote it."""


def _values(
    policies: config_pb2.Policies, method: Method, pool: descriptor_pool.DescriptorPool | None
) -> _Values:
    path = f"/{method.service}/{method.name}"
    noted = annotation.find(path, pool)
    traced = provenance.trace(provenance.layers(policies, noted, path), idempotent=noted.idempotent)
    values = {origin.field: (origin.value, origin.winner is not None) for origin in traced.origins}
    # Who wrote it is compared with the value below, and is no change by itself.
    return {
        **{f"{section}.enabled": ("false", False) for section in traced.absent},
        **values,
    }


def _follows(field: str, before: _Values, after: _Values) -> bool:
    """Whether a change only says again that a section is switched on or off, or who wrote the same value."""
    was, now = before.get(field), after.get(field)
    if was is not None and now is not None:
        return was[0] == now[0]
    switch = f"{field.partition('.')[0]}.enabled"
    if before.get(switch, ("",))[0] == after.get(switch, ("",))[0]:
        return False
    # A section that is switched off loses all its fields; one that is switched on brings what nobody wrote.
    return now is None or not now[1]


def _scopes(where: set[Method], known: list[Method]) -> Iterator[tuple[int, str]]:
    if where == set(known):
        yield 0, "every method"
        return
    for service in sorted({method.service for method in where}):
        all_methods = {method for method in known if method.service == service}
        if all_methods <= where:
            yield (1, "every other service") if service == OTHER else (2, service)
            continue
        for method in sorted(where & all_methods):
            yield (
                (3, f"{service}, other methods") if method.name == OTHER else (4, f"{service}/{method.name}")
            )
