"""How a server says that there is too much, and when to come back: RESOURCE_EXHAUSTED with a google.rpc.RetryInfo."""

from __future__ import annotations

import math

from google.rpc import error_details_pb2

from mesh.call import Code, Metadata, Outcome
from mesh.stage.detail import detailed


def exhausted(details: str, wait: float, stage: str) -> Outcome:
    """Return the rejection by this stage of a call that may come back after `wait` seconds."""
    return Outcome(
        int(Code.RESOURCE_EXHAUSTED), details, trailing=retry_info(details, wait), rejected_by=stage
    )


def retry_info(details: str, wait: float) -> Metadata:
    """Return the trailing metadata that says when to come back."""
    info = error_details_pb2.RetryInfo()
    # Rounded up to what a client's timer can tell apart: who waits as long as told must not be too early.
    info.retry_delay.FromNanoseconds(math.ceil(wait * 1e6) * 1000)
    return detailed(int(Code.RESOURCE_EXHAUSTED), details, info)
