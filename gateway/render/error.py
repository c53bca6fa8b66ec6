"""How a request that fails is answered: the refused, the failed backend call, and our own faults."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any, Final

from gateway.asgi import Headers
from gateway.edge.header import ResponseHeaders
from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from gateway.render.detail import Detailed, Find, read_details
from gateway.render.reply import JSON
from gateway.render.status import bad_request, encode_problem, encode_status, http_status, public_message
from mesh.call import Code, Metadata, Outcome

PROBLEM: Final = b"application/problem+json"

_log = logging.getLogger("gateway")

_UNAVAILABLE: Final = int(Code.UNAVAILABLE)
_INTERNAL: Final = int(Code.INTERNAL)
_UNAUTHENTICATED: Final = int(Code.UNAUTHENTICATED)
_WWW_AUTHENTICATE: Final = b"www-authenticate"
_ZERO: Final = re.compile(rb"q\s*=\s*0(\.0{0,3})?")
# Our own refusals that pass by themselves, and soon. Those of servers say when, in a RetryInfo; one told by a client's
# stage must not be read by the retries below it as a server's word.
_PASSING: Final = frozenset({"circuit_breaker", "client_concurrency"})
# After these the connection's next bytes may be the rest of this request: they must not be read as another one.
_CLOSING: Final = frozenset({400, 408, 413})


class Errors:
    """Writes errors; one for each schema, whose types its details may have."""

    __slots__ = ("_challenge", "_find", "_problem_details", "_return_headers")

    def __init__(
        self, find: Find, return_headers: ResponseHeaders, *, problem_details: bool = False, realm: str = ""
    ) -> None:
        """`problem_details`: in RFC 9457's form for everybody; `realm`: what it is that one must authenticate for."""
        self._find = find
        self._return_headers = return_headers
        self._problem_details = problem_details
        self._challenge = _challenge(realm)

    async def problem(self, exchange: Exchange, problem: RequestProblem) -> None:
        """Answer a request that is refused."""
        status = problem.http_status or http_status(problem.code)
        exchange.code, exchange.error = problem.code, problem.message
        # A body that was read to its end leaves nothing behind on the connection.
        exchange.closing = exchange.closing or (exchange.body_unread and status in _CLOSING)
        details = bad_request(problem.violations)
        await self._send(exchange, status, problem.message, details, list(problem.headers))

    async def not_allowed(self, exchange: Exchange, allow: bytes) -> None:
        """Answer a method that the path does not have."""
        text = f"method {exchange.method[:20]} is not allowed here, only {allow.decode()}"
        exchange.code, exchange.error = int(Code.UNIMPLEMENTED), text
        # RFC 9110, 15.5.6: "The origin server MUST generate an Allow header field in a 405 response". (grpc-gateway
        # answers 501, Envoy hands the request on or answers 404.)
        await self._send(exchange, 405, text, [], [(b"allow", allow)])

    async def outcome(self, exchange: Exchange, outcome: Outcome) -> None:
        """Answer with the status of a backend call that failed."""
        told = self._detail(outcome)
        exchange.code, exchange.error = outcome.code, outcome.details
        headers = self._return_headers.read(outcome.trailing)
        if told.retry_after is not None:
            headers.append((b"retry-after", b"%d" % told.retry_after))
        elif outcome.rejected_by in _PASSING:
            headers.append((b"retry-after", b"1"))
        if outcome.code == _UNAUTHENTICATED:
            headers.extend(challenges(outcome.trailing, beside=headers))
        message = public_message(outcome.details, unavailable=outcome.code == _UNAVAILABLE)
        await self._send(exchange, http_status(outcome.code), message, told.details, headers)

    def encode(self, outcome: Outcome, told: Detailed | None = None) -> bytes:
        """Return the JSON of a call's failure."""
        return encode_status(outcome.code, self.message(outcome), (told or self._detail(outcome)).details)

    @staticmethod
    def message(outcome: Outcome) -> str:
        """Return what the outside may read of a call's message."""
        return public_message(outcome.details, unavailable=outcome.code == _UNAVAILABLE)

    def _detail(self, outcome: Outcome) -> Detailed:
        return read_details(outcome.trailing, self._find)

    async def fault(self, exchange: Exchange, error: Exception) -> None:
        """Answer a request that an error of ours ended: the client gets the id under which it was logged."""
        await self._send(exchange, 500, note_fault(exchange, error), [], [])

    async def _send(
        self, exchange: Exchange, status: int, message: str, details: list[Any], extra: Headers
    ) -> None:
        """Answer with an error whose gRPC status is `exchange.code`, in the form that its client reads."""
        names = {name for name, _ in extra}
        # RFC 9110, 11.6.1: "A server generating a 401 (Unauthorized) response MUST send a WWW-Authenticate header
        # field containing at least one challenge".
        if status == 401 and b"www-authenticate" not in names:
            extra.append((b"www-authenticate", self._challenge))
        # RFC 9110, 15.1: 404, 405, 414 and 501 are "heuristically cacheable", and what is wrong now may be right soon.
        if b"cache-control" not in names:
            extra.append((b"cache-control", b"no-store"))
        if self._problem_details or wants_problem(exchange.scope["headers"]):
            content_type = PROBLEM
            body = encode_problem(status, exchange.code, message, details, request_id=exchange.request_id)
        else:
            content_type, body = JSON, encode_status(exchange.code, message, details)
        await exchange.reply(status, [*headers_of(exchange, content_type), *extra], body)

    def __repr__(self) -> str:
        return "<Errors>"


def note_fault(exchange: Exchange, error: Exception) -> str:
    """Log an error of ours that ended a request; return what the client is told."""
    _log.error(
        "request %s: %s %r failed", exchange.request_id, exchange.method, exchange.path, exc_info=error
    )
    exchange.code, exchange.error = _INTERNAL, repr(error)
    return f"internal error; the gateway's log has it under request id {exchange.request_id}"


def wants_problem(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a client names `application/problem+json` in Accept; ranges that merely cover it do not."""
    for name, value in headers:
        if name == b"accept" and PROBLEM in value.lower():
            for item in value.lower().split(b","):
                media_type, *parameters = (part.strip() for part in item.split(b";"))
                # RFC 9110, 12.4.2: "a value of 0 means "not acceptable"".
                refused = any(_ZERO.fullmatch(parameter) for parameter in parameters)
                if media_type == PROBLEM and not refused:
                    return True
    return False


def challenges(trailing: Metadata, beside: Headers) -> Headers:
    """Return the challenges that a backend sent with UNAUTHENTICATED, unless the operator passes them `beside` this."""
    if any(name == _WWW_AUTHENTICATE for name, _ in beside):
        return []
    return [
        (_WWW_AUTHENTICATE, value.encode("latin-1"))
        for key, value in trailing
        if key == "www-authenticate" and isinstance(value, str)
    ]


def _challenge(realm: str) -> bytes:
    # RFC 6750, 3: "This scheme MUST be followed by one or more auth-param values."
    plain = "".join(character for character in realm if character.isascii() and character.isprintable())
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'Bearer realm="{quoted}"'.encode()


def headers_without_content(exchange: Exchange) -> Headers:
    """Return the headers of an answer that has no body."""
    return headers_of(exchange)[1:]


def headers_of(exchange: Exchange, content_type: bytes = JSON) -> Headers:
    """Return the headers of every answer."""
    headers = [(b"content-type", content_type), (b"x-request-id", exchange.request_id.encode("latin-1"))]
    if exchange.closing and exchange.is_http1:
        headers.append((b"connection", b"close"))
    return headers
