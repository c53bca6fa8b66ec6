"""What is known of one HTTP request while it is answered, and how its answer is sent."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable
from typing import Any, Final

from gateway.asgi import Headers, Receive, Scope, Send
from gateway.edge.body import ClientGone, read_body, read_length, too_large
from gateway.edge.compression import CODING_HEADERS, IDENTITY, Coding, Packer, is_compressible
from gateway.edge.finish import Finish, as_it_is, vary_by_encoding
from gateway.edge.forwarded import Caller
from gateway.edge.header import (
    MOST_FORWARDED,
    MOST_HEADERS,
    PLAIN_CONNECTIONS,
    Meaning,
    RequestHeaders,
    metadata_value,
    read_nominated,
)
from gateway.edge.security import Standing
from gateway.edge.timeout import read_grpc_timeout, read_request_timeout
from gateway.edge.unpacking import read_content_encoding, unpack
from gateway.problem import RequestProblem
from mesh.call import Code, Metadata
from mesh.telemetry import traceparent
from mesh.telemetry.traceparent import TraceContext

_MOST_REQUEST_ID: Final = 128
_QUOTING: Final = frozenset('"\\')
_OFFLOADED: Final = 64 * 1024
"""Compressed bodies from here on are unpacked in another thread."""
# RFC 9110, 8.6: no content-length in a 204; in a 304 it would have to be the 200's.
_BODILESS: Final = frozenset({204, 304})
_NONE: Final[frozenset[str]] = frozenset()


def is_request_id(text: str) -> bool:
    """Whether a client's id for its request is taken over."""
    # It goes into logs and back into a header: anything odd is as good as absent.
    plain = text.isascii() and text.isprintable() and _QUOTING.isdisjoint(text)
    return bool(text) and plain and len(text) <= _MOST_REQUEST_ID


class Phase(enum.Enum):
    """What a request is waiting for."""

    BODY = "body"
    ANSWER = "answer"
    STREAM = "stream"
    """Both at once: whoever reads the body notices that its client is slow, or has gone."""


class Interruption(enum.Enum):
    """Why a request's task was cancelled by us."""

    CLIENT_GONE = "client gone"
    BODY_LATE = "body late"
    BODY_BROKEN = "body broken"
    """The client has gone, or has framed its body wrongly, while the body was read and answered at once."""
    STOPPING = "stopping"


