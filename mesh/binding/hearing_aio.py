"""How messages and time reach an `Ear` under asyncio: the iterators, contexts and timers of calls that are listened to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc.aio

from mesh.binding.hearing import Ear, listen
from mesh.call import Arity, Call
from mesh.contract import Clock
from mesh.engine import Chain, Flow

Behaviour = Callable[[Any, Any], Awaitable[Any]]


class Judged(Exception):  # noqa: N818 - the call's outcome is the verdict; this only takes a handler's driver there
    """A handler was ended by what its call's ear has judged."""


def is_judged(ear: Ear) -> bool:
    """Whether it is the verdict, and nobody else, that has just cancelled what this task waited for."""
    task = asyncio.current_task()
    return ear.verdict is not None and (task is None or not task.cancelling())


def watch(ear: Ear) -> None:
    """Look at the time of an admitted call, if anything in it is about time, now and whenever it may be up."""
    seconds = ear.look()
    if seconds is not None:
        ear.alarm = asyncio.get_running_loop().call_later(seconds, watch, ear)
    elif ear.verdict is not None:
        ear.stop()


async def requests(ear: Ear, messages: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    """Yield a client's requests to grpc, each once it is heard. One that is refused cancels the wire.

    There it ends: a stream that just stopped would look complete to its server.
    """
    number = 0
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            await _pass(ear, ear.request(number, message))
            yield message
            number += 1
    else:
        for message in messages:
            await _pass(ear, ear.request(number, message))
            yield message
            number += 1


async def responses(ear: Ear, first: Any, others: Any) -> AsyncIterator[Any]:
    """Yield a server's responses to the application, each once it is heard, until one is refused or time is up.

    `others` is the iterator of those after the first.
    """
    try:
        message = first
        while ear.received(message) is None:
            yield message
            message = await anext(others)
        ear.stop()
    except StopAsyncIteration:
        return
    except asyncio.CancelledError:
        if not is_judged(ear):
            raise


def hear(
    chain: Chain, call: Call, clock: Clock, flow: Flow, request: Any, behaviour: Behaviour
) -> tuple[Flow, Behaviour]:
    """Return a server's flow and handler with their messages heard; only for chains that `listens`."""
    ear = Ear(chain, call, clock)
    served = behaviour if call.arity is Arity.UNARY_UNARY else _served(ear, behaviour)
    return listen(flow, ear, request, client=False), served


def _served(ear: Ear, behaviour: Behaviour) -> Behaviour:
    """Return a handler whose streams are listened to; it raises `Judged` where they ended it."""
    arity = ear.call.arity

    async def serve(request: Any, context: Any) -> Any:
        heard = _received(ear, request) if arity.request_streams else request
        limit = asyncio.timeout(None)
        try:
            async with limit:
                ear.stop = lambda: limit.reschedule(0.0)  # long past: the handler's task is cancelled at once
                watch(ear)
                value = await behaviour(heard, Context(ear, context))
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            ear.stop = _ignore
        if ear.verdict is None:
            return value
        raise Judged

    return serve


async def _received(ear: Ear, messages: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for message in messages:
        await _pass(ear, ear.received(message))
        yield message


async def _pass(ear: Ear, verdict: Any) -> None:
    """Return if there is no verdict; else wait to be cancelled by it."""
    if verdict is not None:
        ear.stop()
        await asyncio.Event().wait()


def _ignore() -> None:
    """Do nothing: the handler has returned."""


class Context:
    """A server context whose messages are heard. Everything else is grpc's own."""

    __slots__ = ("_context", "_ear")

    def __init__(self, ear: Ear, context: Any) -> None:
        self._ear = ear
        self._context = context

    async def read(self) -> Any:
        message = await self._context.read()
        if message is not grpc.aio.EOF:
            await _pass(self._ear, self._ear.received(message))
        return message

    async def write(self, message: Any) -> None:
        await _pass(self._ear, self._ear.sent(message))
        await self._context.write(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def __repr__(self) -> str:
        return f"<Context of {self._ear.call.method}>"
