"""What a policy is compared with: the same policy, handled as it is where nobody thought about overload."""

from __future__ import annotations

from typing import Final

from google.protobuf.duration_pb2 import Duration

from mesh.v1 import policy_pb2

NAIVE: Final = policy_pb2.Policy(
    retry=policy_pb2.Retry(
        enabled=True,
        max_attempts=3,
        scope=policy_pb2.RETRY_SCOPE_ALL,
        backoff=policy_pb2.Backoff(base=Duration(nanos=1_000_000), max=Duration(nanos=1_000_000)),
        # As good as no budget.
        budget=policy_pb2.RetryBudget(ratio=1.0, min_per_second=1e9),
    ),
    circuit_breaker=policy_pb2.CircuitBreaker(enabled=False),
    client_concurrency=policy_pb2.ConcurrencyLimit(enabled=False),
    server_concurrency=policy_pb2.ConcurrencyLimit(enabled=False),
    rate_limit=policy_pb2.RateLimit(enabled=False),
    hedge=policy_pb2.Hedge(enabled=False),
)
"""Three tries at once, without budget, breaker or limit: the loop that is written by hand."""

NONE: Final = policy_pb2.Policy(
    retry=policy_pb2.Retry(enabled=False),
    circuit_breaker=policy_pb2.CircuitBreaker(enabled=False),
    client_concurrency=policy_pb2.ConcurrencyLimit(enabled=False),
    server_concurrency=policy_pb2.ConcurrencyLimit(enabled=False),
    rate_limit=policy_pb2.RateLimit(enabled=False),
    hedge=policy_pb2.Hedge(enabled=False),
)
"""One attempt and its deadline, nothing else."""

BASELINES: Final = {"naive": NAIVE, "none": NONE}
"""By the name the command line knows."""
