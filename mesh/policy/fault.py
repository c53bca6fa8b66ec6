"""What an operator may say about faults that are put in on purpose."""

from __future__ import annotations

import dataclasses

from mesh.call import CODE_NAMES
from mesh.mechanism.fault import LONGEST
from mesh.policy import read
from mesh.policy.header_match import HeaderMatchPolicy, read_all
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FaultPolicy:
    """Which attempts wait, for how many seconds, and which fail; shares are of 1."""

    delay: float = 0.0
    delay_share: float = 0.0
    code: int = 0
    details: str = "fault injected by policy"
    abort_share: float = 0.0
    headers: tuple[HeaderMatchPolicy, ...] = ()
    by_request: bool = False

    @classmethod
    def read(cls, proto: policy_pb2.Fault, at: Problems) -> FaultPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        by_request = read.flag(proto, "by_request", default=False)
        delays, aborts = proto.HasField("delay"), proto.HasField("abort")
        if not (delays or aborts or by_request):
            at.add("there is no fault to inject; write delay, abort or by_request, or say `enabled: false`")
        delay, delay_share = _delay(proto.delay, at.field("delay")) if delays else (0.0, 0.0)
        abort = at.field("abort")
        return cls(
            delay=delay,
            delay_share=delay_share,
            code=_code(proto.abort, abort) if aborts else 0,
            details=proto.abort.details or "fault injected by policy",
            abort_share=share(proto.abort, abort) if aborts else 0.0,
            headers=read_all(proto.headers, at.field("headers")),
            by_request=by_request,
        )


def share(proto: policy_pb2.FaultDelay | policy_pb2.FaultAbort | policy_pb2.Mirror, at: Problems) -> float:
    """Read `percent`, 100 where it is not given, as a share of 1."""
    return read.number(proto, "percent", at, default=100.0, most=100.0) / 100.0


def _delay(proto: policy_pb2.FaultDelay, at: Problems) -> tuple[float, float]:
    if not proto.HasField("duration"):
        at.field("duration").add("a delay needs its duration")
    return read.seconds(proto, "duration", at, default=0.0, least=0.001, most=LONGEST), share(proto, at)


def _code(proto: policy_pb2.FaultAbort, at: Problems) -> int:
    if not 0 < proto.code < len(CODE_NAMES):
        at.field("code").add("an abort needs the code of an error, such as STATUS_CODE_UNAVAILABLE")
        return 0
    return int(proto.code)
