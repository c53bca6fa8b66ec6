"""Clients of the protocols, as far as tests need them: requests are made and answers taken apart by hand."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from google.protobuf import json_format
from google.rpc import status_pb2

from mesh.call import CODE_NAMES
from tests.gateway.asgi.client import Request, Response
from tests.gateway.protocol.backend import SERVICE, Backend

UNARY = ("Say", "Look")


class Told(NamedTuple):
    """What an answer says, whatever the protocol."""

    messages: list[Any]
    code: str
    """As gRPC names it."""
    message: str
    details: list[tuple[str, bytes]]
    leading: dict[str, str]
    trailing: dict[str, str]
    response: Response


def envelope(data: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BI", flags, len(data)) + data


def envelopes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        flags, length = struct.unpack(">BI", data[:5])
        assert len(data) >= 5 + length
        yield flags, data[5 : 5 + length]
        data = data[5 + length :]


def unpadded(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()


class Speech:
    """One protocol in one form."""

    name = ""

    def __init__(self, form: str) -> None:
        self.form = form

    def content_type(self, method: str) -> str:
        raise NotImplementedError

    def body(self, method: str, messages: Sequence[bytes], *, packed: bool) -> bytes:
        raise NotImplementedError

    def headers(self, method: str, *, packed: bool, timeout: float | None) -> list[tuple[str, str]]:
        raise NotImplementedError

    def read(self, backend: Backend, method: str, response: Response) -> Told:
        raise NotImplementedError

    def request(
        self,
        backend: Backend,
        method: str,
        *requests: dict[str, Any],
        packed: bool = False,
        timeout: float | None = None,
        headers: Sequence[tuple[str, str]] = (),
        **options: Any,
    ) -> Request:
        """Make a request; `packed`: its messages are compressed, and the answer's may be."""
        messages = [self.write(backend, fields) for fields in requests]
        given = [("content-type", self.content_type(method))]
        given += [*self.headers(method, packed=packed, timeout=timeout), *headers]
        body = self.body(method, messages, packed=packed)
        return Request("POST", f"/{SERVICE}/{method}", headers=given, body=body, **options)

    async def call(self, app: Any, backend: Backend, method: str, *requests: Any, **options: Any) -> Told:
        return self.read(backend, method, await self.request(backend, method, *requests, **options).run(app))

    def write(self, backend: Backend, fields: dict[str, Any]) -> bytes:
        return backend.request(**fields) if self.form == "proto" else json.dumps(fields).encode()

    def parse(self, backend: Backend, data: bytes) -> Any:
        if self.form == "proto":
            return backend.read(data)
        return json_format.Parse(data, backend.read(b""))

    def __repr__(self) -> str:
        return f"{self.name}+{self.form}"


