"""What an operator may say about traces, metrics, access logs and load reports."""

from __future__ import annotations

import dataclasses
import enum

from mesh.policy import read
from mesh.v1 import policy_pb2


class TraceEngine(enum.Enum):
    """Who makes the spans."""

    NATIVE = "native"
    OTEL_INSTRUMENTATION = "otel-instrumentation"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TracePolicy:
    """Spans for sampled calls."""

    engine: TraceEngine = TraceEngine.NATIVE

    @classmethod
    def read(cls, proto: policy_pb2.Trace) -> TracePolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        foreign = proto.engine == policy_pb2.TRACE_ENGINE_OTEL_INSTRUMENTATION
        return cls(engine=TraceEngine.OTEL_INSTRUMENTATION if foreign else TraceEngine.NATIVE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPolicy:
    """Counts and times of calls and attempts."""

    messages: bool = False
    """Count the messages of streams, too."""

    @classmethod
    def read(cls, proto: policy_pb2.Metrics) -> MetricsPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        return cls(messages=read.flag(proto, "messages", default=False))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AccessLogPolicy:
    """One line for each call, or for each that failed."""

    failures_only: bool = False

    @classmethod
    def read(cls, proto: policy_pb2.AccessLog) -> AccessLogPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        return cls(failures_only=proto.scope == policy_pb2.ACCESS_LOG_SCOPE_FAILURES)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadReportPolicy:
    """ORCA load metrics in trailing metadata."""

    @classmethod
    def read(cls, proto: policy_pb2.LoadReport) -> LoadReportPolicy | None:
        return cls() if read.flag(proto, "enabled", default=True) else None
