"""One gateway on its ports, from its first connection to its last: started, given a new certificate, drained.

A successor may serve the same ports before this one ends. Whoever goes accepts no connection any more, asks for those
it has to be closed after their next answer, lets requests finish, and tells those that do not.

serving ─► handing over (ready; a successor accepts)  ─┐
        └► draining (not ready; nobody accepts after)  ─┴► connections closed when idle ─► finished, or cut off
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from typing import Any, Final

import grpc

from gateway.app import Gateway
from gateway.blueprint import Blueprint
from gateway.certificate import Certificate
from gateway.grpc_server import grpc_server
from gateway.http_server import HttpServer, is_listening
from mesh.binding.server import Server
from mesh.config.address import Address
from mesh.errors import ConfigError
from mesh.policy.problem import Problem

LAME_DUCK: Final = 0.5
"""Seconds for load balancers and clients to turn away, before connections are refused."""
_LAST_WORDS: Final = 1.0
"""Seconds for requests that were cut off to be answered."""


class Serving:
    """One blueprint, served on sockets that outlive it."""

    def __init__(self, blueprint: Blueprint, held: socket.socket, rpc_listen: Address | None) -> None:
        self.blueprint = blueprint
        self.gateway = Gateway(blueprint)
        self._held = held
        self._rpc_listen = rpc_listen
        tls = blueprint.settings.tls
        self._certificate = None if tls is None else Certificate(tls)
        self._http: HttpServer | None = None
        self._ended: asyncio.Future[None] | None = None
        self._rpc: Server | None = None
        self._outgoing: set[asyncio.Future[None]] = set()
        """Servers with the certificate before, while they drain."""

    @property
    def ended(self) -> asyncio.Future[None]:
        """Done when the HTTP server has ended, whoever ended it."""
        assert self._ended is not None  # noqa: S101 - `start` set it
        return self._ended

    async def start(self) -> None:
        """Answer requests. Raises ConfigError when a port cannot be had."""
        self.gateway.open()
        self._http, self._ended = await self._serve_http()
        if self._rpc_listen is not None:
            credentials: grpc.ServerCredentials | None = None
            if self._certificate is not None:
                credentials = self._certificate.credentials()
            self._rpc = grpc_server(self.gateway, self._rpc_listen, credentials)
            await self._rpc.start()

    async def _serve_http(self) -> tuple[HttpServer, asyncio.Future[None]]:
        http = HttpServer(self.gateway, self._held, self.blueprint.settings.tls)
        ended = asyncio.ensure_future(http.serve())
        # It takes a step to begin, and does not say when it listens.
        await asyncio.sleep(0)
        while not ended.done():
            if is_listening(self._held):
                return http, ended
            await asyncio.sleep(0.01)
        error = ended.exception()
        text = f'cannot listen on "{self._held.getsockname()}": {error}'
        raise ConfigError([Problem("", text)]) from error

    async def renew(self) -> bool:
        """Show new connections the certificate that is in the files now; return whether it is a new one.

        granian reads them once, so it gets a successor. Connections of before are closed as they become idle.
        """
        if self._certificate is None or not self._certificate.changed():
            return False
        old, old_ended = self._http, self._ended
        self._http, self._ended = await self._serve_http()
        if old is not None and old_ended is not None:
            going = asyncio.ensure_future(self._replace(old, old_ended))
            self._outgoing.add(going)
            going.add_done_callback(self._outgoing.discard)
        return True

    async def _replace(self, http: HttpServer, ended: asyncio.Future[None]) -> None:
        http.accept_no_more()
        self.gateway.closing = True
        await asyncio.sleep(LAME_DUCK)
        self.gateway.closing = self.gateway.draining
        await self.gateway.dismiss_sockets(_LAST_WORDS)
        http.stop()
        await asyncio.shield(ended)

    async def hand_over(self, hurried: asyncio.Event) -> None:
        """End in favour of a successor that serves already: no client notices."""
        if self._http is not None and not self.ended.done():
            self._http.accept_no_more()
        self.gateway.closing = True
        await self._finish(hurried, LAME_DUCK, refuse=False)

    async def drain(self, hurried: asyncio.Event, *, patient: bool) -> None:
        """End: without patience the moment for clients to turn away is skipped; with hurry those in flight are cut off."""
        self.gateway.draining = True
        pause = LAME_DUCK if patient and not self.ended.done() else 0.0
        await self._finish(hurried, pause, refuse=True)

    async def _finish(self, hurried: asyncio.Event, pause: float, *, refuse: bool) -> None:
        rest = [] if self._rpc is None else [asyncio.ensure_future(self._rpc.drain())]
        await _first(hurried.wait(), seconds=pause)
        if self._http is not None and not self.ended.done():
            # granian does not count a connection once it is a WebSocket, and drops all of them when it stops.
            await self.gateway.dismiss_sockets(_LAST_WORDS)
            if refuse:
                await self._http.stop_for_good()
            else:
                self._http.stop()
        everything = asyncio.gather(self.ended, *self._outgoing, *rest)
        await _first(hurried.wait(), everything, seconds=self.blueprint.settings.stop_timeout)
        if not everything.done():
            self.gateway.cut_off()
            if self._rpc is not None:
                await self._rpc.stop()
            await _first(everything, seconds=_LAST_WORDS)

    async def close(self) -> None:
        """Let go of everything that is left."""
        if self._http is not None and not self.ended.done():
            self._http.stop()
            await _first(self.ended, seconds=_LAST_WORDS)
        if self._rpc is not None:
            await self._rpc.stop()
        for going in self._outgoing:
            going.cancel()
        await self.gateway.close()

    def __repr__(self) -> str:
        return f"<Serving {self.gateway!r}>"


async def _first(*awaitables: Awaitable[Any], seconds: float) -> None:
    """Wait until one is done, or the time is over; none is cancelled but those made here."""
    futures = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for future, given in zip(futures, awaitables, strict=True):
        if future is not given:
            future.cancel()