class WebSpeech(Speech):
    """gRPC-Web, as bytes or as text."""

    def __init__(self, form: str, *, text: bool = False) -> None:
        super().__init__(form)
        self.text = text
        self.name = "grpc-web-text" if text else "grpc-web"

    def content_type(self, method: str) -> str:
        return f"application/{self.name}" + (
            "" if self.form == "proto" and method == "Say" else f"+{self.form}"
        )

    def body(self, method: str, messages: Sequence[bytes], *, packed: bool) -> bytes:
        framed = [envelope(gzip.compress(one), 1) if packed else envelope(one) for one in messages]
        if self.text:
            # Padding in the middle: each envelope is a chunk of its own.
            framed = [base64.b64encode(one) for one in framed]
        return b"".join(framed)

    def headers(self, method: str, *, packed: bool, timeout: float | None) -> list[tuple[str, str]]:
        headers = [("x-grpc-web", "1")]
        if packed:
            headers += [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")]
        if timeout is not None:
            headers.append(("grpc-timeout", f"{int(timeout * 1000)}m"))
        return headers

    def read(self, backend: Backend, method: str, response: Response) -> Told:
        assert 200 == response.status, response
        assert f"application/{self.name}+{self.form}" == response.headers["content-type"]
        data = response.body
        if self.text:
            data = b"".join(
                base64.b64decode(data[start : start + 4], validate=True) for start in range(0, len(data), 4)
            )
        messages, trailers = [], {}
        for flags, inner in envelopes(data):
            assert not trailers, "a message after the trailers"
            if flags == 0x80:
                assert inner.endswith(b"\r\n")
                trailers = dict(line.split(": ", 1) for line in inner.decode().split("\r\n")[:-1])
            else:
                assert flags in {0, 1}
                messages.append(self.parse(backend, gzip.decompress(inner) if flags else inner))
        if "grpc-status" in response.headers:
            assert data == b"", "trailers-only has no body"
            trailers = response.headers
        details = []
        if "grpc-status-details-bin" in trailers:
            value = trailers["grpc-status-details-bin"]
            status = status_pb2.Status.FromString(base64.b64decode(value + "=" * (-len(value) % 4)))
            assert status.message == unquote(trailers["grpc-message"])
            details = [(one.type_url, one.value) for one in status.details]
        return Told(
            messages,
            CODE_NAMES[int(trailers["grpc-status"])],
            unquote(trailers.get("grpc-message", "")),
            details,
            {name: value for name, value in response.headers.items() if name.startswith("x-lead")},
            {name: value for name, value in trailers.items() if name.startswith("x-trail")},
            response,
        )


class ConnectSpeech(Speech):
    """Connect: bare messages for unary methods, envelopes for the others."""

    name = "connect"

    def content_type(self, method: str) -> str:
        return f"application/{'' if method in UNARY else 'connect+'}{self.form}"

    def body(self, method: str, messages: Sequence[bytes], *, packed: bool) -> bytes:
        if method in UNARY:
            return gzip.compress(messages[0]) if packed else messages[0]
        return b"".join(envelope(gzip.compress(one), 1) if packed else envelope(one) for one in messages)

    def headers(self, method: str, *, packed: bool, timeout: float | None) -> list[tuple[str, str]]:
        headers = [("connect-protocol-version", "1")]
        if packed:
            prefix = "" if method in UNARY else "connect-"
            headers += [(f"{prefix}content-encoding", "gzip"), (f"{prefix}accept-encoding", "gzip")]
        if timeout is not None:
            headers.append(("connect-timeout-ms", str(int(timeout * 1000))))
        return headers

    def read(self, backend: Backend, method: str, response: Response) -> Told:
        leading = {name: value for name, value in response.headers.items() if name.startswith("x-lead")}
        if method in UNARY:
            trailing = {
                name.removeprefix("trailer-"): value
                for name, value in response.headers.items()
                if name.startswith("trailer-")
            }
            data = response.body
            if response.headers.get("content-encoding") == "gzip":
                data = gzip.decompress(data)
            if response.status != 200:
                assert "application/json" == response.headers["content-type"]
                return Told([], *self.error(json.loads(data)), leading, trailing, response)
            assert f"application/{self.form}" == response.headers["content-type"]
            return Told([self.parse(backend, data)], "OK", "", [], leading, trailing, response)
        assert 200 == response.status, response
        assert f"application/connect+{self.form}" == response.headers["content-type"]
        *framed, last = envelopes(response.body)
        assert last[0] == 2, "the last envelope ends the stream"
        end = json.loads(last[1])
        messages = [
            self.parse(backend, gzip.decompress(inner) if flags else inner) for flags, inner in framed
        ]
        trailing = {name: ", ".join(values) for name, values in end.get("metadata", {}).items()}
        told = self.error(end["error"]) if "error" in end else ("OK", "", [])
        return Told(messages, *told, leading, trailing, response)

    @staticmethod
    def error(error: dict[str, Any]) -> tuple[str, str, list[tuple[str, bytes]]]:
        details = []
        for detail in error.get("details", ()):
            assert "=" not in detail["value"], "unpadded"
            value = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
            details.append((f"type.googleapis.com/{detail['type']}", value))
        code = error["code"].upper().replace("CANCELED", "CANCELLED")
        return code, error.get("message", ""), details


SPEECHES = [
    WebSpeech("proto"),
    WebSpeech("json"),
    WebSpeech("proto", text=True),
    WebSpeech("json", text=True),
    ConnectSpeech("proto"),
    ConnectSpeech("json"),
]
