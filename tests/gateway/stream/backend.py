"""A real gRPC server whose streams do as they are told, and count what passes."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from gateway.schema.pool import read_set
from tests.protoc import compile_protos, message_class

HERE = pathlib.Path(__file__).parent
SERVICE = "news.v1.NewsService"


def write_descriptors(folder: pathlib.Path) -> pathlib.Path:
    """Write the descriptor set of the protos beside this file."""
    file = folder / "news.binpb"
    file.write_bytes(compile_protos(HERE))
    return file


class Backend:
    """The server, and what it saw."""

    def __init__(self, descriptors: pathlib.Path) -> None:
        self.schema: Any = read_set(descriptors.read_bytes())[0]
        self.address = ""
        self.sent = 0
        """Messages that streams have handed to grpc."""
        self.received: list[Any] = []
        """Messages that clients have streamed."""
        self.started = asyncio.Event()
        """A call waits for ever."""
        self.cancelled = asyncio.Event()
        self.arrived = asyncio.Event()
        """A client has streamed its first message."""
        self._server: grpc.aio.Server | None = None

    def new(self, name: str, /, **fields: Any) -> Any:
        return message_class(self.schema, f"news.v1.{name}")(**fields)

    async def start(self) -> None:
        server = grpc.aio.server()
        handlers = {
            "Get": grpc.unary_unary_rpc_method_handler(self._get),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            "Upload": grpc.stream_unary_rpc_method_handler(self._upload),
            "Chat": grpc.stream_stream_rpc_method_handler(self._chat),
            "Read": grpc.unary_stream_rpc_method_handler(self._read),
            "Write": grpc.stream_unary_rpc_method_handler(self._write),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    async def hang(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def _end(self, how: str, context: Any) -> None:
        if how == "hang":
            await self.hang()
        elif how:
            await context.abort(grpc.StatusCode[how], "it broke")

    def _request(self, wire: bytes) -> Any:
        request = self.new("WatchRequest")
        request.MergeFromString(wire)
        return request

    async def _get(self, wire: bytes, context: Any) -> bytes:
        request = self._request(wire)
        await self._end(request.end, context)
        return self.new("Item", number=1, topic=request.topic).SerializeToString()

    async def _watch(self, wire: bytes, context: Any) -> AsyncIterator[bytes]:
        request = self._request(wire)
        await asyncio.sleep(request.pause)
        for number in range(request.after + 1, request.count + 1):
            item = self.new("Item", number=number, text="x" * request.size, topic=request.topic)
            self.sent += 1
            yield item.SerializeToString()
        await self._end(request.end, context)

    async def _item(self, wire: bytes, context: Any) -> Any:
        item = self.new("Item")
        item.MergeFromString(wire)
        self.received.append(item)
        self.arrived.set()
        if item.text == "hang":
            await self.hang()
        elif item.text == "fail":
            await context.abort(grpc.StatusCode.DATA_LOSS, "it broke")
        return item

    async def _upload(self, requests: Any, context: Any) -> bytes:
        count = size = 0
        topic = ""
        try:
            async for wire in requests:
                item = await self._item(wire, context)
                count, size, topic = count + 1, size + len(wire), topic or item.topic
                if item.text == "quit":
                    break
            # grpc.aio shows a handler the end of the stream first, and then that its client has cancelled.
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.new("Summary", count=count, bytes=size, topic=topic).SerializeToString()

    async def _chat(self, requests: Any, context: Any) -> AsyncIterator[bytes]:
        try:
            async for wire in requests:
                item = await self._item(wire, context)
                if item.text == "quit":
                    return
                item.text = item.text.upper()
                self.sent += 1
                yield item.SerializeToString()
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _read(self, wire: bytes, context: Any) -> AsyncIterator[bytes]:
        request = self._request(wire)
        part = message_class(self.schema, "google.api.HttpBody")
        for number in range(request.count):
            kind = "" if number else "text/csv"
            yield part(content_type=kind, data=b"%d\n" % number).SerializeToString()
        await self._end(request.end, context)

    async def _write(self, requests: Any, context: Any) -> bytes:
        part = message_class(self.schema, "google.api.HttpBody")
        parts = [part.FromString(wire) async for wire in requests]
        size = sum(len(one.data) for one in parts)
        kind = parts[0].content_type if parts else ""
        return self.new("Summary", count=len(parts), bytes=size, topic=kind).SerializeToString()
