"""A real gRPC server for the gateway's tests: its book ids decide how it behaves."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection

from gateway.schema.pool import Schema, read_set
from tests.protoc import compile_protos, message_class

HERE = pathlib.Path(__file__).parent
SERVICE = "library.v1.LibraryService"


def write_descriptors(folder: pathlib.Path) -> pathlib.Path:
    """Write the descriptor set of the protos beside this file."""
    file = folder / "library.binpb"
    file.write_bytes(compile_protos(HERE))
    return file


class Backend:
    """The server, and what it saw."""

    def __init__(self, descriptors: pathlib.Path) -> None:
        loaded: tuple[Schema, Any] = read_set(descriptors.read_bytes())
        self.schema = loaded[0]
        self.address = ""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        """Method and metadata of each call, in order."""
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()
        """Lets calls for the book "held" go on."""
        self.started = asyncio.Event()
        self._server: grpc.aio.Server | None = None

    def new(self, name: str, /, **fields: Any) -> Any:
        return message_class(self.schema, f"library.v1.{name}")(**fields)

    async def start(self, port: int = 0, *, with_reflection: bool = True) -> None:
        server = grpc.aio.server()
        handlers = {
            "GetBook": self._unary(self._get_book),
            "CreateBook": self._unary(self._create_book),
            "ReplaceBook": self._unary(self._replace_book),
            "GetCover": self._unary(self._get_cover),
            "Echo": self._unary(self._echo),
            "ListBooks": grpc.unary_stream_rpc_method_handler(self._list_books),
            "ReadBook": grpc.unary_stream_rpc_method_handler(self._read_book),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        if with_reflection:
            reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server, self.schema.pool)
        self.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    def _unary(self, handle: Any) -> Any:
        async def record(wire: bytes, context: Any) -> bytes:
            name = handle.__name__
            self.calls.append((name, dict(context.invocation_metadata())))
            response = await handle(wire, context)
            return response.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(record)

    async def _get_book(self, wire: bytes, context: Any) -> Any:
        request = self.new("GetBookRequest")
        request.MergeFromString(wire)
        book = request.id
        if book == "missing":
            await self._abort(context, 5, "no such book", self._resource())
        elif book == "busy":
            await self._abort(context, 8, "too many readers", self._retry())
        elif book == "odd":
            await self._abort(context, 9, "odd", self._odd())
        elif book == "locked":
            challenge = (("www-authenticate", 'Basic realm="library"'),)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?", challenge)
        elif book == "slow":
            await asyncio.sleep(1.0)
        elif book == "crash":
            raise ZeroDivisionError("secret detail")
        elif book == "held":
            self.started.set()
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        elif book.isdigit() and int(book) in range(17) and len(book) == 2:
            await context.abort(list(grpc.StatusCode)[int(book)], f"code {int(book)}")
        elif book == "headers":
            await context.send_initial_metadata((("x-shelf", "7"), ("x-secret", "s")))
            context.set_trailing_metadata((("x-read-bin", b"\x00\xff"),))
        return self.new(
            "Book", id=book, title=f"Title of {book}", pages=7, sequel=f"{book}-2" if book else ""
        )

    async def _create_book(self, wire: bytes, _: Any) -> Any:
        request = self.new("CreateBookRequest")
        request.MergeFromString(wire)
        return request.book

    async def _replace_book(self, wire: bytes, _: Any) -> Any:
        request = self.new("Book")
        request.MergeFromString(wire)
        return request

    async def _get_cover(self, _wire: bytes, _: Any) -> Any:
        return message_class(self.schema, "google.api.HttpBody")(content_type="image/png", data=b"\x89PNG")

    async def _echo(self, _wire: bytes, context: Any) -> Any:
        entries = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        return self.new("Metadata", entries=entries, remaining=context.time_remaining() or -1)

    async def _list_books(self, wire: bytes, context: Any) -> AsyncIterator[bytes]:
        request = self.new("ListBooksRequest")
        request.MergeFromString(wire)
        for number in range(request.count):
            yield self.new("Book", id=str(number)).SerializeToString()
        if request.fail_with == "hang":
            self.started.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        elif request.fail_with:
            await context.abort(grpc.StatusCode[request.fail_with], "it broke")

    async def _read_book(self, wire: bytes, context: Any) -> AsyncIterator[bytes]:
        request = self.new("GetBookRequest")
        request.MergeFromString(wire)
        part = message_class(self.schema, "google.api.HttpBody")
        yield part(content_type="text/plain", data=b"once upon ").SerializeToString()
        if request.id == "torn":
            await context.abort(grpc.StatusCode.DATA_LOSS, "a page is missing")
        yield part(data=b"a time").SerializeToString()

    @staticmethod
    async def _abort(context: Any, code: int, message: str, *details: Any) -> None:
        status = status_pb2.Status(code=code, message=message)
        for detail in details:
            if isinstance(detail, any_pb2.Any):
                status.details.append(detail)
            else:
                status.details.add().Pack(detail)
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
        code_of = {value.value[0]: value for value in grpc.StatusCode}
        await context.abort(code_of[code], message, trailers)

    @staticmethod
    def _resource() -> Any:
        return error_details_pb2.ResourceInfo(resource_type="book", resource_name="missing")

    @staticmethod
    def _retry() -> Any:
        return error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2, nanos=1))

    def _odd(self) -> Any:
        packed = any_pb2.Any()
        packed.Pack(self.new("Shelf", name="top"))
        return packed
