"""Every metric of the mesh: name, kind, unit, meaning, attributes and buckets. `docs/metrics.md` says the same."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

Attributes = tuple[tuple[str, str], ...]
"""What distinguishes one series of a metric from the others, in the order of `Instrument.attributes`."""

SYSTEM: Final = "rpc.system.name"
METHOD: Final = "rpc.method"
STATUS_CODE: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
TARGET: Final = "mesh.target"
REJECTED_BY: Final = "mesh.rejected_by"
RESULT: Final = "mesh.result"
KIND: Final = "mesh.kind"
DIRECTION: Final = "mesh.direction"
GRPC_METHOD: Final = "grpc.method"
GRPC_TARGET: Final = "grpc.target"
GRPC_STATUS: Final = "grpc.status"

# The semantic conventions ask for 5 ms to 10 s. A call within a machine takes a fraction of a millisecond, so there are
# finer buckets below; those of the conventions are all kept, and sums over both kinds of process stay right.
SECONDS: Final = (
    *(0.0005, 0.001, 0.002, 0.003),
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)


class Kind(enum.Enum):
    """How the values of a metric add up."""

    HISTOGRAM = "histogram"
    COUNTER = "counter"
    """Only grows."""
    UP_DOWN_COUNTER = "up-down counter"
    """Sums over processes make sense."""
    GAUGE = "gauge"
    """Sums make no sense."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric."""

    name: str
    kind: Kind
    unit: str
    """In UCUM, as OpenTelemetry writes it."""
    description: str
    attributes: tuple[str, ...]
    bounds: tuple[float, ...] = ()
    """Inclusive upper bounds of a histogram's buckets."""


