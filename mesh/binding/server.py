"""A grpc.aio server of the mesh: the chain, health, reflection, and a drain that fails no call."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mesh.binding import runtime, server_aio
from mesh.binding.construction import OPTIONS, UnderConstruction, bind, check_policies, grace_of, place_of
from mesh.binding.health import Health
from mesh.binding.run import run
from mesh.binding.runtime import Runtime
from mesh.call import Side
from mesh.chain import Chains
from mesh.placement import Placed
from mesh.telemetry import otel


class Server(UnderConstruction, grpc.aio.Server):
    """A server under construction, then running. Hand it to the generated `add_...Servicer_to_server`."""

    _maker = "mesh.server"

    def __init__(
        self,
        name: str,
        *,
        listen: str | None,
        credentials: grpc.ServerCredentials | None,
        grace: float | None,
        lame_duck: float,
        with_reflection: bool,
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        stages: Sequence[Placed],
        options: Sequence[tuple[str, Any]],
        using: Runtime,
    ) -> None:
        super().__init__()
        self.name = name
        self.address = ""
        """Where it listens, as HOST:PORT; empty before `start`."""
        self._listen = place_of(listen)
        self._credentials = credentials
        self._grace = grace_of(name, using) if grace is None else grace
        self._lame_duck = lame_duck
        self._with_reflection = with_reflection
        self._interceptors = interceptors
        self._options = options
        self._using = using
        self._chains = using.chains(Side.SERVER, name, stages=stages)
        self._grpc: grpc.aio.Server | None = None
        self._health: Health | None = None
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> str:  # type: ignore[override]  # grpc's returns nothing
        """Listen and answer SERVING; return the address.

        Raises ConfigError when the address cannot be had or a method's policy is wrong.
        """
        check_policies(self._chains, self._arities)
        server = grpc.aio.server(
            interceptors=[*self._interceptors, *_spans(self._chains, self._using)],
            # Of options given twice gRPC takes the first.
            options=[*self._options, *OPTIONS],
        )
        # Not an interceptor, which would cost each call two coroutines more on its way to its handler.
        server.add_generic_rpc_handlers((server_aio.Handlers(self._chains, self._handlers),))
        self._health = Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._with_reflection:
            names = (*self._arities, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
            reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        address = bind(server, self._listen, self._credentials)
        await server.start()
        await self._health.open(self._arities)
        self._grpc = server
        self.address = address
        return self.address

    async def drain(self) -> None:
        """Stop without failing a call: say NOT_SERVING, let clients turn away, finish what is in flight.

        Returns when every call has ended, or was cancelled because the grace period was over.
        """
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain())
        await asyncio.shield(self._draining)

    async def _drain(self) -> None:
        if self._grpc is None or self._health is None:
            return
        await self._health.refuse()
        await asyncio.sleep(self._lame_duck)
        self._health.close()
        await self._grpc.stop(self._grace)

    async def stop(self, grace: float | None = None) -> None:
        """Stop without telling clients first; calls in flight get `grace` seconds, by default none."""
        if self._draining is not None:
            self._draining.cancel()
        if self._health is not None:
            self._health.close()
        if self._grpc is not None:
            await self._grpc.stop(grace)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - grpc's signature
        """Wait until the server has stopped; return whether `timeout` seconds passed first."""
        return False if self._grpc is None else await self._grpc.wait_for_termination(timeout)

    async def serve(self) -> None:
        """Start, run until SIGTERM or SIGINT, then drain. A second signal stops at once."""
        asked, again = asyncio.Event(), asyncio.Event()

        def on_signal() -> None:
            (again if asked.is_set() else asked).set()

        with _signals(on_signal):
            await self.start()
            await asked.wait()
            drained, hurried = asyncio.ensure_future(self.drain()), asyncio.ensure_future(again.wait())
            await asyncio.wait({drained, hurried}, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            if drained.done():
                drained.result()
            else:
                drained.cancel()
                await self.stop()

    def run(self) -> None:
        """Serve until told to stop: the whole `main` of a service that opens no channels; see `mesh.run`."""
        run(self.serve())

    def __repr__(self) -> str:
        return f"<Server {self.name} {self.address or 'not started'}>"


def server(
    name: str,
    *,
    listen: str | None = None,
    credentials: grpc.ServerCredentials | None = None,
    grace: float | None = None,
    lame_duck: float = 0.5,
    reflection: bool = True,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    stages: Sequence[Placed] = (),
    options: Sequence[tuple[str, Any]] = (),
    using: Runtime | None = None,
) -> Server:
    """Make a server whose calls go through the mesh.

    `name` is what metrics and logs call it, best its name in the environment. It listens on `listen`, else on what
    `mesh up` chose (MESH_LISTEN), else on 127.0.0.1:50051; port 0 takes a free one. The application's `interceptors`
    run before the mesh's; its `stages` (see `mesh.place`) run where they are placed. Draining tells clients for
    `lame_duck` seconds that it is NOT_SERVING, then gives calls in flight `grace` seconds; by default its service's
    `stop_timeout` in the environment, 10 s without one.

    Raises ConfigError when the environment's policies are wrong.
    """
    return Server(
        name,
        listen=listen,
        credentials=credentials,
        grace=grace,
        lame_duck=lame_duck,
        with_reflection=reflection,
        interceptors=interceptors,
        stages=stages,
        options=options,
        using=using or runtime.current(),
    )


def server_interceptors(
    name: str = "server", *, stages: Sequence[Placed] = (), using: Runtime | None = None
) -> list[grpc.aio.ServerInterceptor]:
    """Return the mesh's interceptors for a grpc.aio server of your own.

    Put your own interceptors before or after them. They bring the chain only: health, reflection and draining are
    `mesh.server`'s.
    """
    using = using or runtime.current()
    chains = using.chains(Side.SERVER, name, stages=stages)
    return [*_spans(chains, using), server_aio.ServerInterceptor(chains)]


def _spans(chains: Chains, using: Runtime) -> list[grpc.aio.ServerInterceptor]:
    """Return the interceptors that make the spans which policies leave to their package."""
    if not using.policies.names_otel_instrumentation:
        return []
    return otel.otel_server_interceptors(using.telemetry, chains.leaves_spans)


@contextlib.contextmanager
def _signals(handler: Callable[[], None]) -> Iterator[None]:
    loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
