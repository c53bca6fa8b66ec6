"""The effective policy of one method, every section read and checked."""

from __future__ import annotations

import dataclasses

from mesh.policy.breaker import BreakerPolicy
from mesh.policy.concurrency import ConcurrencyPolicy
from mesh.policy.deadline import DeadlinePolicy
from mesh.policy.fallback import FallbackPolicy
from mesh.policy.fault import FaultPolicy
from mesh.policy.hedge import HedgePolicy
from mesh.policy.message_limit import MessageLimitPolicy
from mesh.policy.mirror import MirrorPolicy
from mesh.policy.observe import AccessLogPolicy, LoadReportPolicy, MetricsPolicy, TracePolicy
from mesh.policy.priority import PriorityPolicy
from mesh.policy.problem import Problems
from mesh.policy.rate_limit import RateLimitPolicy
from mesh.policy.retry import RetryPolicy
from mesh.policy.route import RoutePolicy
from mesh.policy.stream import StreamPolicy
from mesh.policy.validation import ValidationPolicy
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
    rate_limit: RateLimitPolicy | None = None
    priority: PriorityPolicy | None = None
    hedge: HedgePolicy | None = None
    validation: ValidationPolicy | None = None
    stream: StreamPolicy | None = None
    message_limit: MessageLimitPolicy | None = None
    fault: FaultPolicy | None = None
    mirror: MirrorPolicy | None = None
    route: RoutePolicy | None = None
    fallback: FallbackPolicy | None = None
    required: frozenset[str] = frozenset()
    """Sections that must be enforced: a chain on which one of them does nothing is refused."""
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
            rate_limit=RateLimitPolicy.read(proto.rate_limit, at.field("rate_limit"))
            if has("rate_limit")
            else None,
            priority=PriorityPolicy.read(proto.priority) if has("priority") else None,
            hedge=HedgePolicy.read(
                proto.hedge, at.field("hedge"), retry=proto.retry, at_retry=at.field("retry")
            )
            if has("hedge")
            else None,
            validation=ValidationPolicy.read(proto.validation) if has("validation") else None,
            stream=StreamPolicy.read(proto.stream, at.field("stream")) if has("stream") else None,
            message_limit=MessageLimitPolicy.read(proto.message_limit, at.field("message_limit"))
            if has("message_limit")
            else None,
            fault=FaultPolicy.read(proto.fault, at.field("fault")) if has("fault") else None,
            mirror=MirrorPolicy.read(proto.mirror, at.field("mirror")) if has("mirror") else None,
            route=RoutePolicy.read(proto.route, at.field("route")) if has("route") else None,
            fallback=FallbackPolicy.read(proto.fallback, at.field("fallback")) if has("fallback") else None,
            required=frozenset(proto.required),
            idempotent=idempotent,
        )
