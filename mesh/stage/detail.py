"""How a status says more than its code and text: as a google.rpc.Status with typed details, in trailing metadata."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from google.rpc import status_pb2

from mesh.call import Metadata

STATUS_DETAILS: Final = "grpc-status-details-bin"


def detailed(code: int, message: str, detail: Message) -> Metadata:
    """Return the trailing metadata of a status with one detail; it says code and message again."""
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(detail)
    return ((STATUS_DETAILS, status.SerializeToString()),)
