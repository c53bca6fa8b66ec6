"""One call on the synchronous client, as its attempts need it: what they send, and what the stages hear of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import grpc

from mesh.binding.alarm import Alarms
from mesh.binding.drive_sync import Turns
from mesh.binding.hearing import Ear, begin
from mesh.binding.hearing_sync import Watch
from mesh.binding.metadata import accepted, sent
from mesh.binding.status import CANCELLED
from mesh.binding.status_sync import outcome_of
from mesh.call import CURRENT, Arity, Attempt, Call, Outcome
from mesh.chain import Chains

Pair = tuple[Any, Any]
"""A response, and the call it came with."""


class _Fields(NamedTuple):
    method: str
    timeout: float | None = None
    metadata: Any = None
    credentials: grpc.CallCredentials | None = None
    wait_for_ready: bool | None = None
    compression: grpc.Compression | None = None


class Details(_Fields, grpc.ClientCallDetails):
    """What grpc is told of an attempt."""

    __slots__ = ()


class _RefusedRequestError(Exception):
    """A stage refused a message of a stream of requests; grpc ends the call when their iterator raises."""


class Exchange:
    """One call: its chain at work, and each attempt's message and metadata."""

    __slots__ = (
        "_call",
        "_details",
        "_ear",
        "_request",
        "_started",
        "_turns",
        "_watch",
        "_wire",
        "answer",
        "flow",
        "runs_by_itself",
    )

    def __init__(
        self, chains: Chains, turns: Turns, alarms: Alarms, details: Any, request: Any, arity: Arity
    ) -> None:
        self._turns = turns
        self._details = details
        self._request = request
        self._call = call = Call(
            details.method,
            arity,
            metadata=() if details.metadata is None else accepted(details.metadata),
            timeout=details.timeout,
            parent=CURRENT.get(),
            # A lone request is no stream; of streams, only what can be iterated twice can be sent twice.
            replayable=not arity.request_streams or isinstance(request, list | tuple),
        )
        chain, self.flow, self._ear = begin(chains, call, request)
        self._watch: Watch | None = None
        if self._ear is not None and arity is not Arity.UNARY_UNARY:
            self._watch = Watch(self._ear, turns, alarms)
        self.runs_by_itself = chain.hedge is not None or (chain.listens and arity.request_streams)
        """Whether the call needs attempts that can be cancelled while they run."""
        self._wire: Any = None
        self._started = threading.Event() if chain.listens and arity.request_streams else None
        self.answer: Pair = None, None
        """The response of the attempt that succeeded and the call it came with."""

    def details(self, attempt: Attempt) -> Details:
        given = self._details
        return Details(
            attempt.method or given.method,
            attempt.timeout,
            sent(self._call, attempt),
            given.credentials,
            given.wait_for_ready,
            given.compression,
        )

    def request(self, *, blocks: bool = False) -> Any:
        """Return the request for an attempt; `blocks`: there will be no wire to cancel before it has ended."""
        if not self._call.arity.request_streams:
            return self._request
        requests = iter(self._request)  # grpc itself takes iterators only
        return requests if self._ear is None else self._heard(self._ear, requests, blocks=blocks)

    def _heard(self, ear: Ear, requests: Iterator[Any], *, blocks: bool) -> Iterator[Any]:
        for number, message in enumerate(requests):
            if self._turns.take(ear.request, number, message) is not None:
                if blocks or self._started is None:
                    raise _RefusedRequestError
                # grpc reads requests in a thread of its own, which may be here before the call is known. Without one to
                # cancel, a stream that just stopped would look complete to its server.
                self._started.wait()
                hang_up(self._wire)
                return
            yield message

    def start(self, invoke: Callable[[Details, Any], Any], attempt: Attempt) -> Any:
        """Start an attempt that runs by itself."""
        try:
            self._wire = invoke(self.details(attempt), self.request())
        except grpc.RpcError as error:  # for a request that cannot be serialized: a call that has ended
            return error
        finally:
            if self._started is not None:
                self._started.set()
        return self._wire

    def outcome(self, ask: Callable[[], Pair]) -> Outcome:
        """Return how an attempt with one response ended; `ask` returns the response and its call, or raises."""
        try:
            pair = ask()
        except grpc.RpcError as error:
            return outcome_of(error)
        except grpc.FutureCancelledError:
            return CANCELLED
        self.answer = pair
        return Outcome(0, value=pair[0])

    def watch(self, stop: Callable[[], object]) -> None:
        """Let time pass judgement on an admitted call, too; `stop` ends it and is called without a turn."""
        if self._watch is not None:
            self._watch.begin(stop)

    @property
    def verdict(self) -> Outcome | None:
        """What the stages that listen have ended the call with, if they have."""
        return None if self._ear is None else self._ear.verdict

    def refuses(self, message: Any) -> bool:
        """Let the stages hear a message of a stream of responses; True: the call has ended with their verdict."""
        return self._ear is not None and self._turns.take(self._ear.received, message) is not None

    def __repr__(self) -> str:
        return f"<Exchange {self._call!r}>"


def hang_up(wire: Any) -> None:
    """Cancel a call; what an application's interceptor returned in its place may be a plain generator."""
    end = getattr(wire, "cancel", None) or getattr(wire, "close", None)
    if end is not None:
        end()
