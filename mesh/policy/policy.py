"""The effective policy of one method, every section read and checked."""

from __future__ import annotations

import dataclasses

from mesh.policy.breaker import BreakerPolicy
from mesh.policy.concurrency import ConcurrencyPolicy
from mesh.policy.deadline import DeadlinePolicy
from mesh.policy.observe import AccessLogPolicy, LoadReportPolicy, MetricsPolicy, TracePolicy
from mesh.policy.problem import Problems
from mesh.policy.retry import RetryPolicy
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How the calls of one method travel; a section that is None is off and costs nothing."""

    deadline: DeadlinePolicy | None = None
    retry: RetryPolicy | None = None
    circuit_breaker: BreakerPolicy | None = None
    client_concurrency: ConcurrencyPolicy | None = None
    server_concurrency: ConcurrencyPolicy | None = None
    trace: TracePolicy | None = None
    metrics: MetricsPolicy | None = None
    access_log: AccessLogPolicy | None = None
    load_report: LoadReportPolicy | None = None
    idempotent: bool = False
    """The proto says that repeating a call is safe (`idempotency_level`)."""

    @classmethod
    def read(cls, proto: policy_pb2.Policy, at: Problems, *, idempotent: bool = False) -> Policy:
        """Read every section but `connection`, which is about channels and not about calls."""
        has = proto.HasField
        return cls(
            deadline=DeadlinePolicy.read(proto.deadline, at.field("deadline")) if has("deadline") else None,
            retry=RetryPolicy.read(proto.retry, at.field("retry")) if has("retry") else None,
            circuit_breaker=BreakerPolicy.read(proto.circuit_breaker, at.field("circuit_breaker"))
            if has("circuit_breaker")
            else None,
            client_concurrency=ConcurrencyPolicy.read(
                proto.client_concurrency, at.field("client_concurrency")
            )
            if has("client_concurrency")
            else None,
            server_concurrency=ConcurrencyPolicy.read(
                proto.server_concurrency, at.field("server_concurrency")
            )
            if has("server_concurrency")
            else None,
            trace=TracePolicy.read(proto.trace) if has("trace") else None,
            metrics=MetricsPolicy.read(proto.metrics) if has("metrics") else None,
            access_log=AccessLogPolicy.read(proto.access_log) if has("access_log") else None,
            load_report=LoadReportPolicy.read(proto.load_report) if has("load_report") else None,
            idempotent=idempotent,
        )
