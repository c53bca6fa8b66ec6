"""Which stored answer may serve a request, who fetches a missing one, and what is dropped when memory runs out.

A request that finds no answer leads a flight: one fetch, whose result every request for the same key that comes meanwhile
waits for. The flight belongs to all who wait; whoever gives up leaves it, and when the last one has left it is called off.

    find ── fresh enough ───────────────────────────── HIT
      ├──── stale, within its grace ────────────────── STALE, and whoever finds no flight starts one to refresh it
      ├──── `only-if-cached` ───────────────────────── ABSENT
      ├──── `no-store` ─────────────────────────────── ALONE: fetched for this request only
      ├──── a flight that began late enough for it ─── WAIT
      └──── otherwise ──────────────────────────────── LEAD

Entries are dropped by last use when their bytes exceed the limit. Nothing here knows time, tasks or HTTP messages.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final, NamedTuple

from gateway.edge.compression import Coding
from gateway.edge.freshness import Asked

OVERHEAD: Final = 1024
"""Bytes that an entry costs besides what it holds: objects, dictionaries, its key's places."""


class Found(enum.Enum):
    """What a request is to do."""

    HIT = "hit"
    STALE = "stale"
    WAIT = "shared"
    LEAD = "miss"
    ALONE = "bypass"
    ABSENT = "absent"


class Entry:
    """One stored answer."""

    __slots__ = ("body", "content_type", "grace", "headers", "lifetime", "made", "path", "size", "variants")

    def __init__(
        self,
        *,
        content_type: bytes,
        body: bytes,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        path: bytes = b"",
        made: float,
        lifetime: float,
        grace: float = 0.0,
    ) -> None:
        self.content_type = content_type
        self.body = body
        self.headers = headers
        """What the backend sent beside it."""
        self.path = path
        """The path it was asked for by, decoded: a change made through the same path makes it worthless."""
        self.made = made
        """When it was asked for: its age counts from there, as the backend may have looked at once."""
        self.lifetime = lifetime
        self.grace = grace
        """How long after its lifetime it may be served while it is refreshed."""
        self.variants: dict[Coding, bytes] = {}
        """The body compressed, as far as somebody asked for it."""
        self.size = 0
        """Bytes it was last known to take."""

    def weigh(self, key_size: int) -> int:
        """Return how many bytes it takes."""
        held = len(self.body) + sum(map(len, self.variants.values()))
        return OVERHEAD + key_size + held + sum(len(name) + len(value) for name, value in self.headers)

    def __repr__(self) -> str:
        return f"<Entry {self.path!r} {len(self.body)} bytes, made at {self.made:.3f}>"


class Flight:
    """One fetch under way."""

    __slots__ = ("began", "key", "path", "refreshes", "task", "void", "waiting")

    def __init__(self, key: Hashable, path: bytes, began: float, *, refreshes: bool = False) -> None:
        self.key = key
        self.path = path
        self.began = began
        self.refreshes = refreshes
        """Somebody was served a stale answer for it: it goes on though nobody waits."""
        self.waiting = 0
        self.void = False
        """What it brings must not be stored: it may be older than a change."""
        self.task: Any = None
        """What the fetch is to whoever performs it."""

    def __repr__(self) -> str:
        return f"<Flight {self.path!r} waiting={self.waiting} void={self.void}>"


class Decision(NamedTuple):
    """What a request is to do, and with what."""

    found: Found
    entry: Entry | None = None
    """Of HIT and STALE."""
    flight: Flight | None = None
    """Of LEAD and WAIT, where the caller waits; of STALE, the one the caller must start, if any."""


