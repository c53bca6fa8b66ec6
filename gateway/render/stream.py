"""How a response stream is framed: newline-delimited JSON, as grpc-gateway writes it.

Each message is a line, `{"result": ...}`. A stream that breaks off after its first line ends with one line more,
`{"error": ...}` holding a google.rpc.Status, since the HTTP status has long been sent; without one, it was complete.
Before the first message the failure is an ordinary error answer. A JSON array (Envoy's framing) can be read by a
plain parser, but not before its end, and can only hide a failure by ending as if all were well.

Streams of google.api.HttpBody are the backend's bytes, one after the other; a failure leaves the answer incomplete.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc

from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from gateway.render.error import Errors, headers_of
from gateway.render.reply import Renderers
from mesh.call import Code, Outcome

NDJSON: Final = b"application/x-ndjson"

_LOST: Final = Outcome(int(Code.UNKNOWN), "the stream broke off")


class BrokenStreamError(Exception):
    """A stream of raw bytes failed after it had begun: the answer must not look complete."""


async def send_stream(exchange: Exchange, stream: Any, renderers: Renderers, errors: Errors) -> None:
    """Send every message as it comes; waits while the client does not read."""
    messages: AsyncIterator[bytes] = aiter(stream)
    try:
        first = await anext(messages, None)
    except grpc.RpcError:
        await errors.outcome(exchange, stream.outcome or _LOST)
        return
    content_type = NDJSON
    if first is not None:
        body = renderers.wire(first)
        content_type = body.content_type if renderers.raw else NDJSON
    headers = headers_of(exchange, content_type)
    # Proxies that buffer answers (nginx) would hold the messages back.
    headers.append((b"x-accel-buffering", b"no"))
    await exchange.start(200, headers)
    if first is not None:
        await exchange.piece(_frame(body.data, raw=renderers.raw))
        try:
            async for message in messages:
                await exchange.piece(_frame(renderers.wire(message).data, raw=renderers.raw))
        except grpc.RpcError:
            await _break_off(exchange, stream.outcome or _LOST, errors, raw=renderers.raw)
        except RequestProblem as problem:
            await _break_off(exchange, Outcome(problem.code, problem.message), errors, raw=renderers.raw)
    await exchange.end()


def _frame(data: bytes, *, raw: bool) -> bytes:
    return data if raw else b'{"result":' + data + b"}\n"


async def _break_off(exchange: Exchange, outcome: Outcome, errors: Errors, *, raw: bool) -> None:
    exchange.code, exchange.error = outcome.code, outcome.details
    if raw:
        raise BrokenStreamError(outcome.details)
    await exchange.piece(b'{"error":' + errors.encode(outcome) + b"}\n")
