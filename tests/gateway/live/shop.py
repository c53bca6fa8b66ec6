"""Two versions of one API, a backend that serves either, and clients that do not let go of its gateway."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection

from gateway.schema.pool import read_set
from tests.protoc import message_class, service_set

SERVICE = "t.v1.Books"


def version(
    extra: str = "", methods: str = "", book: str = "string title = 2;", answers: str = "Book"
) -> bytes:
    """Return the descriptor set of one version."""
    return service_set(f"""
        service Books {{
          rpc GetBook(GetBookRequest) returns ({answers}) {{
            option (google.api.http) = {{ get: "/v1/books/{{id}}" {extra} }};
          }}
          rpc WatchBook(GetBookRequest) returns (stream Book) {{
            option (google.api.http) = {{ get: "/v1/books/{{id}}:watch" }};
          }}
          {methods}
        }}
        message GetBookRequest {{ string id = 1; }}
        message Book {{ string id = 1; {book} }}
    """)


PAGES = "string title = 2; int32 pages = 3;"
FIND = 'rpc FindBook(GetBookRequest) returns (Book) { option (google.api.http) = { get: "/v1/found/{id}" }; }'
V1 = version()
V2 = version(methods=FIND, book=PAGES)
CONFLICT = version(extra='additional_bindings { get: "/v1/found/{id}" }', methods=FIND, book=PAGES)
"""Two methods have one route."""


def put(file: pathlib.Path, data: bytes) -> None:
    """Replace a file as deployments do: at once."""
    beside = file.with_suffix(".new")
    beside.write_bytes(data)
    os.replace(beside, file)


class Backend:
    """A server that answers as the newest version, whatever its clients know."""

    def __init__(self, shown: bytes = V2) -> None:
        self._schema = read_set(shown)[0]
        self._newest = read_set(V2)[0]
        self.release = asyncio.Event()
        """Lets streams go on after their first message."""
        self.peers: set[str] = set()
        """The connections that calls came by."""
        self.address = ""
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str = "127.0.0.1:0") -> None:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        handlers = {
            "GetBook": grpc.unary_unary_rpc_method_handler(self._get),
            "FindBook": grpc.unary_unary_rpc_method_handler(self._get),
            "WatchBook": grpc.unary_stream_rpc_method_handler(self._watch),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        reflection.enable_server_reflection(
            (SERVICE, reflection.SERVICE_NAME), self._server, self._schema.pool
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port(address)}"
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    async def _get(self, wire: bytes, context: Any) -> bytes:
        self.peers.add(context.peer())
        book: Any = self._book(wire)
        if book.id == "held":
            await self.release.wait()
        return book.SerializeToString()

    async def _watch(self, wire: bytes, _: Any) -> AsyncIterator[bytes]:
        yield self._book(wire).SerializeToString()
        await self.release.wait()
        yield self._book(wire).SerializeToString()

    def _book(self, wire: bytes) -> Message:
        asked: Any = message_class(self._newest, "t.v1.GetBookRequest").FromString(wire)
        return message_class(self._newest, "t.v1.Book")(id=asked.id, title="T", pages=7)


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str) -> tuple[int, Any]:
        """Ask for a page of JSON; return its status and what it says."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
        body = await reader.readexactly(int(length.partition(":")[2]))
        return int(head.split(" ")[1]), json.loads(body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


class Load:
    """Requests at a steady rate, over kept connections, and how they ended."""

    def __init__(self, port: int, *, connections: int = 4, pause: float = 0.01) -> None:
        self.statuses: dict[int, int] = {}
        self.errors: list[str] = []
        self._clients = [Client(port) for _ in range(connections)]
        self._tasks = [asyncio.ensure_future(self._run(client, pause)) for client in self._clients]
        self._over = False

    async def _run(self, client: Client, pause: float) -> None:
        while not self._over:
            try:
                status, _ = await client.get("/v1/books/one")
            except (OSError, EOFError) as error:
                self.errors.append(repr(error))
                return
            self.statuses[status] = self.statuses.get(status, 0) + 1
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        self._over = True
        await asyncio.wait(self._tasks)
        for client in self._clients:
            client.close()
