"""The ASGI application: match, bind, execute, render - and what an answer owes its client whatever happens.

Any ASGI server or framework can host it; `gateway.server` is the packaged one. Requests only read `self._live`, so a
new schema is put in place by one assignment, and requests in flight finish with the one they began with.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway import own
from gateway.asgi import Receive, Scope, Send
from gateway.edge.access_log import AccessLog
from gateway.edge.body import ClientGone, broken_off, too_slow
from gateway.edge.cross_site import CrossSite
from gateway.edge.entrance import Entrance
from gateway.edge.header import RequestHeaders
from gateway.edge.target import check_target
from gateway.edge.trace import EdgeTracing
from gateway.edge.watch import Watch
from gateway.exchange import Exchange, Interruption, is_request_id
from gateway.live import HEALTH, READY, compile_live
from gateway.problem import RequestProblem
from gateway.protocol.passthrough import exposed
from gateway.protocol.socket_exchange import SocketExchange
from mesh.call import Arity, Call, Code
from mesh.telemetry.sink import LineSink

if TYPE_CHECKING:
    from gateway.blueprint import Blueprint
    from gateway.live import Live
    from gateway.protocol.passage import Passage
    from mesh.policy.problem import Problem

# nginx's number for a client that closed the connection before its answer: it is only ever logged.
CLIENT_CLOSED: Final = 499
_UNARY: Final = Arity.UNARY_UNARY
# What may be wrong with a path has one of these. As numbers: looking for a byte string in another takes 0.2 us.
_DOT, _PERCENT, _BACKSLASH = b".%\\"


class Refusal(NamedTuple):
    """Why a new schema is not served."""

    since: float
    """In seconds since 1970."""
    problems: tuple[Problem, ...]


class Gateway:
    """Answers REST with gRPC.

    To host it in a server of your own: `Gateway(gateway.load.load_environment(environment))`, where the environment is
    `mesh.config.environment.require("mesh.yaml")`, and let the server run the lifespan.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        """Compile the blueprint. Channels are opened by the lifespan's startup, or by `open`."""
        settings = blueprint.settings
        self._live = compile_live(blueprint)
        self._rules = RequestHeaders(settings.forward_headers, compresses=settings.compression.enabled)
        self.entrance = Entrance(settings, self._rules.tells)
        self._longest_target = settings.max_target_bytes
        self._cross_site = CrossSite(settings.cors.allow_origins)
        self._watch = Watch(settings.body_timeout)
        self._log = AccessLog(LineSink(sys.stdout)) if settings.access_log else None
        self._tracing = EdgeTracing(blueprint.runtime.telemetry.tracing)
        self._body_timeout = settings.body_timeout
        self._ids = itertools.count(1)
        # Unique without asking the system for randomness each time: 64 random bits, then a count.
        self._id_prefix = os.urandom(8).hex()
        self._passages: set[Passage] = set()
        """Native gRPC calls in flight."""
        self._replaced: set[Live] = set()
        """What was served before, while requests of it are in flight."""
        self.refused: Refusal | None = None
        """The schema that is offered but not taken over; None if what is served is what is offered."""
        self.closing = False
        """Answers ask clients for another connection next time: those that are open will be closed soon."""
        self.draining = False
        """Not ready: load balancers are told to look elsewhere. Requests are still answered."""

    # Running

    def open(self) -> None:
        """Open the channels, in the event loop that will serve."""
        self._live.backends.open()

    async def swap(self, blueprint: Blueprint) -> None:
        """Serve another blueprint from the next request on; returns when requests of the old one have ended.

        The settings that hold for the process (body limits, forwarded headers, access log) stay.
        """
        await self.retire(self.replace(compile_live(blueprint)))

    def replace(self, live: Live) -> Live:
        """Serve another schema from the next request on; return the one before, which is to be retired.

        Where both have one runtime, targets that stay keep their channels, circuits and budgets.
        """
        old = self._live
        live.backends.open(old.backends, _changed_kinds(old, live))
        self._live = live
        self._replaced.add(old)
        return old

    async def retire(self, old: Live) -> None:
        """Let go of a schema that was replaced, when its last request has ended."""
        if self._uses(old):
            await old.idle.wait()
        await self._let_go(old)

    async def _let_go(self, live: Live) -> None:
        self._replaced.discard(live)
        if live.store is not None:
            live.store.close()
        await live.backends.close()

    def _uses(self, live: Live) -> bool:
        in_flight: tuple[Exchange | Passage, ...] = (*self._watch.in_flight, *self._passages)
        return any(one.live is live for one in in_flight)

    def cut_off(self) -> None:
        """Answer every request in flight with 503: the process cannot wait for them any longer."""
        for exchange in self._watch.in_flight:
            exchange.interrupt(Interruption.STOPPING)

    async def dismiss_sockets(self, seconds: float) -> None:
        """Tell the clients of WebSockets that the server ends; return when the sockets are closed, or the time is over."""
        sockets = [exchange for exchange in self._watch.in_flight if exchange.is_socket]
        for exchange in sockets:
            exchange.interrupt(Interruption.STOPPING)
        tasks = [exchange.task for exchange in sockets if exchange.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def close(self) -> None:
        """Close the channels and write what is left of the log."""
        for live in (*self._replaced, self._live):
            await self._let_go(live)
        if self._log is not None:
            self._log.flush()

    @property
    def live(self) -> Live:
        return self._live

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return len(self._watch.in_flight) + len(self._passages)

    # Serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind != "lifespan":
            opened = Exchange if kind == "http" else SocketExchange
            exchange = opened(scope, receive, send, time.monotonic())
            try:
                await self._serve(exchange)
            except asyncio.CancelledError:
                # A client that goes away while it is sent an error.
                if exchange.interruption is None or exchange.task is None:
                    raise
                exchange.task.uncancel()
        else:
            await self._lifespan(receive, send)

    async def _serve(self, exchange: Exchange) -> None:
        live = exchange.live = self._live
        exchange.closing = self.draining or self.closing
        durations = live.unmatched
        parent = Call("", _UNARY)
        span = None
        self._watch.begin(exchange)
        exchange.standing = self.entrance.standing
        exchange.finish = live.finish
        try:
            if self.entrance.busy:
                self.entrance.admit(exchange)
            # First, so that whatever is refused from here on is refused in the words of the request's protocol.
            procedure = live.procedures.get(exchange.path)
            spoken = None if procedure is None else procedure.find(exchange)
            exchange.read_headers(self._rules)
            if not exchange.request_id:
                self._name(exchange)
            method, path, query = exchange.method, exchange.path, exchange.scope["query_string"]
            if (
                len(path) + len(query) >= self._longest_target
                or _DOT in path
                or _PERCENT in path
                or _BACKSLASH in path
            ):
                check_target(path, query, self._longest_target)
            if method == "OPTIONS" and self.entrance.busy:
                origin = self.entrance.preflight_of(exchange)
                if origin is not None:
                    await own.answer_preflight(live, exchange, origin, self.entrance.cross_origin)
                    return
            if spoken is not None:
                exchange.route, durations = spoken.path, spoken.durations
                span = self._tracing.begin(exchange, parent)
                await spoken.answer(exchange, (), parent)
                return
            match = (live.sockets if exchange.is_socket else live.trie).find(method, exchange.path)
            endpoint = match.route
            if endpoint is None and method == "HEAD":
                # RFC 9110, 9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content".
                match = live.trie.find("GET", exchange.path)
                endpoint = match.route
            if endpoint is None or (method in own.READS and exchange.path in live.pages):
                if method in own.READS:
                    durations = live.page_durations.get(exchange.path, durations)
                await own.answer(live, exchange, match.allow, draining=self.draining)
                return
            exchange.route, durations = endpoint.path, endpoint.durations
            exchange.finish = endpoint.finish
            span = self._tracing.begin(exchange, parent)
            if method == "POST" and exchange.content_type != "application/json":
                self._cross_site.check(exchange.scope["headers"], exchange.content_type)
            await endpoint.answer(exchange, match.captures, parent)
        except RequestProblem as problem:
            await self._refuse(exchange, problem)
        except ClientGone:
            # A server says of a body whose framing is wrong what it says of a client that has gone; it would answer 500.
            await self._refuse(exchange, broken_off())
        except asyncio.CancelledError:
            if not await self._interrupted(exchange):
                raise
        except Exception as error:
            if exchange.status:
                # An answer has begun: the server must leave it incomplete.
                raise
            if not exchange.request_id:
                self._name(exchange)
            await (exchange.errors or live.errors).fault(exchange, error)
        finally:
            self._watch.end(exchange)
            now = time.monotonic()
            durations[exchange.status or CLIENT_CLOSED].record(now - exchange.started)
            if self._log is not None and not (exchange.path in _PROBES and exchange.path in live.pages):
                self._log.write(exchange, now)
            if span is not None:
                span.end(exchange)
            if live is not self._live and not self._uses(live):
                live.idle.set()

    def name_request(self, asked: str = "") -> str:
        """Return the id of a request: the one its client asked for, if that may be in a log, or a new one."""
        return asked if asked and is_request_id(asked) else f"{self._id_prefix}{next(self._ids):08x}"

    def enter(self, passage: Passage) -> None:
        """Count a native gRPC call, until it leaves."""
        self._passages.add(passage)

    def leave(self, passage: Passage) -> None:
        """Log a native gRPC call that has ended."""
        self._passages.discard(passage)
        if self._log is not None:
            self._log.write(passage, time.monotonic())
        live = passage.live
        if live is not self._live and not self._uses(live):
            live.idle.set()

    def _name(self, exchange: Exchange) -> None:
        exchange.request_id = self.name_request()
        if self._rules.forwards_request_id:
            exchange.metadata.append(("x-request-id", exchange.request_id))

    async def _refuse(self, exchange: Exchange, problem: RequestProblem) -> None:
        if not exchange.request_id:
            self._name(exchange)
        await (exchange.errors or self._live.errors).problem(exchange, problem)

    async def _interrupted(self, exchange: Exchange) -> bool:
        """Answer for a cancellation; False if it was not ours."""
        if exchange.interruption is None:
            self._note_gone(exchange)
            return False
        if exchange.task is not None:
            exchange.task.uncancel()
        if exchange.interruption is Interruption.BODY_LATE:
            await self._refuse(exchange, too_slow(self._body_timeout))
        elif exchange.interruption is Interruption.BODY_BROKEN and not exchange.status:
            await self._refuse(exchange, broken_off())
        elif exchange.interruption is Interruption.STOPPING and not exchange.status:
            exchange.closing = True
            await self._refuse(exchange, _stopping())
        else:
            self._note_gone(exchange)
        return True

    @staticmethod
    def _note_gone(exchange: Exchange) -> None:
        if not exchange.status:
            exchange.status, exchange.code = CLIENT_CLOSED, int(Code.CANCELLED)
        exchange.error = "the client closed the connection"

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.open()
        except Exception as error:  # noqa: BLE001 - the server is told, in ASGI's way
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.draining = self.closing = True
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def __repr__(self) -> str:
        return f"<Gateway {self._live.blueprint!r} in_flight={self.in_flight} draining={self.draining}>"


def _changed_kinds(old: Live, new: Live) -> set[str]:
    """Return the targets of methods that stream otherwise than before: what is kept of a method is kept for its kind."""
    before, after = exposed(old.blueprint), exposed(new.blueprint)
    return {
        new.backends.target_of(name) for name, arity in after.items() if before.get(name, arity) is not arity
    }


_PROBES: Final = frozenset({HEALTH, READY})
"""What probes ask for every second: their answers are not in the access log."""


def _stopping() -> RequestProblem:
    # Another process answers by then.
    return RequestProblem("the gateway is stopping", code=Code.UNAVAILABLE, headers=((b"retry-after", b"1"),))
