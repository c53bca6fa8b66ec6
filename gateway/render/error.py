"""How a request that fails is answered: the refused, the failed backend call, and our own faults."""

from __future__ import annotations

import logging
from typing import Final

from gateway.asgi import Headers
from gateway.edge.header import ResponseHeaders
from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from gateway.render.detail import Detailed, Find, read_details
from gateway.render.reply import JSON
from gateway.render.status import bad_request, encode_status, http_status, public_message
from mesh.call import Code, Outcome

_log = logging.getLogger("gateway")

_UNAVAILABLE: Final = int(Code.UNAVAILABLE)
_INTERNAL: Final = int(Code.INTERNAL)
# After these the connection's next bytes may be the rest of this request: they must not be read as another one.
_CLOSING: Final = frozenset({400, 408, 413})


class Errors:
    """Writes errors; one for each schema, whose types its details may have."""

    __slots__ = ("_find", "_return_headers")

    def __init__(self, find: Find, return_headers: ResponseHeaders) -> None:
        self._find = find
        self._return_headers = return_headers

    async def problem(self, exchange: Exchange, problem: RequestProblem) -> None:
        """Answer a request that is refused."""
        status = problem.http_status or http_status(problem.code)
        exchange.code, exchange.error = problem.code, problem.message
        # A body that was read to its end leaves nothing behind on the connection.
        exchange.closing = exchange.closing or (exchange.body_unread and status in _CLOSING)
        await exchange.reply(
            status,
            headers_of(exchange),
            encode_status(problem.code, problem.message, bad_request(problem.violations)),
        )

    async def not_allowed(self, exchange: Exchange, allow: bytes) -> None:
        """Answer a method that the path does not have."""
        text = f"method {exchange.method} is not allowed here, only {allow.decode()}"
        exchange.code, exchange.error = int(Code.UNIMPLEMENTED), text
        # RFC 9110, 15.5.6: "The origin server MUST generate an Allow header field in a 405 response". (grpc-gateway
        # answers 501, Envoy 404.)
        headers = headers_of(exchange)
        headers.append((b"allow", allow))
        await exchange.reply(405, headers, encode_status(exchange.code, text))

    async def outcome(self, exchange: Exchange, outcome: Outcome) -> None:
        """Answer with the status of a backend call that failed."""
        told = self._detail(outcome)
        exchange.code, exchange.error = outcome.code, outcome.details
        headers = headers_of(exchange)
        headers.extend(self._return_headers.read(outcome.trailing))
        if told.retry_after is not None:
            headers.append((b"retry-after", b"%d" % told.retry_after))
        await exchange.reply(http_status(outcome.code), headers, self.encode(outcome, told))

    def encode(self, outcome: Outcome, told: Detailed | None = None) -> bytes:
        """Return the JSON of a call's failure."""
        message = public_message(outcome.details, unavailable=outcome.code == _UNAVAILABLE)
        return encode_status(outcome.code, message, (told or self._detail(outcome)).details)

    def _detail(self, outcome: Outcome) -> Detailed:
        return read_details(outcome.trailing, self._find)

    async def fault(self, exchange: Exchange, error: Exception) -> None:
        """Answer a request that an error of ours ended: the client gets the id under which it was logged."""
        _log.error(
            "request %s: %s %r failed", exchange.request_id, exchange.method, exchange.path, exc_info=error
        )
        exchange.code, exchange.error = _INTERNAL, repr(error)
        text = f"internal error; the gateway's log has it under request id {exchange.request_id}"
        await exchange.reply(500, headers_of(exchange), encode_status(_INTERNAL, text))

    def __repr__(self) -> str:
        return "<Errors>"


def headers_of(exchange: Exchange, content_type: bytes = JSON) -> Headers:
    """Return the headers of every answer."""
    headers = [(b"content-type", content_type), (b"x-request-id", exchange.request_id.encode("latin-1"))]
    if exchange.closing and exchange.is_http1:
        headers.append((b"connection", b"close"))
    return headers
