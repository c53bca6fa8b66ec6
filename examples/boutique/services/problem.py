"""How a service of the shop says no: a status, with google.rpc details that a program can read."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

Answer = TypeVar("Answer")
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
"""The call that is being answered."""

_DETAILS = "grpc-status-details-bin"


async def invalid(context: Context, violations: Mapping[str, str]) -> NoReturn:
    """Refuse a request because of its fields; `violations` says for each, by path, what is wrong with it."""
    detail = error_details_pb2.BadRequest()
    for field, description in violations.items():
        detail.field_violations.add(field=field, description=description)
    first = next(f"{field}: {description}" for field, description in violations.items())
    await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, first, detail)


async def not_found(context: Context, kind: str, name: str) -> NoReturn:
    """Refuse a request because what it names does not exist."""
    detail = error_details_pb2.ResourceInfo(resource_type=kind, resource_name=name)
    await _refuse(context, grpc.StatusCode.NOT_FOUND, f'there is no {kind} "{name}"', detail)


async def unmet(context: Context, condition: str, subject: str, description: str) -> NoReturn:
    """Refuse a request that is right, but not now; `condition` says in one upper-case word what is missing."""
    detail = error_details_pb2.PreconditionFailure()
    detail.violations.add(type=condition, subject=subject, description=description)
    await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, description, detail)


async def relay(context: Context, call: Awaitable[Answer]) -> Answer:
    """Return the answer of another service; when it says no, say the same, details included."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        details = tuple((key, value) for key, value in error.trailing_metadata() or () if key == _DETAILS)
        await context.abort(error.code(), error.details() or "", details)


async def _refuse(context: Context, code: grpc.StatusCode, message: str, detail: Message) -> NoReturn:
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(detail)
    await context.abort(code, message, ((_DETAILS, status.SerializeToString()),))
