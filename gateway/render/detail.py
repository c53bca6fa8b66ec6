"""How the typed details of a failed call become JSON: known types in full, unknown ones as their bytes."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyProto
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from mesh.call import Metadata
from mesh.stage.detail import STATUS_DETAILS

Find = Callable[[str], Descriptor]
"""Looks a message type up by its full name; raises KeyError."""


class Detailed(NamedTuple):
    """What a call's trailers say about its failure, beyond code and message."""

    details: list[Any]
    """JSON values, each with its `@type`."""
    retry_after: int | None = None
    """Whole seconds from google.rpc.RetryInfo, rounded up."""


NOTHING: Final = Detailed([])


def read_details(trailing: Metadata, find: Find) -> Detailed:
    """Return the details in a call's trailing metadata; `find` knows the schema's own types."""
    for key, value in trailing:
        if key == STATUS_DETAILS and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
            except DecodeError:
                return NOTHING
            return Detailed(
                [_render(detail, find) for detail in status.details], _retry_after(status.details)
            )
    return NOTHING


def _render(detail: AnyProto, find: Find) -> dict[str, Any]:
    # Not MessageToDict on the Any itself: that needs the type in one pool, and here there are two.
    name = detail.type_url.rpartition("/")[2]
    for pool in (find, descriptor_pool.Default().FindMessageTypeByName):
        try:
            message = message_factory.GetMessageClass(pool(name)).FromString(detail.value)
            own_pool: Any = message.DESCRIPTOR.file.pool
            value = json_format.MessageToDict(message, descriptor_pool=own_pool)
        except (KeyError, DecodeError, TypeError, ValueError):
            continue
        # "If the Any contains a value that has a special JSON mapping, it will be converted as follows:
        # {"@type": xxx, "value": yyy}." - ProtoJSON
        return {"@type": detail.type_url, **(value if isinstance(value, dict) else {"value": value})}
    return {"@type": detail.type_url, "value": base64.b64encode(detail.value).decode()}


def _retry_after(details: Iterable[AnyProto]) -> int | None:
    for detail in details:
        if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            try:
                info = error_details_pb2.RetryInfo.FromString(detail.value)
            except DecodeError:
                return None
            delay: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
            return max(0, math.ceil(delay))
    return None
