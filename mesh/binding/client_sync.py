"""The fused client interceptor for plain grpc, and the same chains for a channel of our own.

One object is enough for the four arities: `grpc.intercept_channel` asks for each of them by itself. What no interceptor
can do is in `mesh.binding.capability`; `mesh.sync.channel` can, since it starts the calls itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import grpc

from mesh.binding import drive_sync
from mesh.binding.alarm import Alarms
from mesh.binding.drive_sync import Turns, Wires, raced
from mesh.binding.exchange_sync import Details, Exchange, Pair
from mesh.binding.hearing import weakly
from mesh.binding.status_sync import EndedRpcError, error_of
from mesh.binding.stream_sync import StreamHandle
from mesh.binding.unary_sync import UnaryHandle
from mesh.call import Arity, Attempt, Outcome
from mesh.chain import Chains

Invoke = Callable[[Details, Any], Any]
"""Starts an attempt, with grpc's details of it and its request."""


class Client:
    """Runs calls through chains that share a State, whoever starts the attempts."""

    __slots__ = ("_alarms", "_turns")

    def __init__(self, turns: Turns, alarms: Alarms) -> None:
        self._turns = turns
        self._alarms = alarms

    def exchange(self, chains: Chains, details: Any, request: Any, arity: Arity) -> Exchange:
        """Begin a call; nothing of it runs yet."""
        return Exchange(chains, self._turns, self._alarms, details, request, arity)

    def wait(self, exchange: Exchange, invoke: Callable[[Details, Any], Pair]) -> Outcome:
        """Run a call with one response to its end, with attempts that block."""

        def attempt(effect: Attempt) -> Outcome:
            return exchange.outcome(lambda: invoke(exchange.details(effect), exchange.request(blocks=True)))

        return drive_sync.unary(self._turns, exchange.flow, attempt)

    def race(self, exchange: Exchange, invoke: Invoke) -> Outcome:
        """Run a call with one response to its end, with attempts that run by themselves, some side by side."""
        turns, flow, wires = self._turns, exchange.flow, _wires(exchange, invoke)
        step = turns.advance(flow, None)
        exchange.watch(wires.cancel)
        return raced(turns, flow, wires, step)

    def future(self, exchange: Exchange, invoke: Invoke, read: Callable[[Outcome], Pair]) -> UnaryHandle:
        """Let a call with one response run by itself; `read` makes a Pair of a success."""
        wires = _wires(exchange, invoke)
        handle = UnaryHandle(self._turns, exchange.flow, wires, read)
        exchange.watch(wires.cancel)
        return handle

    def stream(self, exchange: Exchange, invoke: Invoke) -> StreamHandle:
        """Start a call with a stream of responses."""
        handle = StreamHandle(self._turns, exchange, lambda attempt: exchange.start(invoke, attempt))
        exchange.watch(weakly(handle.judged))
        return handle

    def __repr__(self) -> str:
        return f"<Client of {self._turns!r} {self._alarms!r}>"


def _wires(exchange: Exchange, invoke: Invoke) -> Wires:
    return Wires(
        lambda attempt: exchange.start(invoke, attempt),
        lambda wire: exchange.outcome(lambda: (wire.result(), wire)),
    )


def _read(exchange: Exchange, outcome: Outcome) -> Pair:
    """Return what a wire brought. An interceptor never sees how responses are deserialized."""
    if outcome.answered_by:
        raise EndedRpcError(
            Outcome(13, f"stage {outcome.answered_by} answered; a channel of mesh.sync.channel could read it")
        )
    return exchange.answer


class ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Runs every call of a channel through the chains."""

    def __init__(self, client: Client, chains: Chains) -> None:
        self._client = client
        self._chains = chains

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._unary(continuation, client_call_details, request, Arity.UNARY_UNARY)

    def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._unary(continuation, client_call_details, request_iterator, Arity.STREAM_UNARY)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        exchange = self._begin(client_call_details, request, Arity.UNARY_STREAM)
        return self._client.stream(exchange, continuation)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        exchange = self._begin(client_call_details, request_iterator, Arity.STREAM_STREAM)
        return self._client.stream(exchange, continuation)

    def _begin(self, given: Any, request: Any, arity: Arity) -> Exchange:
        # An outer interceptor may have left out whatever it does not care for.
        details = Details(given.method, *(getattr(given, name, None) for name in Details._fields[1:]))
        return self._client.exchange(self._chains, details, request, arity)

    def _unary(self, continuation: Any, details: Any, request: Any, arity: Arity) -> Any:
        exchange = self._begin(details, request, arity)
        if not _blocks(continuation):
            return self._client.future(exchange, continuation, functools.partial(_read, exchange))

        def invoke(details: Details, request: Any) -> Pair:
            wire = continuation(details, request)
            return wire.result(), wire

        outcome = self._client.wait(exchange, invoke)
        if outcome.code:
            raise error_of(outcome)
        return _read(exchange, outcome)[1]


def _blocks(continuation: Any) -> bool:
    """Whether the application called and waits, rather than asked for a future.

    grpc calls interceptors in both cases alike; the name of its closure is all there is to tell (1.85). If grpc renames
    it, all calls run by themselves, which a caller who waits notices by a thread for each retry.
    """
    return getattr(continuation, "__qualname__", "").endswith("._with_call.<locals>.continuation")
