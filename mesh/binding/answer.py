"""What message an answer is that a stage gave in the place of the wire, where grpc keeps its deserializer to itself."""

from __future__ import annotations

from typing import Any

from google.protobuf import message_factory

from mesh.chain import Chains
from mesh.policy import annotation


def read_answer(chains: Chains, method: str | bytes, data: bytes) -> Any:
    """Return a method's response from its wire form: a message of the imported stubs, else of the chains' descriptors.

    Bytes for a method that is in neither.
    """
    name = method.decode() if isinstance(method, bytes) else method
    found = annotation.descriptor(name) or annotation.descriptor(name, chains.pool)
    return data if found is None else message_factory.GetMessageClass(found.output_type).FromString(data)
