"""A plain grpc server of the mesh: the chain, health, reflection, and a drain that fails no call, with threads."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from typing import Any, Final

import grpc
from grpc_reflection.v1alpha import reflection

from mesh.binding import runtime
from mesh.binding.construction import OPTIONS, UnderConstruction, bind, check_policies, grace_of, place_of
from mesh.binding.health_sync import SERVICE, Health
from mesh.binding.run import spare_collector
from mesh.binding.runtime import Runtime
from mesh.binding.server_sync import ServerInterceptor
from mesh.call import Colour, Side
from mesh.chain import Chains
from mesh.placement import Placed

MAX_WORKERS: Final = 32
"""Handlers at once. More calls wait for a thread, where no limit sees them."""

_HEALTH_WORKERS: Final = 2


class Server(UnderConstruction, grpc.Server):
    """A server under construction, then running. Hand it to the generated `add_...Servicer_to_server`."""

    _maker = "mesh.sync.server"

    def __init__(
        self,
        name: str,
        *,
        listen: str | None,
        credentials: grpc.ServerCredentials | None,
        grace: float | None,
        lame_duck: float,
        with_reflection: bool,
        max_workers: int,
        interceptors: Sequence[Any],
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
        self._max_workers = max_workers
        self._interceptors = interceptors
        self._options = options
        self._using = using
        self._chains = _chains(name, using, stages)
        self._grpc: grpc.Server | None = None
        self._pools: list[futures.ThreadPoolExecutor] = []
        self._health = Health()
        self._draining = threading.Lock()
        self._stopping: queue.SimpleQueue[None] = queue.SimpleQueue()

    def start(self) -> str:  # type: ignore[override]  # grpc's returns nothing
        """Listen and answer SERVING; return the address.

        Raises ConfigError when the address cannot be had or a method's policy is wrong.
        """
        check_policies(self._chains, self._arities)
        workers = futures.ThreadPoolExecutor(self._max_workers, thread_name_prefix=f"mesh-{self.name}")
        others = futures.ThreadPoolExecutor(_HEALTH_WORKERS, thread_name_prefix="mesh-health")
        self._pools = [workers, others]
        server = grpc.server(
            workers,
            interceptors=[*self._interceptors, ServerInterceptor(self._chains, self._using.turns)],
            # Of options given twice gRPC takes the first.
            options=[*self._options, *OPTIONS],
        )
        server.add_generic_rpc_handlers((*self._handlers, self._health.handler(others)))
        if self._with_reflection:
            reflection.enable_server_reflection((*self._arities, SERVICE, reflection.SERVICE_NAME), server)
        address = bind(server, self._listen, self._credentials)
        server.start()
        self._health.open(self._arities)
        self._grpc = server
        self.address = address
        return self.address

    def drain(self) -> None:
        """Stop without failing a call: say NOT_SERVING, let clients turn away, finish what is in flight.

        Returns when every call has ended, or was cancelled because the grace period was over. A handler's thread cannot
        be interrupted: one that goes on after that ends when it ends, and the process not before.
        """
        with self._draining:
            if self._grpc is None or self._stopped:
                return
            self._health.refuse()
            with contextlib.suppress(queue.Empty):
                self._stopping.get(timeout=self._lame_duck)
            self.stop(self._grace).wait()

    @property
    def _stopped(self) -> bool:
        return not self._pools

    def stop(self, grace: float | None = None) -> threading.Event:
        """Stop without telling clients first; calls in flight get `grace` seconds, by default none.

        The event that is returned is set when all have ended.
        """
        self._stopping.put(None)
        self._health.close()
        if self._grpc is None:
            stopped = threading.Event()
            stopped.set()
            return stopped
        stopped = self._grpc.stop(grace)
        pools, self._pools = self._pools, []
        for pool in pools:
            threading.Thread(target=_close, args=(pool, stopped), daemon=True).start()
        return stopped

    def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Wait until the server has stopped; return whether `timeout` seconds passed first."""
        return False if self._grpc is None else self._grpc.wait_for_termination(timeout)

    def serve(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal stops at once. Belongs in the main thread."""
        self.start()
        # A queue, because a handler may interrupt the main thread anywhere, and to put into one is safe even then.
        told: queue.SimpleQueue[bool] = queue.SimpleQueue()
        with _signals(told):
            told.get()
            drain = threading.Thread(target=self._drain_and_tell, args=(told,), name="mesh-drain")
            drain.start()
            drained = told.get()
            if not drained:
                self.stop().wait()
            drain.join()

    def _drain_and_tell(self, told: queue.SimpleQueue[bool]) -> None:
        try:
            self.drain()
        finally:
            told.put(True)  # noqa: FBT003 - drained

    def run(self) -> None:
        """Serve until told to stop: the whole `main` of a service."""
        spare_collector()
        self.serve()

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
    max_workers: int = MAX_WORKERS,
    interceptors: Sequence[Any] = (),
    stages: Sequence[Placed] = (),
    options: Sequence[tuple[str, Any]] = (),
    using: Runtime | None = None,
) -> Server:
    """Make a server of plain functions whose calls go through the mesh.

    As `mesh.server`, with `max_workers` threads for handlers. More calls than that wait for a thread, and their
    deadlines with them; give `server_concurrency` at most as many, so that what waits is refused instead.

    Raises ConfigError when the environment's policies are wrong.
    """
    return Server(
        name,
        listen=listen,
        credentials=credentials,
        grace=grace,
        lame_duck=lame_duck,
        with_reflection=reflection,
        max_workers=max_workers,
        interceptors=interceptors,
        stages=stages,
        options=options,
        using=using or runtime.current(),
    )


def server_interceptors(
    name: str = "server", *, stages: Sequence[Placed] = (), using: Runtime | None = None
) -> list[Any]:
    """Return the mesh's interceptor for a grpc.server of your own.

    Put your own interceptors before or after it. It brings the chain only: health, reflection and draining are
    `mesh.sync.server`'s.
    """
    using = using or runtime.current()
    return [ServerInterceptor(_chains(name, using, stages), using.turns)]


def _chains(name: str, using: Runtime, stages: Sequence[Placed]) -> Chains:
    return using.chains(Side.SERVER, name, colour=Colour.SYNC, native=True, stages=stages)


def _close(pool: futures.ThreadPoolExecutor, stopped: threading.Event) -> None:
    """Let the threads go once nobody can be given to them any more."""
    stopped.wait()
    pool.shutdown(wait=False)


@contextlib.contextmanager
def _signals(told: queue.SimpleQueue[bool]) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: told.put(False)) for number in numbers]  # noqa: FBT003 - not drained
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
