"""What the protos themselves say about a method: its policy annotations and its idempotency."""

from __future__ import annotations

from typing import Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from mesh.v1 import annotations_pb2, policy_pb2

_IDEMPOTENT: Final = {
    descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
    descriptor_pb2.MethodOptions.IDEMPOTENT,
}


class Annotation(NamedTuple):
    """The policy layers of a method's proto, and whether repeating it is safe."""

    service: policy_pb2.Policy
    method: policy_pb2.Policy
    idempotent: bool


UNKNOWN: Final = Annotation(policy_pb2.Policy(), policy_pb2.Policy(), idempotent=False)
"""Of a method that is in no descriptors."""


def find(method: str, pool: descriptor_pool.DescriptorPool | None = None) -> Annotation:
    """Look `/package.Service/Method` up in the pool; by default where imported stubs are registered."""
    found = descriptor(method, pool)
    if found is None:
        return UNKNOWN
    options = found.GetOptions()
    return Annotation(
        service=found.containing_service.GetOptions().Extensions[annotations_pb2.service_policy],
        method=options.Extensions[annotations_pb2.method_policy],
        idempotent=options.idempotency_level in _IDEMPOTENT,
    )


def descriptor(method: str, pool: descriptor_pool.DescriptorPool | None = None) -> MethodDescriptor | None:
    """Return the descriptor of `/package.Service/Method`, looked up as `find` does; None when there is none."""
    service, _, name = method.lstrip("/").partition("/")
    pool = descriptor_pool.Default() if pool is None else pool
    try:
        return pool.FindServiceByName(service).FindMethodByName(name)
    except KeyError:
        return None