class Cache:
    """The answers of one schema, by key; `limit` is in bytes."""

    __slots__ = ("_entries", "_flights", "_limit", "_paths", "_voidable", "evictions", "size")

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._paths: dict[bytes, set[Hashable]] = {}
        self._flights: dict[Hashable, Flight] = {}
        """The latest flight of each key."""
        self._voidable: dict[bytes, set[Flight]] = {}
        """Every flight, by its path."""
        self.size = 0
        """Bytes held."""
        self.evictions = 0
        """How many entries had to go for want of room."""

    def find(self, key: Hashable, path: bytes, asked: Asked, now: float) -> Decision:
        """Say what a request for `key`, made by `path`, is to do."""
        entry = self._entries.get(key)
        if entry is not None and not asked.no_cache:
            decision = self._serve(key, entry, asked, now)
            if decision is not None:
                return decision
        if asked.only_if_cached:
            return Decision(Found.ABSENT)
        if asked.no_store:
            return Decision(Found.ALONE)
        flight = self._flights.get(key)
        # Whoever wants an answer from now on cannot use one that was asked for earlier.
        most = 0.0 if asked.no_cache else asked.max_age
        if flight is not None and not flight.void and (most is None or now - flight.began < most):
            return Decision(Found.WAIT, flight=flight)
        return Decision(Found.LEAD, flight=self._begin(key, path, now))

    def _serve(self, key: Hashable, entry: Entry, asked: Asked, now: float) -> Decision | None:
        age = now - entry.made
        left = entry.lifetime - age
        if left + entry.grace <= 0:
            self._drop(key)
            return None
        # RFC 9111, 5.2.1.1: "the client prefers a response whose age is less than or equal to the specified number of
        # seconds". Zero is how browsers ask for an answer from now on.
        if asked.max_age is not None and (age > asked.max_age or not asked.max_age):
            return None
        if left > 0:
            # 5.2.1.3: "whose freshness lifetime is no less than its current age plus the specified time".
            if left < asked.min_fresh:
                return None
            self._entries.move_to_end(key)
            return Decision(Found.HIT, entry)
        if asked.max_age is not None or asked.min_fresh:
            # 5.2.1.1: "Unless the max-stale request directive is also present, the client does not wish to receive a
            # stale response."
            return None
        self._entries.move_to_end(key)
        under_way = self._flights.get(key)
        if under_way is not None:
            return Decision(Found.STALE, entry)
        return Decision(Found.STALE, entry, self._begin(key, entry.path, now, refreshes=True))

    def _begin(self, key: Hashable, path: bytes, now: float, *, refreshes: bool = False) -> Flight:
        flight = self._flights[key] = Flight(key, path, now, refreshes=refreshes)
        self._voidable.setdefault(path, set()).add(flight)
        return flight

    def leave(self, flight: Flight) -> bool:
        """Note that one of those who waited has gone; True when the flight is to be called off, as nobody wants it."""
        flight.waiting -= 1
        wanted = flight.waiting > 0 or flight.refreshes
        if not wanted and self._flights.get(flight.key) is flight:
            # Whoever comes now must not wait for what is being called off.
            del self._flights[flight.key]
        return not wanted

    def land(self, flight: Flight, entry: Entry | None) -> bool:
        """End a flight; store what it brought, unless that is None or worthless by now. Whether it was stored."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        flights = self._voidable.get(flight.path)
        if flights is not None:
            flights.discard(flight)
            if not flights:
                del self._voidable[flight.path]
        if entry is None or flight.void:
            return False
        older = self._entries.get(flight.key)
        if older is not None:
            if older.made > entry.made:
                return False
            self._drop(flight.key)
        entry.size = entry.weigh(_size_of(flight.key))
        if entry.size > self._limit or entry.lifetime + entry.grace <= 0:
            return False
        self._entries[flight.key] = entry
        self._paths.setdefault(entry.path, set()).add(flight.key)
        self.size += entry.size
        self._make_room()
        return True

    def reweigh(self, key: Hashable, entry: Entry) -> None:
        """Count what an entry takes anew: a variant has been added to it."""
        if self._entries.get(key) is entry:
            before, entry.size = entry.size, entry.weigh(_size_of(key))
            self.size += entry.size - before
            self._make_room()

    def invalidate(self, path: bytes) -> None:
        """Forget what was asked for by a path: something was changed through it."""
        for key in tuple(self._paths.get(path, ())):
            self._drop(key)
        for flight in self._voidable.get(path, ()):
            flight.void = True

    def _make_room(self) -> None:
        while self.size > self._limit:
            self._drop(next(iter(self._entries)))
            self.evictions += 1

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key)
        self.size -= entry.size
        keys = self._paths[entry.path]
        keys.discard(key)
        if not keys:
            del self._paths[entry.path]

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return (
            f"<Cache {len(self)} entries, {self.size} of {self._limit} bytes, {len(self._flights)} flights>"
        )


def _size_of(key: Hashable) -> int:
    """Return the bytes of a key's texts."""
    if isinstance(key, (str, bytes)):
        return len(key)
    return sum(map(_size_of, key)) if isinstance(key, tuple) else 0
