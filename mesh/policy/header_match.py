"""What an operator may say about the metadata of requests that a rule is for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Final

from mesh.mechanism.header_match import MatchKind
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2

# 'Header-Name → 1*( %x30-39 / %x61-7A / "_" / "-" / ".")' - gRPC over HTTP2
_NAME: Final = re.compile(r"[0-9a-z_.-]+")

_KIND: Final = {"exact": MatchKind.EXACT, "prefix": MatchKind.PREFIX, "regex": MatchKind.REGEX}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMatchPolicy:
    """One condition on one metadata value."""

    name: str
    kind: MatchKind
    value: str = ""

    @classmethod
    def read(cls, proto: policy_pb2.HeaderMatch, at: Problems) -> HeaderMatchPolicy:
        check_name(proto.name, at.field("name"))
        chosen = proto.WhichOneof("match")
        if chosen is None:
            at.add("nothing is asked of the value; write one of exact, prefix, regex and present")
        if chosen is None or chosen == "present":
            present = chosen is None or proto.present
            return cls(name=proto.name, kind=MatchKind.PRESENT if present else MatchKind.ABSENT)
        value: str = getattr(proto, chosen)
        if proto.name.endswith("-bin"):
            at.field(chosen).add(f'"{proto.name}" has bytes as its value; only `present` can be asked of it')
        if chosen == "regex":
            try:
                re.compile(value)
            except re.error as error:
                at.field(chosen).add(f'"{value}" is not a regular expression: {error}')
                value = ""
        return cls(name=proto.name, kind=_KIND[chosen], value=value)

    def __str__(self) -> str:
        return f"{self.name} {self.kind.value} {self.value}".rstrip()


def read_all(protos: Iterable[policy_pb2.HeaderMatch], at: Problems) -> tuple[HeaderMatchPolicy, ...]:
    """Read a list of conditions, all of which must be met."""
    return tuple(HeaderMatchPolicy.read(proto, at.item(index)) for index, proto in enumerate(protos))


def is_name(text: str) -> bool:
    """Whether a text can be the name of metadata."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str, at: Problems) -> None:
    """Report what cannot be the name of metadata."""
    if not name:
        at.add("the name of the metadata is needed")
    elif not is_name(name):
        at.add(f'"{name}" is not a name of metadata: lower case letters, digits, ".", "-" and "_"')
