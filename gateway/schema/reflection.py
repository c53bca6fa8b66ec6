"""Decides how a schema is asked of a live server: grpc.reflection v1, or else v1alpha."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from gateway.schema.pool import Loaded, Schema, is_plumbing, read_files
from mesh.policy.problem import Problem

NOT_OFFERED: Final = "the server does not offer reflection (grpc.reflection.v1 or v1alpha)"
"""The problem of a server without the service."""

# The two packages have the same messages field by field: v1 is v1alpha made stable. So one set of classes
# serves both.
_METHODS: Final = (
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)


async def read_server(
    channel: grpc.aio.Channel,
    services: Sequence[str] = (),
    *,
    timeout: float = 10.0,  # noqa: ASYNC109 - the call's own deadline, which the server sees too
) -> Loaded:
    """Read the schema of a live server; expose the named services, or all but plumbing when none is named.

    `timeout` is in seconds and holds for the whole exchange. A server that cannot be reached, or has no
    reflection, is a problem and not an exception.
    """
    for method in _METHODS:
        loaded = await _read(channel, method, services, timeout)
        if loaded is not None:
            return loaded
    return _nothing(NOT_OFFERED)


async def _read(
    channel: grpc.aio.Channel,
    method: str,
    services: Sequence[str],
    timeout: float,  # noqa: ASYNC109 - as in `read_server`
) -> Loaded | None:
    """Read the schema by one version of the service; None when the server does not have it."""
    until = time.monotonic() + timeout
    try:
        await _knock(channel, method, timeout)
        stream: Any = channel.stream_stream(
            method,
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )(timeout=max(0.0, until - time.monotonic()))
        try:
            return await _Conversation(stream).schema(services)
        finally:
            stream.cancel()
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return None
        return _nothing(f"server reflection failed: {error.code().name}: {error.details()}")


async def _knock(channel: grpc.aio.Channel, method: str, timeout: float) -> None:  # noqa: ASYNC109 - as above
    """Ask one question that is sent whole with the call; raise AioRpcError if the server does not want to be asked.

    A question that is written while the server refuses the call fails as "Internal error from Core", and nobody learns why.
    """
    call: Any = channel.unary_stream(method, request_serializer=ServerReflectionRequest.SerializeToString)
    async for _ in call(ServerReflectionRequest(list_services="*"), timeout=timeout):
        pass


def _nothing(text: str) -> Loaded:
    return Schema(DescriptorPool(), ()), (Problem("reflection", text),)


class _Conversation:
    """One reflection stream: questions are asked one at a time, each answered once."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._files: dict[str, FileDescriptorProto] = {}
        self._problems: list[Problem] = []

    async def schema(self, services: Sequence[str]) -> Loaded:
        names = sorted(services)
        if not names:
            request = ServerReflectionRequest(list_services="*")
            listed = await self._ask("list of services", request, self._problems)
            found = listed.list_services_response.service if listed else ()
            # What the server lists is what it serves, which may be less than what its files declare.
            names = sorted(service.name for service in found if not is_plumbing(service.name))
        for name in names:
            await self._fetch(name, ServerReflectionRequest(file_containing_symbol=name), self._problems)
        await self._fetch_imports()
        await self._stream.done_writing()
        schema, problems = read_files(self._files.values(), names)
        # What the server refused to tell explains what is then missing; both are shown, the cause first.
        return schema, (*self._problems, *problems)

    async def _fetch_imports(self) -> None:
        asked = set(self._files)
        missing = self._missing(asked)
        while missing:
            for name in missing:
                asked.add(name)
                # A refusal is no problem yet: the file may be one of those that every gateway has.
                await self._fetch(name, ServerReflectionRequest(file_by_filename=name), [])
            missing = self._missing(asked)

    def _missing(self, asked: set[str]) -> list[str]:
        wanted = {dependency for file in self._files.values() for dependency in file.dependency}
        return sorted(wanted - asked - set(self._files))

    async def _fetch(self, what: str, request: ServerReflectionRequest, problems: list[Problem]) -> None:
        answer = await self._ask(what, request, problems)
        if answer is not None:
            for data in answer.file_descriptor_response.file_descriptor_proto:
                file = FileDescriptorProto.FromString(data)
                self._files.setdefault(file.name, file)

    async def _ask(
        self, what: str, request: ServerReflectionRequest, problems: list[Problem]
    ) -> ServerReflectionResponse | None:
        try:
            await self._stream.write(request)
            answer = await self._stream.read()
        except asyncio.InvalidStateError:  # what writing to a call that has already ended raises
            answer = grpc.aio.EOF
        if answer is grpc.aio.EOF:
            await self._raise_status()
            problems.append(Problem("reflection", f'"{what}": the server ended the stream'))
            return None
        if answer.HasField("error_response"):
            text = f'"{what}": the server answered "{answer.error_response.error_message}"'
            problems.append(Problem("reflection", text))
            return None
        found: ServerReflectionResponse = answer
        return found

    async def _raise_status(self) -> None:
        code = await self._stream.code()
        if code is not grpc.StatusCode.OK:
            details = await self._stream.details()
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
