"""What a refusal says about when to come back, read as a client of another language would."""

from __future__ import annotations

from collections.abc import Iterable

from google.rpc import error_details_pb2, status_pb2


def retry_after(trailing: Iterable[tuple[str, str | bytes]], details: str) -> float:
    """Return the seconds; the status in the metadata must be RESOURCE_EXHAUSTED with the same details."""
    status = status_pb2.Status.FromString(dict(trailing)["grpc-status-details-bin"])
    assert (8, details) == (status.code, status.message)
    info = error_details_pb2.RetryInfo()
    [detail] = status.details
    assert detail.Unpack(info)
    return info.retry_delay.ToNanoseconds() / 1e9
