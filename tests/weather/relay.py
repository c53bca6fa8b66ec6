"""A relay with every feature on: a client calls the front, whose handlers call the back, all of it in this process."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

import mesh
from mesh.binding.runtime import Runtime
from mesh.call import Arity
from mesh.config import environment as environments
from mesh.placement import Placed
from mesh.telemetry.sink import LineSink
from mesh.telemetry.telemetry import Telemetry
from tests.weather.backend import free_port
from tests.weather.invariant import Ledger, taken, unsettled

SERVICE: Final = "weather.v1.Relay"
METHODS: Final = {
    Arity.UNARY_UNARY: f"/{SERVICE}/Ask",
    Arity.UNARY_STREAM: f"/{SERVICE}/Watch",
    Arity.STREAM_UNARY: f"/{SERVICE}/Send",
    Arity.STREAM_STREAM: f"/{SERVICE}/Talk",
}
INSTEAD: Final = f"/{SERVICE}/AskElse", f"/{SERVICE}/SendElse"

RETRY: Final = """
retry: {scope: RETRY_SCOPE_ALL, backoff: {base: 0.001s, jitter: JITTER_NONE}, budget: {min_per_second: 100000}}
"""
HEDGE: Final = """
hedge: {scope: RETRY_SCOPE_ALL, delay: 0.001s, max_attempts: 3}, retry: {budget: {min_per_second: 100000}}
"""

ENVIRONMENT: Final = """
services:
  - {{name: front, endpoints: ["{front}"], subsets: [{{name: canary, endpoints: ["{front}"]}}]}}
  - {{name: back, endpoints: ["{back}"], subsets: [{{name: canary, endpoints: ["{back}"]}}]}}
  - {{name: shadow, endpoints: ["{back}"]}}
policies:
  defaults: {{
    deadline: {{default_timeout: 10s, hop_reserve: 0.01s, min_attempt_time: 0.001s}},
    circuit_breaker: {{consecutive_failures: 1000000, failure_ratio: 0}},
    client_concurrency: {{max_in_flight: 1000, adaptive: {{initial_in_flight: 500}}}},
    server_concurrency: {{max_in_flight: 1000, scope: CONCURRENCY_SCOPE_TARGET}},
    metrics: {{messages: true}},
    access_log: {{}},
    rate_limit: {{limits: [{{per_second: 100000, key: RATE_KEY_PRINCIPAL}}]}},
    priority: {{}},
    fault: {{delay: {{duration: 0.001s}}, by_request: true}},
    mirror: {{target: shadow, timeout: 0.2s}},
    validation: {{}},
    stream: {{idle_timeout: 5s, max_age: 10s}},
    message_limit: {{max_request_bytes: 1000000, max_response_bytes: 1000000}},
    connection: {{health_check: {{enabled: false}}}},
    {again}
  }}
  services:
    - service: {service}
      policy: {{route: {{rules: [{{to: [{{subset: canary}}, {{}}]}}]}}}}
      methods:
        - {{method: Ask, policy: {{fallback: {{method: AskElse}}}}}}
        - {{method: Send, policy: {{fallback: {{method: SendElse}}}}}}
