"""Connect's unary calls: one message each way as the bare body, POST or GET, with HTTP's own statuses.

https://connectrpc.com/docs/protocol/#unary-request-response-rpcs. Bodies are compressed as any body is, by
`content-encoding` and `accept-encoding`; only the message that a GET's query holds is unpacked here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.bind import content
from gateway.edge.finish import Finish
from gateway.edge.unpacking import unpack
from gateway.exchange import ANSWER, Exchange
from gateway.problem import RequestProblem
from gateway.protocol import coding, connect_error, connect_header
from gateway.protocol.ending import Ending, Endings
from gateway.protocol.endpoint import RequestHeaders
from gateway.protocol.form import Form
from gateway.protocol.target import Target
from gateway.render.error import headers_of
from gateway.render.reply import JSON
from gateway.render.status import http_status
from mesh.call import Call
from mesh.telemetry.durations import Durations


class ConnectUnary:
    """Answers POST with one form of one method."""

    __slots__ = ("_endings", "_form", "_target", "durations", "path")

    def __init__(self, target: Target, form: Form, *, endings: Endings, durations: Durations) -> None:
        self.path = target.method
        self.durations = durations
        self._target = target
        self._form = form
        self._endings = endings

    def begin(self, exchange: Exchange, headers: RequestHeaders) -> None:
        exchange.errors = ConnectAnswer(headers, self._endings)
        coding.find("header content-encoding", headers.get(b"content-encoding"))

    async def answer(self, exchange: Exchange, _: Sequence[str], parent: Call) -> None:
        answer: ConnectAnswer = exchange.errors
        connect_header.check_version(answer.headers)
        connect_header.read_timeout(answer.headers, exchange)
        body = await exchange.read_body(self._target.max_message)
        if self._form.name == "json":
            content.check(exchange.content_type)
        await self._run(exchange, answer, self._form, body, parent)

    async def _run(
        self, exchange: Exchange, answer: ConnectAnswer, form: Form, message: bytes, parent: Call
    ) -> None:
        wire = form.read(message)
        exchange.phase = ANSWER
        reply = await self._target.call(exchange, wire, parent)
        ending = self._endings.outcome(exchange, reply.outcome)
        leading = self._target.leading(reply)
        if ending.code:
            await answer.end(exchange, ending, leading)
            return
        body = form.write(reply.outcome.value)
        headers = headers_of(exchange, f"application/{form.name}".encode())
        headers.extend(leading)
        headers.extend((b"trailer-" + name, value) for name, value in ending.trailers)
        await exchange.reply(200, headers, body)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"


class ConnectGet(ConnectUnary):
    """Answers GET with one method that has no side effects; the message is in the query."""

    __slots__ = ("_finish", "_forms")

    def __init__(
        self,
        target: Target,
        forms: Mapping[str, Form],
        *,
        endings: Endings,
        durations: Durations,
        finish: Finish,
    ) -> None:
        super().__init__(target, forms["proto"], endings=endings, durations=durations)
        self._forms = forms
        self._finish = finish

    def begin(self, exchange: Exchange, headers: RequestHeaders) -> None:
        exchange.errors = ConnectAnswer(headers, self._endings)
        exchange.finish = self._finish

    async def answer(self, exchange: Exchange, _: Sequence[str], parent: Call) -> None:
        answer: ConnectAnswer = exchange.errors
        connect_header.read_timeout(answer.headers, exchange)
        query = read_query(exchange.scope["query_string"])
        # "Servers must accept query parameters in any order and allow unknown query parameters".
        version = query.get(b"connect")
        if version is not None and version != b"v1":
            raise RequestProblem(f'query parameter connect: {_shown(version)} is not known, only "v1"')
        encoding = query.get(b"encoding")
        form = self._forms.get((encoding or b"").decode("latin-1"))
        if form is None:
            if encoding is None:
                raise RequestProblem('query parameter encoding: is required, as "proto" or "json"')
            # "If the server doesn't support the specified Message-Codec, it must respond with an HTTP status code of 415"
            text = f'query parameter encoding: {_shown(encoding)} is not known, only "proto" and "json"'
            raise RequestProblem(text, http_status=415)
        await self._run(exchange, answer, form, _read_message(query, self._target.max_message), parent)


def _read_message(query: Mapping[bytes, bytes], limit: int) -> bytes:
    message = query.get(b"message")
    if message is None:
        raise RequestProblem("query parameter message: is required")
    # "Other values for the "base64" parameter will simply be ignored."
    if query.get(b"base64") == b"1":
        try:
            # "Optionally, the base64-encoded message may contain padding characters" - the protocol
            data = message.translate(_URL_SAFE).rstrip(b"=")
            message = base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
        except binascii.Error as error:
            raise RequestProblem(f"query parameter message: is not base64: {str(error).lower()}") from None
    used = coding.find("query parameter compression", query.get(b"compression"))
    # "Servers must not attempt to decompress zero-length Message-Query."
    return message if used is None or not message else unpack(used.value, message, limit)


_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


def read_query(query: bytes) -> dict[bytes, bytes]:
    """Return the parameters as bytes, for a message need not be text; of one given twice the first."""
    found: dict[bytes, bytes] = {}
    for piece in query.split(b"&"):
        name, _, value = piece.partition(b"=")
        found.setdefault(unquote_to_bytes(name), unquote_to_bytes(value.replace(b"+", b" ")))
    return found


class ConnectAnswer:
    """Words the refusals and failures of one unary call."""

    __slots__ = ("_endings", "headers")

    def __init__(self, headers: RequestHeaders, endings: Endings) -> None:
        self.headers = headers
        self._endings = endings

    async def problem(self, exchange: Exchange, problem: RequestProblem) -> None:
        exchange.closing = exchange.closing or exchange.body_unread
        await self.end(exchange, self._endings.problem(exchange, problem))

    async def fault(self, exchange: Exchange, error: Exception) -> None:
        await self.end(exchange, self._endings.fault(exchange, error))

    async def end(
        self, exchange: Exchange, ending: Ending, leading: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Answer with an error."""
        # "Errors are sent with a non-200 HTTP-Status. In those cases, Unary-Content-Type must be "application/json"."
        headers = headers_of(exchange, JSON)
        headers.extend(leading)
        headers.extend((b"trailer-" + name, value) for name, value in ending.trailers)
        if ending.retry_after is not None:
            headers.append((b"retry-after", b"%d" % ending.retry_after))
        status = ending.http_status or http_status(ending.code)
        await exchange.reply(status, headers, connect_error.encode(ending))

    def __repr__(self) -> str:
        return "<ConnectAnswer>"


def _shown(value: bytes) -> str:
    return f'"{value[:40].decode("latin-1")}"'