# Looking up a member of an enum takes 0.1-0.2 us, ten times a global's.
BODY: Final = Phase.BODY
ANSWER: Final = Phase.ANSWER
STREAM: Final = Phase.STREAM
_HOST: Final = Meaning.HOST
_CONTENT_TYPE: Final = Meaning.CONTENT_TYPE
_CONTENT_LENGTH: Final = Meaning.CONTENT_LENGTH
_ACCEPT_ENCODING: Final = Meaning.ACCEPT_ENCODING
_NOTED: Final = Meaning.NOTED
_CONNECTION: Final = Meaning.CONNECTION
_TRACEPARENT: Final = Meaning.TRACEPARENT


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_content_length",
        "_packer",
        "_receive",
        "_send",
        "_trace_state",
        "accepts",
        "body_unread",
        "caller",
        "closing",
        "code",
        "compresses",
        "content_type",
        "error",
        "errors",
        "finish",
        "interruption",
        "live",
        "metadata",
        "method",
        "noted",
        "packed",
        "path",
        "phase",
        "read_bytes",
        "request_id",
        "route",
        "scope",
        "sent_bytes",
        "standing",
        "started",
        "status",
        "task",
        "timeout",
        "trace",
        "variants",
        "watcher",
    )

    is_socket = False
    """It is a WebSocket's handshake, and the socket after it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, now: float) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        raw = scope.get("raw_path")
        # ASGI makes raw_path optional; without it "%2F" in a segment cannot be told from "/".
        self.path: bytes = scope["path"].encode() if raw is None else raw
        self.started = now
        """Monotonic seconds."""
        self.phase = BODY
        self.task: asyncio.Task[Any] | None = asyncio.current_task()
        self.watcher: asyncio.Task[None] | None = None
        self.interruption: Interruption | None = None
        self.live: object = None
        """The schema it is answered with."""
        self.errors: Any = None
        """Who words its errors, where that is not REST: a `gateway.protocol.endpoint.Voice`."""
        self.request_id = ""
        self.metadata: list[tuple[str, str | bytes]] = []
        """What is forwarded to backends."""
        self.content_type = ""
        self.timeout: float | None = None
        """Seconds the client allows, from `started`."""
        self.trace: TraceContext | None = None
        """The caller's trace."""
        self.route = ""
        """The template that matched, for logs and metrics; empty for none."""
        self.status = 0
        """The HTTP status sent; 0 before."""
        self.code = 0
        """The gRPC status behind it."""
        self.error = ""
        """What went wrong, for the log: with the addresses that the client is not told."""
        self.read_bytes = 0
        """Of the body, as they were sent."""
        self.sent_bytes = 0
        self.closing = False
        """Ask the client for another connection next time: this process is about to stop."""
        self.body_unread = False
        """The client announced a body that has not been read to its end."""
        self.standing: Standing = ()
        """Headers of the answer, whatever it is."""
        self.caller: Caller | None = None
        """Who sent it, where that is not simply who is connected: see `client`."""
        self.accepts = IDENTITY
        """How the answer may be compressed."""
        self.compresses = False
        """Whether streams are compressed, too."""
        self.noted: dict[bytes, bytes] | None = None
        """The headers that ask for less than the whole answer, or say how old it may be; None without any."""
        self.packed = ""
        """How the request's body is compressed."""
        self.variants: dict[Coding, bytes] | None = None
        """Where the compressed forms of the answer are kept, when it is one that is kept."""
        self.finish: Finish = as_it_is
        """What completes the answer."""
        self._packer: Packer | None = None
        self._content_length = -1
        self._trace_state: list[str] = []

    # Reading

    def read_headers(self, rules: RequestHeaders) -> None:
        """Sort the headers; raise RequestProblem for what must not be let through."""
        length = chunked = None
        nominated: frozenset[str] = _NONE
        size = hosts = 0
        host = b""
        self.compresses = rules.compresses
        if len(self.scope["headers"]) > MOST_HEADERS:
            raise RequestProblem(f"there are more than {MOST_HEADERS} headers", http_status=431)
        for name, value in self.scope["headers"]:
            meaning = rules[name]
            if meaning is None:
                continue
            if type(meaning) is str:
                self.metadata.append((meaning, metadata_value(meaning, value)))
                # RFC 9113, 6.5.2: "including the length of the name and value in units of octets plus an overhead of 32".
                size += len(name) + len(value) + 32
            elif meaning is _HOST:
                if value and not rules.hosts[value]:
                    text = f'header host: "{value[:40].decode("latin-1")}" is not a name or address, with or without a port'
                    raise RequestProblem(text)
                hosts, host = hosts + 1, value
            elif meaning is _CONTENT_TYPE:
                self.content_type = value.decode("latin-1")
            elif meaning is _CONTENT_LENGTH:
                if length is not None:
                    # RFC 9112, 6.3: differing lengths "MUST" be refused; equal ones are "most likely [...] smuggling".
                    raise RequestProblem("header content-length: is given twice")
                self.body_unread = value != b"0"
                length = self._content_length = read_length(value)
            elif meaning is _TRACEPARENT:
                # Two parents are none.
                parsed = None if self.trace is not None else traceparent.parse(value.decode("latin-1"))
                self.trace = None if parsed is None else TraceContext(parsed)
            elif meaning is _ACCEPT_ENCODING:
                self.accepts = rules.accepted[value]
            elif meaning is _NOTED:
                self._note(name, value)
            elif meaning is _CONNECTION:
                if value not in PLAIN_CONNECTIONS:
                    nominated = nominated | read_nominated(value)
            elif meaning is Meaning.TRANSFER_ENCODING:
                if chunked is not None or value.lower() != b"chunked":
                    # RFC 9112, 6.1: "A server that receives a request message with a transfer coding it does not
                    # understand SHOULD respond with 501 (Not Implemented)."
                    text = f'transfer encoding "{value[:40].decode("latin-1")}" is not supported: only chunked, once'
                    raise RequestProblem(text, code=Code.UNIMPLEMENTED)
                chunked, self.body_unread = value, True
            elif meaning is Meaning.CONTENT_ENCODING:
                text = value.decode("latin-1")
                self.packed = read_content_encoding(f"{self.packed}, {text}" if self.packed else text)
            elif meaning is Meaning.TRACESTATE:
                self._trace_state.append(value.decode("latin-1"))
            elif meaning is Meaning.REQUEST_ID:
                self._read_request_id(value, forward=rules.forwards_request_id)
            else:
                read = read_grpc_timeout if meaning is Meaning.GRPC_TIMEOUT else read_request_timeout
                asked = read(value)
                self.timeout = asked if self.timeout is None else min(asked, self.timeout)
        if size > MOST_FORWARDED:
            text = f"the headers that are handed on come to {size} bytes, and services take {MOST_FORWARDED}"
            raise RequestProblem(text, http_status=431)
        if chunked is not None and length is not None:
            # RFC 9112, 6.1: "a server MAY reject a request that contains both Content-Length and Transfer-Encoding".
            raise RequestProblem(
                "headers content-length and transfer-encoding: only one of them may be given"
            )
        if nominated:
            self.metadata = [entry for entry in self.metadata if entry[0] not in nominated]
        if hosts > 1 or (not host and self.scope.get("http_version", "1.1") == "1.1"):
            # RFC 9112, 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
            # message that lacks a Host header field and to any request message that contains more than one Host
            # header field line". Some servers fill in an empty one.
            raise RequestProblem("header host: is required, once")
        if self._trace_state and self.trace is not None:
            self.trace = self.trace._replace(state=traceparent.parse_state(self._trace_state))
        if chunked is not None:
            self._content_length = -2

    def _note(self, name: bytes, value: bytes) -> None:
        # RFC 9110, 5.3: lines of one name mean what one line of their values would mean.
        noted = self.noted = self.noted or {}
        noted[name] = noted[name] + b", " + value if name in noted else value

    def _read_request_id(self, value: bytes, *, forward: bool) -> None:
        text = value.decode("latin-1")
        if is_request_id(text):
            self.request_id = text
            if forward:
                self.metadata.append((Meaning.REQUEST_ID.value, text))

    async def read_body(self, limit: int) -> bytes:
        """Return the body; raise RequestProblem when it is too large, ClientGone when it breaks off."""
        length = self._content_length
        if length > limit:
            raise too_large(limit)
        if length == 0 or (length == -1 and self.is_http1):
            return b""
        body = await read_body(self._receive, limit)
        self.body_unread = False
        self.read_bytes = len(body)
        if self.packed and body:
            if len(body) < _OFFLOADED:
                return unpack(self.packed, body, limit)
            return await asyncio.to_thread(unpack, self.packed, body, limit)
        return body

    async def next_piece(self) -> bytes | None:
        """Return the next bytes of the body as they were sent, None at its end; raises ClientGone when it breaks off."""
        if not self.body_unread and (self.is_http1 or self._content_length == 0):
            return None
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        self.read_bytes += len(piece)
        if not message.get("more_body", False):
            self.body_unread, self._content_length = False, 0
        return piece

    async def until_gone(self) -> None:
        """Wait until the client has closed the connection, or the answer is complete."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def interrupt(self, why: Interruption) -> None:
        """Cancel the request's task; `app` turns that into an answer."""
        if self.interruption is None and self.task is not None:
            self.interruption = why
            self.task.cancel()

    # Answering

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer. To HEAD the headers alone are sent, `content-length` included."""
        self.status = status
        finished: bytes | Awaitable[bytes] = self.finish(self, headers, body)
        body = finished if type(finished) is bytes else await finished  # type: ignore[misc]
        status = self.status
        self.sent_bytes = len(body)
        if status not in _BODILESS:
            headers.append((b"content-length", b"%d" % len(body)))
        headers.extend(self.standing)
        send = self._send
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer that is sent in pieces; to HEAD no pieces are sent."""
        self.status = status
        if self.compresses:
            self._pack(headers)
        headers.extend(self.standing)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, body: bytes) -> None:
        """Send a piece; returns when the client keeps up."""
        if self.method == "HEAD":
            return
        if self._packer is not None:
            body = self._packer.pack(body)
        self.sent_bytes += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """End an answer that is sent in pieces."""
        body = b""
        if self._packer is not None and self.method != "HEAD":
            body = self._packer.finish()
            self.sent_bytes += len(body)
        await self._send({"type": "http.response.body", "body": body})

    def _pack(self, headers: Headers) -> None:
        """Compress what follows, if it is of a kind that gets smaller."""
        names = dict(headers)
        if b"content-encoding" in names or not is_compressible(names.get(b"content-type", b"")):
            return
        vary_by_encoding(headers)
        coding = self.accepts.coding
        if coding is not None:
            headers.append(CODING_HEADERS[coding])
            self._packer = Packer(coding)

    @property
    def protocol(self) -> str:
        """What the client speaks, as logs call it."""
        if self.scope["type"] == "websocket":
            return "websocket"
        if self.errors is None:
            return "rest"
        return "grpc-web" if self.content_type.startswith("application/grpc-web") else "connect"

    @property
    def client(self) -> str:
        """The address of the client, as far as proxies are trusted to say it; empty where the server does not know."""
        if self.caller is not None:
            return self.caller.client
        peer = self.scope.get("client")
        return str(peer[0]) if peer else ""

    @property
    def is_http1(self) -> bool:
        version: str = self.scope.get("http_version", "1.1")
        return version[0] == "1"

    @property
    def sent_metadata(self) -> Metadata:
        """What to send to backends."""
        return tuple(self.metadata)

    def __repr__(self) -> str:
        return f"<Exchange {self.request_id} {self.method} {self.path!r} {self.phase.value} status={self.status}>"
