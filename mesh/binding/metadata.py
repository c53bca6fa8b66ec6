"""Which metadata an attempt carries: the application's, the stages', and how many attempts came before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mesh.call import Attempt, Call, Metadata

# "This value represents the number of preceding retry attempts. Thus, it will not be present on the first RPC, will be 1
# for the second RPC, and so on." - gRFC A6
PREVIOUS_ATTEMPTS: Final = "grpc-previous-rpc-attempts"


def accepted(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return the application's metadata without what only the mesh may say."""
    pairs = metadata if type(metadata) is tuple else tuple(metadata)
    for key, _ in pairs:
        if key == PREVIOUS_ATTEMPTS:
            return tuple(pair for pair in pairs if pair[0] != PREVIOUS_ATTEMPTS)
    return pairs


def sent(call: Call, attempt: Attempt) -> Metadata:
    """Return what an attempt sends."""
    metadata = call.metadata
    if call.outgoing:
        metadata = (*metadata, *call.outgoing)
    if attempt.number > 1 and not attempt.method:  # another method has seen no attempt yet
        metadata = (*metadata, (PREVIOUS_ATTEMPTS, str(attempt.number - 1)))
    return metadata
