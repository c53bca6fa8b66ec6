"""grpc.health.v1 for a server with threads: watches take none, and end when the server drains.

Not the reference servicer, which holds its lock while it sends: the thread that would finish the sending may be waiting
for that lock, to note that another watcher has gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

SERVICE: Final[str] = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

_Status = health_pb2.HealthCheckResponse.ServingStatus
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN: Final = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

_Send = Callable[[Any], None]
"""Sends a response, and waits until it has gone; None ends the stream."""


class _Behaviour:
    """A function with the attributes by which grpc tells how it is to be run."""

    def __init__(self, function: Callable[..., Any], pool: futures.ThreadPoolExecutor) -> None:
        self._function = function
        self.experimental_thread_pool = pool
        self.experimental_non_blocking = False

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


class Health:
    """What a server says of itself and its services."""

    def __init__(self) -> None:
        # Of the fields below; grpc's own thread takes it, so nothing waits under it.
        self._lock = threading.Lock()
        self._statuses: dict[str, Any] = {}
        self._watches: dict[_Send, tuple[str, Any]] = {}
        self._closed = False
        self._sending = threading.Lock()  # keeps what is sent in order

    def handler(self, pool: futures.ThreadPoolExecutor) -> grpc.GenericRpcHandler:
        """Return what answers, in threads of its own: a server whose threads are all busy is healthy."""
        check, watch = _Behaviour(self._check, pool), _Behaviour(self._watch, pool)
        watch.experimental_non_blocking = True
        messages: dict[str, Any] = {
            "request_deserializer": health_pb2.HealthCheckRequest.FromString,
            "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(check, **messages),
                "Watch": grpc.unary_stream_rpc_method_handler(watch, **messages),
            },
        )

    def open(self, services: Iterable[str]) -> None:
        """Answer SERVING for the server and for each of its services."""
        self._say(dict.fromkeys(("", *services), _SERVING))

    def refuse(self) -> None:
        """Answer NOT_SERVING for everything, to watchers at once."""
        self._say(dict.fromkeys(self._statuses, _NOT_SERVING))

    def close(self) -> None:
        """End all watches: a server that stops waits for every open call."""
        with self._lock:
            self._closed = True
            watches, self._watches = self._watches, {}
        for send, (_, context) in watches.items():
            _end(send, context)

    def _say(self, statuses: dict[str, Any]) -> None:
        with self._sending:
            with self._lock:
                self._statuses = statuses
                watches = dict(self._watches)
            for send, (service, _) in watches.items():
                send(_response(statuses.get(service, _UNKNOWN)))

    def _check(self, request: Any, context: Any) -> Any:
        status = self._statuses.get(request.service)
        if status is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return health_pb2.HealthCheckResponse()
        return _response(status)

    def _watch(self, request: Any, context: Any, send: _Send) -> None:
        with self._sending:
            send(_response(self._statuses.get(request.service, _UNKNOWN)))
            with self._lock:
                closed = self._closed
                if not closed:
                    self._watches[send] = request.service, context
        if closed or not context.add_callback(lambda: self._forget(send)):
            self._forget(send)
        if closed:
            _end(send, context)

    def _forget(self, send: _Send) -> None:
        with self._lock:
            self._watches.pop(send, None)

    def __repr__(self) -> str:
        return f"<Health {len(self._watches)} watches>"


def _response(status: Any) -> Any:
    return health_pb2.HealthCheckResponse(status=status)


def _end(send: _Send, context: Any) -> None:
    context.set_code(grpc.StatusCode.UNAVAILABLE)
    context.set_details("the server is stopping")
    send(None)
