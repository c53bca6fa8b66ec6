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
from typing import TYPE_CHECKING, Final

from gateway.asgi import Receive, Scope, Send
from gateway.edge.access_log import AccessLog
from gateway.edge.body import ClientGone, broken_off, too_slow
from gateway.edge.header import RequestHeaders
from gateway.edge.trace import EdgeTracing
from gateway.edge.watch import Watch
from gateway.exchange import Exchange, Interruption
from gateway.live import HEALTH, READY, compile_live
from gateway.problem import RequestProblem
from gateway.render.error import headers_of
from mesh.call import Arity, Call, Code
from mesh.telemetry.sink import LineSink

if TYPE_CHECKING:
    from gateway.blueprint import Blueprint
    from gateway.live import Live

# nginx's number for a client that closed the connection before its answer: it is only ever logged.
CLIENT_CLOSED: Final = 499
_UNARY: Final = Arity.UNARY_UNARY


class Gateway:
    """Answers REST with gRPC.

    To host it in a server of your own: `Gateway(gateway.load.load_environment(environment))`, where the environment is
    `mesh.config.environment.require("mesh.yaml")`, and let the server run the lifespan.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        """Compile the blueprint. Channels are opened by the lifespan's startup, or by `open`."""
        settings = blueprint.settings
        self._live = compile_live(blueprint)
        self._rules = RequestHeaders(settings.forward_headers)
        self._watch = Watch(settings.body_timeout)
        self._log = AccessLog(LineSink(sys.stdout)) if settings.access_log else None
        self._tracing = EdgeTracing(blueprint.runtime.telemetry.tracing)
        self._body_timeout = settings.body_timeout
        self._ids = itertools.count(1)
        # Unique without asking the system for randomness each time: 64 random bits, then a count.
        self._id_prefix = os.urandom(8).hex()
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
        live = compile_live(blueprint)
        live.backends.open()
        old, self._live = self._live, live
        if self._uses(old):
            await old.idle.wait()
        await old.backends.close()

    def _uses(self, live: Live) -> bool:
        return any(exchange.live is live for exchange in self._watch.in_flight)

    def cut_off(self) -> None:
        """Answer every request in flight with 503: the process cannot wait for them any longer."""
        for exchange in self._watch.in_flight:
            exchange.interrupt(Interruption.STOPPING)

    async def close(self) -> None:
        """Close the channels and write what is left of the log."""
        await self._live.backends.close()
        if self._log is not None:
            self._log.flush()

    @property
    def live(self) -> Live:
        return self._live

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return len(self._watch.in_flight)

    # Serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            exchange = Exchange(scope, receive, send, time.monotonic())
            try:
                await self._serve(exchange)
            except asyncio.CancelledError:
                # A client that goes away while it is sent an error.
                if exchange.interruption is None or exchange.task is None:
                    raise
                exchange.task.uncancel()
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        else:
            # ASGI: closing before accepting answers the handshake with 403.
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, exchange: Exchange) -> None:
        live = exchange.live = self._live
        exchange.closing = self.draining
        durations = live.unmatched
        parent = Call("", _UNARY)
        span = None
        self._watch.begin(exchange)
        try:
            exchange.read_headers(self._rules)
            if not exchange.request_id:
                self._name(exchange)
            method = exchange.method
            match = live.trie.find(method, exchange.path)
            endpoint = match.route
            if endpoint is None and method == "HEAD":
                # RFC 9110, 9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content".
                match = live.trie.find("GET", exchange.path)
                endpoint = match.route
            if endpoint is None or (method in _READS and exchange.path in live.pages):
                await self._answer_unmatched(live, exchange, match.allow)
                return
            exchange.route, durations = endpoint.path, endpoint.durations
            span = self._tracing.begin(exchange, parent)
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
            await live.errors.fault(exchange, error)
        finally:
            self._watch.end(exchange)
            now = time.monotonic()
            durations[exchange.status or CLIENT_CLOSED].record(now - exchange.started)
            if self._log is not None and not (exchange.route == "" and exchange.path in _PROBES):
                self._log.write(exchange, now)
            if span is not None:
                span.end(exchange)
            if live is not self._live and not self._uses(live):
                live.idle.set()

    def _name(self, exchange: Exchange) -> None:
        exchange.request_id = f"{self._id_prefix}{next(self._ids):08x}"
        if self._rules.forwards_request_id:
            exchange.metadata.append(("x-request-id", exchange.request_id))

    async def _answer_unmatched(self, live: Live, exchange: Exchange, allow: tuple[str, ...]) -> None:
        method, path = exchange.method, exchange.path
        if path in live.pages and method in _READS:
            page = live.pages[path]
            if page is None:
                await self._answer_health(exchange, ready=path == READY)
                return
            headers = headers_of(exchange, page.content_type.encode())
            # Assets carry no version in their names: have the browser ask again.
            headers.append((b"cache-control", b"no-cache"))
            await exchange.reply(200, headers, page.body)
            return
        methods = {*allow, *(("GET",) if path in live.pages else ())}
        if not methods:
            shown = path[:200].decode("utf-8", "replace")
            raise RequestProblem(f'no method is mapped to "{shown}"', code=Code.NOT_FOUND)
        methods |= {"OPTIONS", "HEAD"} if "GET" in methods else {"OPTIONS"}
        listed = ", ".join(sorted(methods)).encode()
        if method == "OPTIONS":
            headers = headers_of(exchange)
            headers.append((b"allow", listed))
            await exchange.reply(204, headers, b"")
        else:
            await live.errors.not_allowed(exchange, listed)

    async def _answer_health(self, exchange: Exchange, *, ready: bool) -> None:
        status, word = 200, b'{"status":"SERVING"}'
        if ready and (self.draining or not self._live.backends.is_open):
            status, word = 503, b'{"status":"NOT_SERVING"}'
        headers = headers_of(exchange)
        headers.append((b"cache-control", b"no-store"))
        await exchange.reply(status, headers, word)

    async def _refuse(self, exchange: Exchange, problem: RequestProblem) -> None:
        if not exchange.request_id:
            self._name(exchange)
        await self._live.errors.problem(exchange, problem)

    async def _interrupted(self, exchange: Exchange) -> bool:
        """Answer for a cancellation; False if it was not ours."""
        if exchange.interruption is None:
            self._note_gone(exchange)
            return False
        if exchange.task is not None:
            exchange.task.uncancel()
        if exchange.interruption is Interruption.BODY_LATE:
            await self._refuse(exchange, too_slow(self._body_timeout))
        elif exchange.interruption is Interruption.STOPPING and not exchange.status:
            exchange.closing = True
            await self._refuse(exchange, RequestProblem("the gateway is stopping", code=Code.UNAVAILABLE))
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
        self.draining = True
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def __repr__(self) -> str:
        return f"<Gateway {self._live.blueprint!r} in_flight={self.in_flight} draining={self.draining}>"


_PROBES: Final = frozenset({HEALTH, READY})
"""What probes ask for every second: their answers are not in the access log."""

_READS: Final = frozenset({"GET", "HEAD"})