"""

Act = Callable[[bytes, Any], Awaitable[bytes]]


class _Nowhere:
    """A log that nobody reads."""

    def write(self, text: str, /) -> object:
        return len(text)

    def flush(self) -> object:
        return None


def quiet(file: pathlib.Path) -> Runtime:
    """Return a runtime of an environment, whose access log goes nowhere."""
    return Runtime(environments.require(file), telemetry=Telemetry(log=LineSink(_Nowhere())))


async def answer(request: bytes, context: Any) -> bytes:
    """Do what the request says: answer, fail at first, fail unless asked by the fallback, never answer."""
    await asyncio.sleep(0.001)
    first = not any(key == "grpc-previous-rpc-attempts" for key, _ in context.invocation_metadata())
    if request == b"down" or (request == b"flaky" and first):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
    if request == b"hang":
        await asyncio.Event().wait()
    return request


class Node:
    """A server of all four arities: it does something itself, or asks another one in the same way."""

    def __init__(self, name: str, file: pathlib.Path, *, using: Runtime | None = None) -> None:
        self.name = name
        self.file = file
        self.using = quiet(file) if using is None else using
        self.ledger = Ledger()
        self.act: Act = answer
        self.onward: grpc.aio.Channel | None = None
        self.stages: list[Placed] = []
        """Others beside those of the ledger."""
        self._server: Any = None

    async def start(self, listen: str) -> None:
        self._server = mesh.server(
            self.name,
            listen=listen,
            lame_duck=0.0,
            using=self.using,
            stages=[*self.ledger.stages(client=False), *self.stages],
        )
        handlers = {
            "Ask": grpc.unary_unary_rpc_method_handler(self._ask),
            "AskElse": grpc.unary_unary_rpc_method_handler(self._ask_else),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            "Send": grpc.stream_unary_rpc_method_handler(self._send),
            "SendElse": grpc.stream_unary_rpc_method_handler(self._send_else),
            "Talk": grpc.stream_stream_rpc_method_handler(self._talk),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self._server.add_registered_method_handlers(SERVICE, handlers)
        await self._server.start()

    async def stop(self, grace: float | None = None) -> None:
        await self._server.stop(grace)

    def _to(self, arity: Arity) -> Any:
        return None if self.onward is None else getattr(self.onward, arity.value)(METHODS[arity])

    async def _ask(self, request: bytes, context: Any) -> bytes:
        ask = self._to(Arity.UNARY_UNARY)
        return await (self.act(request, context) if ask is None else ask(request))

    async def _ask_else(self, request: bytes, context: Any) -> bytes:
        return b"else"

    async def _watch(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        watch = self._to(Arity.UNARY_STREAM)
        if watch is None:
            for _ in range(2):
                yield await self.act(request, context)
        else:
            async for message in watch(request):
                yield message

    async def _send(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        messages = [message async for message in requests]
        send = self._to(Arity.STREAM_UNARY)
        return await (self.act(messages[0], context) if send is None else send(messages))

    async def _send_else(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"else"

    async def _talk(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        talk = self._to(Arity.STREAM_STREAM)
        if talk is None:
            async for message in requests:
                yield await self.act(message, context)
        else:
            async for message in talk(requests):
                yield message


class Relay:
    """The client, the front and the back, each with a runtime and a ledger of its own."""

    def __init__(self, folder: pathlib.Path, again: str = RETRY) -> None:
        self.addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        file = folder / "mesh.yaml"
        front, back = self.addresses
        file.write_text(ENVIRONMENT.format(service=SERVICE, front=front, back=back, again=again.strip()))
        self.front, self.back = Node("front", file), Node("back", file)
        self.using = quiet(file)
        self.ledger = Ledger()
        self.onward_ledger = Ledger()
        self.stages: list[Placed] = []
        """Others on the client's channel, beside those of the ledger."""
        self.channel: Any = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        async with contextlib.AsyncExitStack() as stack:
            for node, address in zip((self.front, self.back), self.addresses, strict=True):
                await node.start(address)
                stack.push_async_callback(node.stop)
            self.front.onward = await stack.enter_async_context(
                mesh.channel("back", using=self.front.using, stages=self.onward_ledger.stages(client=True))
            )
            self.channel = await stack.enter_async_context(
                mesh.channel(
                    "front", using=self.using, stages=[*self.ledger.stages(client=True), *self.stages]
                )
            )
            yield self

    async def call(self, arity: Arity, request: bytes = b"ok", **options: Any) -> list[bytes]:
        """Make a call and read all of its answer."""
        method = getattr(self.channel, arity.value)(METHODS[arity])
        call = method([request, request] if arity.request_streams else request, **options)
        if arity.response_streams:
            return [message async for message in call]
        return [await call]

    @property
    def wrong(self) -> dict[str, Any]:
        """What is taken, or not settled as often as it was admitted, anywhere."""
        found: dict[str, Any] = dict(taken(self.using, self.front.using, self.back.using))
        found.update(unsettled(self.ledger, self.onward_ledger, self.front.ledger, self.back.ledger))
        return found
