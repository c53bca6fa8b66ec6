"""What an operator may say about answers in the place of failures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable
from typing import Final

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from mesh.call import CODE_NAMES, Code
from mesh.policy import annotation, read
from mesh.policy.problem import Problem, Problems, suggest
from mesh.v1 import policy_pb2

_CODES: Final = frozenset(
    map(int, (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED)),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FallbackPolicy:
    """Which failures are replaced, and by what: a response in JSON, or another method of the same service."""

    codes: frozenset[int] = _CODES
    response: str = ""
    """JSON; empty: `method` is asked."""
    method: str = ""

    @classmethod
    def read(cls, proto: policy_pb2.Fallback, at: Problems) -> FallbackPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        chosen = proto.WhichOneof("answer")
        if chosen is None or (chosen == "method" and not proto.method):
            at.add("there is nothing to fall back on; write response or method, or say `enabled: false`")
        if "/" in proto.method or "." in proto.method:
            at.field("method").add(f'"{proto.method}" is not the name of a method without its service')
        response = ""
        if chosen == "response":
            response = json.dumps(json_format.MessageToDict(proto.response), ensure_ascii=False)
        return cls(codes=_read_codes(proto.codes, at.field("codes")), response=response, method=proto.method)

    def check(self, method: MethodDescriptor, at: Problems) -> None:
        """Report what does not fit the method that this policy holds for."""
        if method.server_streaming:
            return  # inert there, which the chain says
        if self.response:
            self.encode(method, at.field("response"))
            return
        if not self.method:
            return
        here = at.field("method")
        others = method.containing_service.methods_by_name
        other = others.get(self.method)
        if other is None:
            here.add(
                f'"{self.method}" is not a method of {method.containing_service.full_name}'
                f"{suggest(self.method, others)}"
            )
        elif other is method:
            here.add(f'"{self.method}" is the method itself; retries are what `retry` is for')
        elif _signature(other) != _signature(method):
            here.add(
                f'"{self.method}" takes or answers with other messages than {method.name}, or with streams of them'
            )

    def encode(self, method: MethodDescriptor, at: Problems) -> bytes:
        """Return the response on the wire; report what does not fit the method's response message."""
        message = message_factory.GetMessageClass(method.output_type)()
        try:
            json_format.Parse(self.response, message)
        except json_format.ParseError as error:
            at.add(f"is not a {method.output_type.full_name}: {_first_line(error)}")
        return bytes(message.SerializeToString())


def _signature(method: MethodDescriptor) -> tuple[str, str, bool, bool]:
    return (
        method.input_type.full_name,
        method.output_type.full_name,
        method.client_streaming,
        method.server_streaming,
    )


def _first_line(error: json_format.ParseError) -> str:
    return str(error).strip().splitlines()[0]


def _read_codes(values: Iterable[int], at: Problems) -> frozenset[int]:
    codes = set()
    for index, value in enumerate(values):
        if not 0 <= value < len(CODE_NAMES):
            at.item(index).add(f'"{value}" is not a gRPC status code')
        elif value in {Code.OK, Code.CANCELLED}:
            why = "it is not a failure" if value == Code.OK else "the caller has gone"
            at.item(index).add(f"{CODE_NAMES[value]} is never replaced: {why}")
        else:
            codes.add(int(value))
    return frozenset(codes) or _CODES


def check(
    policy: policy_pb2.Policy,
    service: str,
    but: Collection[str],
    pool: DescriptorPool | None,
    at: Problems,
) -> None:
    """Report where a service's fallback does not fit its methods, those aside that write one of their own."""
    if pool is None or not policy.HasField("fallback"):
        return
    try:
        names = pool.FindServiceByName(service).methods_by_name
    except KeyError:
        return
    for name in names:
        if name not in but:
            check_method(policy, f"/{service}/{name}", pool, at)


def check_method(policy: policy_pb2.Policy, method: str, pool: DescriptorPool | None, at: Problems) -> None:
    """Report where a method's fallback does not fit it, as far as the descriptors are known."""
    found = None if pool is None else annotation.descriptor(method, pool)
    chosen = FallbackPolicy.read(policy.fallback, Problems())
    if found is not None and chosen is not None:
        problems = Problems(at.path)
        chosen.check(found, problems)
        at.list.extend(Problem(problem.path, f"{method}: {problem.message}") for problem in problems.list)
