"""How answers that the gateway keeps are served, fetched once for all who wait, and refreshed behind a stale one's back.

What a backend is told is the key: the request message, and every header that is handed on but the request's id. Two requests
with one key could not have got different answers for anything the gateway passes, and requests that only look different
(order of parameters, escapes, defaults spelled out) share one. Requests with credentials neither use the store nor fill it.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Hashable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.edge.cache import Cache, Entry, Flight, Found
from gateway.edge.credential import carries_credentials
from gateway.edge.freshness import is_kept_off, read_cache_control
from gateway.endpoint import ComposedEndpoint, Endpoint, UnaryEndpoint
from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from gateway.render.error import headers_of
from mesh.call import Arity, Call, Code, Metadata, Outcome
from mesh.config.edge import Cache as Rule

if TYPE_CHECKING:
    from gateway.edge.metrics import CacheCounters

_UNKEYED: Final = frozenset({"x-request-id"})
"""Handed on for the logs alone: it is different for each request."""
_LATE: Final = Outcome(int(Code.DEADLINE_EXCEEDED), "the answer did not come in time")
_STOPPED: Final = Outcome(int(Code.UNAVAILABLE), "the gateway is changing its schema")


class Fetched(NamedTuple):
    """What a backend answered; content and headers only for a success."""

    outcome: Outcome
    content_type: bytes = b""
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    partial: bool = False
    """Something optional is missing in it: the next one may be better."""


class Store:
    """The stored answers of one schema, and the fetches under way."""

    __slots__ = ("cache", "counters", "tasks")

    def __init__(self, limit: int, counters: CacheCounters) -> None:
        self.cache = Cache(limit=limit)
        self.counters = counters
        self.tasks: set[asyncio.Task[Fetched]] = set()
        counters.watch(self.cache)

    def changed(self, path: bytes) -> None:
        """Forget what was asked for by a path, as a request has changed something there."""
        # RFC 9111, 4.4: "A cache MUST invalidate the target URI [...] when it receives a non-error status code in response
        # to an unsafe request method".
        self.cache.invalidate(unquote_to_bytes(path))

    def close(self) -> None:
        """Call off all fetches."""
        for task in self.tasks:
            task.cancel()

    def __repr__(self) -> str:
        return f"<Store {self.cache!r}>"


class _Stored(Endpoint):
    """Answers from the store, or by a fetch that it shares; a subclass says how to fetch."""

    __slots__ = ()
    _rule: Rule
    _store: Store

    async def _fetch(self, message: Any, metadata: Metadata, deadline: float, parent: Call) -> Fetched:
        raise NotImplementedError

    async def _execute(self, exchange: Exchange, message: Any, parent: Call) -> None:
        deadline = self._limit(exchange, parent)
        noted = exchange.noted
        asked = read_cache_control(None if noted is None else noted.get(b"cache-control"))
        cache, counters = self._store.cache, self._store.counters
        if carries_credentials(exchange):
            if asked.only_if_cached:
                raise _absent()
            counters.add(Found.ALONE)
            fetched = await self._fetch(message, exchange.sent_metadata, deadline, parent)
            await self._send(exchange, fetched)
            return
        key = self._key(exchange, message)
        found, entry, flight = cache.find(key, unquote_to_bytes(exchange.path), asked, time.monotonic())
        counters.add(found)
        if entry is not None:
            if flight is not None:
                self._begin(flight, message, exchange.sent_metadata, Call("", Arity.UNARY_UNARY))
            await self._send_entry(exchange, key, entry)
        elif flight is not None:
            if flight.task is None:
                self._begin(flight, message, exchange.sent_metadata, parent)
            await self._send(exchange, await self._wait(flight, deadline))
        elif found is Found.ABSENT:
            raise _absent()
        else:
            await self._send(exchange, await self._fetch(message, exchange.sent_metadata, deadline, parent))

    def _key(self, exchange: Exchange, message: Any) -> Hashable:
        passed = [pair for pair in exchange.metadata if pair[0] not in _UNKEYED]
        # Lines of one name keep their order, which may mean something.
        passed.sort(key=itemgetter(0))
        return self.path, message.SerializeToString(deterministic=True), tuple(passed)

    def _begin(self, flight: Flight, message: Any, metadata: Metadata, parent: Call) -> None:
        # It is not one client's: it gets the time the gateway gives, whatever that client asked for.
        deadline = time.monotonic() + self._timeout
        parent.deadline, parent.hurried = deadline, False
        task = asyncio.create_task(self._fly(message, metadata, deadline, parent))
        flight.task = task
        self._store.tasks.add(task)
        # Not at the end of `_fly`: a task that is cancelled before its first step does not get there.
        task.add_done_callback(functools.partial(self._land, flight))

    async def _fly(self, message: Any, metadata: Metadata, deadline: float, parent: Call) -> Fetched:
        try:
            return await self._fetch(message, metadata, deadline, parent)
        except RequestProblem as problem:
            # What the service answered cannot be written: its own kind of failure, and the same for all who wait.
            return Fetched(Outcome(problem.code, problem.message))

    def _land(self, flight: Flight, task: asyncio.Task[Fetched]) -> None:
        self._store.tasks.discard(task)
        failed = task.cancelled() or task.exception() is not None
        self._store.cache.land(flight, None if failed else self._entry(flight, task.result()))

    def _entry(self, flight: Flight, fetched: Fetched) -> Entry | None:
        if fetched.outcome.code != 0 or fetched.partial:
            return None
        for name, value in fetched.headers:
            if name in _PERSONAL or (name == b"cache-control" and is_kept_off(value)):
                return None
        rule = self._rule
        return Entry(
            content_type=fetched.content_type,
            body=fetched.body,
            headers=fetched.headers,
            path=flight.path,
            made=flight.began,
            lifetime=rule.max_age if rule.shared_max_age is None else rule.shared_max_age,
            grace=rule.stale_while_revalidate,
        )

    async def _wait(self, flight: Flight, deadline: float) -> Fetched:
        task: asyncio.Task[Fetched] = flight.task
        flight.waiting += 1
        try:
            # Not `await task`: the cancellation of one who waits would cancel it for all.
            await asyncio.wait((task,), timeout=deadline - time.monotonic())
        finally:
            if self._store.cache.leave(flight) and not task.done():
                task.cancel()
        if not task.done():
            return Fetched(_LATE)
        return Fetched(_STOPPED) if task.cancelled() else task.result()

    async def _send(self, exchange: Exchange, fetched: Fetched) -> None:
        if fetched.outcome.code != 0:
            await self._errors.outcome(exchange, fetched.outcome)
            return
        headers = [*headers_of(exchange, fetched.content_type), *fetched.headers]
        if fetched.partial:
            headers.append((b"cache-control", b"no-store"))
        await exchange.reply(200, headers, fetched.body)

    async def _send_entry(self, exchange: Exchange, key: Hashable, entry: Entry) -> None:
        age = max(0, int(time.monotonic() - entry.made))
        headers = [*headers_of(exchange, entry.content_type), *entry.headers, (b"age", b"%d" % age)]
        exchange.variants = entry.variants
        variants = len(entry.variants)
        await exchange.reply(200, headers, entry.body)
        if len(entry.variants) != variants:
            self._store.cache.reweigh(key, entry)


class StoredUnary(_Stored, UnaryEndpoint):
    """A method of one backend call."""

    __slots__ = ("_rule", "_store")

    def __init__(self, *parts: Any, rule: Rule, store: Store, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._rule = rule
        self._store = store

    async def _fetch(self, message: Any, metadata: Metadata, deadline: float, parent: Call) -> Fetched:
        reply = await self._backends.find(self.method).reply(
            self.method,
            message.SerializeToString(),
            timeout=max(0.0, deadline - time.monotonic()),
            metadata=metadata,
            parent=parent,
        )
        outcome = reply.outcome
        if outcome.code != 0:
            return Fetched(outcome)
        headers = self._return_headers.read((*reply.initial, *outcome.trailing))
        return Fetched(outcome, *self._renderers.wire(outcome.value), headers=tuple(headers))


class StoredComposed(_Stored, ComposedEndpoint):
    """A method of several backend calls."""

    __slots__ = ("_rule", "_store")

    def __init__(self, *parts: Any, rule: Rule, store: Store, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._rule = rule
        self._store = store

    async def _fetch(self, message: Any, metadata: Metadata, deadline: float, parent: Call) -> Fetched:
        result = await self._backends.run(
            self._plan, message, deadline=deadline, metadata=metadata, parent=parent
        )
        if result.outcome.code != 0:
            return Fetched(result.outcome)
        rendered = self._renderers.message(result.outcome.value)
        return Fetched(result.outcome, *rendered, partial=bool(result.omitted))


# Set-Cookie is one person's; Vary names headers that the key may not have.
_PERSONAL: Final = frozenset({b"set-cookie", b"vary"})


def _absent() -> RequestProblem:
    # RFC 9111, 5.2.1.7: "it SHOULD [...] respond with a 504 (Gateway Timeout) status code".
    return RequestProblem(
        "header cache-control: only-if-cached, and no stored answer will do",
        code=Code.UNAVAILABLE,
        http_status=504,
    )