# Names of OpenTelemetry's RPC semantic conventions, in the version that the `rpc.*.call.duration` metrics came with:
# `rpc.method` is the full name, `rpc.response.status_code` the status by name.
CLIENT_CALL_DURATION: Final = Instrument(
    "rpc.client.call.duration",
    Kind.HISTOGRAM,
    "s",
    "How long calls took, retries and waits included.",
    (SYSTEM, METHOD, TARGET, STATUS_CODE, ERROR_TYPE),
    SECONDS,
)
SERVER_CALL_DURATION: Final = Instrument(
    "rpc.server.call.duration",
    Kind.HISTOGRAM,
    "s",
    "How long calls took to handle.",
    (SYSTEM, METHOD, TARGET, STATUS_CODE, ERROR_TYPE),
    SECONDS,
)
# OpenTelemetry has no metric for attempts; this is gRPC's own (gRFC A66), with gRPC's own attributes.
CLIENT_ATTEMPT_DURATION: Final = Instrument(
    "grpc.client.attempt.duration",
    Kind.HISTOGRAM,
    "s",
    "How long single attempts took on the wire; attempts refused before the wire are not among them.",
    (GRPC_METHOD, GRPC_TARGET, GRPC_STATUS),
    SECONDS,
)
CLIENT_ACTIVE_CALLS: Final = Instrument(
    "mesh.client.active_calls",
    Kind.UP_DOWN_COUNTER,
    "{call}",
    "Calls begun and not ended.",
    (SYSTEM, METHOD, TARGET),
)
SERVER_ACTIVE_CALLS: Final = Instrument(
    "mesh.server.active_calls",
    Kind.UP_DOWN_COUNTER,
    "{call}",
    "Calls being handled.",
    (SYSTEM, METHOD, TARGET),
)
CLIENT_REJECTIONS: Final = Instrument(
    "mesh.client.rejections",
    Kind.COUNTER,
    "{call}",
    "Calls that a stage of the client refused; they are in rpc.client.call.duration too.",
    (SYSTEM, METHOD, TARGET, REJECTED_BY),
)
SERVER_REJECTIONS: Final = Instrument(
    "mesh.server.rejections",
    Kind.COUNTER,
    "{call}",
    "Calls that a stage of the server refused; they are in rpc.server.call.duration too.",
    (SYSTEM, METHOD, TARGET, REJECTED_BY),
)
# The semantic conventions had histograms of messages for each call, rpc.client.requests_per_rpc and its kin: "Removed, no
# replacement at this time."
CLIENT_MESSAGES: Final = Instrument(
    "mesh.client.messages",
    Kind.COUNTER,
    "{message}",
    "Messages of streaming calls, where the policy says metrics.messages; repeated attempts count once.",
    (SYSTEM, METHOD, TARGET, DIRECTION),
)
SERVER_MESSAGES: Final = Instrument(
    "mesh.server.messages",
    Kind.COUNTER,
    "{message}",
    "Messages of streaming calls being handled, where the policy says metrics.messages.",
    (SYSTEM, METHOD, TARGET, DIRECTION),
)
CLIENT_FAULTS: Final = Instrument(
    "mesh.client.faults",
    Kind.COUNTER,
    "{attempt}",
    "Attempts that were delayed or failed on purpose; one that was both counts twice.",
    (METHOD, TARGET, KIND),
)
CLIENT_MIRRORED: Final = Instrument(
    "mesh.client.mirrored",
    Kind.COUNTER,
    "{call}",
    "Copies of requests: answered, failed, or dropped because too many were in flight.",
    (METHOD, TARGET, RESULT),
)
CLIENT_FALLBACKS: Final = Instrument(
    "mesh.client.fallbacks",
    Kind.COUNTER,
    "{call}",
    "Failures in whose place a response of the policy was given, or another method asked.",
    (METHOD, TARGET, RESULT),
)
CIRCUIT_STATE: Final = Instrument(
    "mesh.client.circuit_breaker.state",
    Kind.GAUGE,
    "1",
    "Where a circuit stands: 0 closed, 1 half-open, 2 open; without a method, that of all methods together.",
    (METHOD, TARGET),
)
CLIENT_HEDGES: Final = Instrument(
    "mesh.client.hedges",
    Kind.COUNTER,
    "{attempt}",
    "Further attempts of hedged calls: started, won (answered first), or refused because the budget was spent.",
    (METHOD, TARGET, RESULT),
)
CLIENT_CONCURRENCY_LIMIT: Final = Instrument(
    "mesh.client.concurrency.limit",
    Kind.GAUGE,
    "{attempt}",
    "Attempts that may be in flight at once; without a method, those of all methods together.",
    (METHOD, TARGET),
)
CLIENT_CONCURRENCY_IN_FLIGHT: Final = Instrument(
    "mesh.client.concurrency.in_flight",
    Kind.UP_DOWN_COUNTER,
    "{attempt}",
    "Attempts in flight that count against the limit.",
    (METHOD, TARGET),
)
SERVER_CONCURRENCY_LIMIT: Final = Instrument(
    "mesh.server.concurrency.limit",
    Kind.GAUGE,
    "{call}",
    "Calls that may be handled at once; without a method, those of all methods together.",
    (METHOD, TARGET),
)
SERVER_CONCURRENCY_IN_FLIGHT: Final = Instrument(
    "mesh.server.concurrency.in_flight",
    Kind.UP_DOWN_COUNTER,
    "{call}",
    "Calls being handled that count against the limit.",
    (METHOD, TARGET),
)
ACCESS_LOG_DROPPED: Final = Instrument(
    "mesh.access_log.dropped",
    Kind.COUNTER,
    "{line}",
    "Access log lines given up because whoever reads the log was too slow.",
    (),
)
POLICY_RELOADS: Final = Instrument(
    "mesh.policy.reloads",
    Kind.COUNTER,
    "{reload}",
    "Changes of the environment's file that a process followed, or refused because of a problem.",
    (RESULT,),
)

INSTRUMENTS: Final = (
    CLIENT_CALL_DURATION,
    SERVER_CALL_DURATION,
    CLIENT_ATTEMPT_DURATION,
    CLIENT_ACTIVE_CALLS,
    SERVER_ACTIVE_CALLS,
    CLIENT_REJECTIONS,
    SERVER_REJECTIONS,
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    CIRCUIT_STATE,
    CLIENT_CONCURRENCY_LIMIT,
    CLIENT_CONCURRENCY_IN_FLIGHT,
    SERVER_CONCURRENCY_LIMIT,
    SERVER_CONCURRENCY_IN_FLIGHT,
    CLIENT_HEDGES,
    CLIENT_FAULTS,
    CLIENT_MIRRORED,
    CLIENT_FALLBACKS,
    ACCESS_LOG_DROPPED,
    POLICY_RELOADS,
)
