"""A real gRPC server with a method of each arity: what requests hold decides how it behaves."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from gateway.schema.pool import Schema, read_set
from tests.protoc import compile_protos, message_class

HERE = pathlib.Path(__file__).parent
SERVICE = "echo.v1.EchoService"


def write_descriptors(folder: pathlib.Path) -> pathlib.Path:
    """Write the descriptor set of the proto beside this file."""
    file = folder / "echo.binpb"
    file.write_bytes(compile_protos(HERE))
    return file


class Backend:
    """The server, and what it saw."""

    def __init__(self, descriptors: pathlib.Path) -> None:
        loaded: tuple[Schema, Any] = read_set(descriptors.read_bytes())
        self.schema = loaded[0]
        self.address = ""
        self.started = asyncio.Event()
        """A call that hangs has come."""
        self.cancelled = asyncio.Event()
        """It was cancelled."""
        self._request = message_class(self.schema, "echo.v1.SayRequest")
        self._response = message_class(self.schema, "echo.v1.SayResponse")
        self._server: grpc.aio.Server | None = None

    def request(self, **fields: Any) -> bytes:
        return self._request(**fields).SerializeToString()

    def read(self, wire: bytes) -> Any:
        return self._response.FromString(wire)

    async def start(self, port: int = 0) -> None:
        server = grpc.aio.server()
        handlers = {
            "Say": grpc.unary_unary_rpc_method_handler(self._say),
            "Look": grpc.unary_unary_rpc_method_handler(self._say),
            "Hidden": grpc.unary_unary_rpc_method_handler(self._say),
            "Count": grpc.unary_stream_rpc_method_handler(self._count),
            "Gather": grpc.stream_unary_rpc_method_handler(self._gather),
            "Chat": grpc.stream_stream_rpc_method_handler(self._chat),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    async def _say(self, wire: bytes, context: Any) -> bytes:
        request = self._request.FromString(wire)
        await self._open(context)
        await self._end(request, context)
        return self._answer(request.text, context)

    async def _count(self, wire: bytes, context: Any) -> AsyncIterator[bytes]:
        request = self._request.FromString(wire)
        await self._open(context)
        for number in range(request.messages):
            yield self._answer(f"{request.text}{number}", context)
        await self._end(request, context)

    async def _gather(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        await self._open(context)
        said = []
        async for wire in requests:
            request = self._request.FromString(wire)
            await self._end(request, context)
            said.append(request.text)
        return self._answer(" ".join(said), context)

    async def _chat(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await self._open(context)
        async for wire in requests:
            request = self._request.FromString(wire)
            await self._end(request, context)
            yield self._answer(request.text, context)

    async def _open(self, context: Any) -> None:
        await context.send_initial_metadata((("x-lead", "first"), ("x-lead-bin", b"\x00\x01")))
        context.set_trailing_metadata((("x-trail", "last"), ("x-trail-bin", b"\xff"), ("x-secret", "s")))

    async def _end(self, request: Any, context: Any) -> None:
        if request.hang:
            self.started.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        if request.code:
            status = status_pb2.Status(code=request.code, message=request.text)
            status.details.add().Pack(
                error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2))
            )
            trailers = (
                ("x-trail", "last"),
                ("x-trail-bin", b"\xff"),
                ("grpc-status-details-bin", status.SerializeToString()),
            )
            code = next(code for code in grpc.StatusCode if code.value[0] == request.code)
            await context.abort(code, request.text, trailers)

    def _answer(self, text: str, context: Any) -> bytes:
        metadata = {
            key: value if isinstance(value, str) else value.hex()
            for key, value in context.invocation_metadata()
        }
        remaining = context.time_remaining()
        response = self._response(
            text=text, metadata=metadata, remaining=-1 if remaining is None else min(remaining, 1e6)
        )
        return response.SerializeToString()
