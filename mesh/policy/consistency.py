"""Which combinations of sections cannot be meant: each is fine by itself, together one of them could never act.

Two kinds. What one layer says in one breath contradicts itself (`check_layer`); what the layers make together has no
effect (`check_merged`), which is reported on the layer that brought it about. Times that callers choose are not known
here, so only times that are written are compared.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import Message

from mesh.policy.problem import Problems, suggest
from mesh.v1 import policy_pb2

_SHARED: Final = frozenset({"enabled", "budget", "idempotency_key"})
"""Fields of `retry` that hedging uses as well."""

_OF_ALGORITHM: Final = {
    "tolerance": "ADAPTIVE_ALGORITHM_GRADIENT",
    "latency_threshold": "ADAPTIVE_ALGORITHM_AIMD",
    "backoff_ratio": "ADAPTIVE_ALGORITHM_AIMD",
}
"""Fields of an adaptive limit that one algorithm alone looks at."""

_ENFORCED: Final = {
    "stream": ("idle_timeout", "max_age"),
    "message_limit": ("max_request_bytes", "max_response_bytes"),
}
"""Sections that enforce nothing unless one of these fields is written."""


def check_layer(own: policy_pb2.Policy, at: Problems) -> None:
    """Report what a layer says against itself."""
    deadline = own.deadline
    default, most = _seconds(deadline, "default_timeout"), _seconds(deadline, "max_timeout")
    if _on(own, "deadline") and default is not None and most is not None and default > most:
        at.field("deadline").field("default_timeout").add(
            f"the default of {default:g}s is above max_timeout, {most:g}s; raise the one or lower the other"
        )
    if _on(own, "hedge") and _on(own, "retry"):
        written = sorted(field.name for field, _ in own.retry.ListFields() if field.name not in _SHARED)
        if written:
            at.field("hedge").add(
                f"hedging takes the place of retries, so retry.{written[0]} would do nothing; write one of them "
                "(retry.budget is shared by both)"
            )
    known = [field.name for field in own.DESCRIPTOR.fields if field.name != "required"]
    for index, name in enumerate(own.required):
        here = at.field("required").item(index)
        if name not in known:
            hint = suggest(name, known) or f"; known: {', '.join(sorted(known))}"
            here.add(f'"{name}" is not a section of a policy{hint}')
        elif name in own.required[:index]:
            here.add(f'"{name}" is given twice')


def check_merged(policy: policy_pb2.Policy, at: Problems) -> None:
    """Report what cannot act in a policy as its layers make it."""
    _check_times(policy, at)
    for index, name in enumerate(policy.required):
        if name in policy.DESCRIPTOR.fields_by_name and name != "connection" and not _on(policy, name):
            at.field("required").item(index).add(
                f'"{name}" must be enforced, but it is off; write the section, or take it out of `required`'
            )
    _check_unused(policy, at)
    idle, age = _seconds(policy.stream, "idle_timeout"), _seconds(policy.stream, "max_age")
    if _on(policy, "stream") and idle is not None and age is not None and idle >= age:
        at.field("stream").field("idle_timeout").add(
            f"a stream lives for {age:g}s (max_age), so it is never idle for {idle:g}s; lower it"
        )
    most, limit = policy.connection.max_receive_bytes, policy.message_limit.max_response_bytes
    if _on(policy, "message_limit") and policy.connection.HasField("max_receive_bytes") and limit > most:
        at.field("message_limit").field("max_response_bytes").add(
            f"the connection takes no message above {most} bytes (connection.max_receive_bytes); "
            "lower this one or raise that one"
        )


def _check_unused(policy: policy_pb2.Policy, at: Problems) -> None:
    """Report what nothing would ever look at."""
    for section, names in _ENFORCED.items():
        if _on(policy, section) and not any(getattr(policy, section).HasField(name) for name in names):
            at.field(section).add(
                f"there is nothing to enforce; write {' or '.join(names)}, or say `enabled: false`"
            )
    for section in ("client_concurrency", "server_concurrency"):
        adaptive = getattr(policy, section).adaptive
        if not _on(policy, section) or not _on(getattr(policy, section), "adaptive"):
            continue
        chosen = adaptive.algorithm or policy_pb2.ADAPTIVE_ALGORITHM_GRADIENT
        for name, algorithm in _OF_ALGORITHM.items():
            if adaptive.HasField(name) and policy_pb2.AdaptiveAlgorithm.Value(algorithm) != chosen:
                at.field(section).field("adaptive").field(name).add(
                    f"only {algorithm} looks at it; choose that algorithm, or remove the field"
                )
    backoff = policy.retry.backoff
    if (
        _on(policy, "retry")
        and backoff.HasField("multiplier")
        and backoff.jitter == policy_pb2.JITTER_DECORRELATED
    ):
        at.field("retry").field("backoff").field("multiplier").add(
            "JITTER_DECORRELATED grows from each wait to three times that and does not look at it; "
            "choose another jitter, or remove the field"
        )


def _check_times(policy: policy_pb2.Policy, at: Problems) -> None:
    """Compare every time within a call with the time of the whole call."""
    if not _on(policy, "deadline"):
        return
    deadline = policy.deadline
    limits = {
        name: value
        for name in ("default_timeout", "max_timeout")
        if (value := _seconds(deadline, name)) is not None
    }
    if not limits:
        return
    # The cap holds for every call, the default only for those whose caller does not choose; both must leave room.
    name, whole = min(limits.items(), key=lambda item: item[1])
    call = f"the call has {whole:g}s (deadline.{name})"
    hedged = _on(policy, "hedge")
    parts: list[tuple[str, str, Message, str]] = [
        ("deadline", "hop_reserve", deadline, "nothing would be left for the calls it makes"),
        ("deadline", "min_attempt_time", deadline, "no attempt would ever start"),
    ]
    if hedged:
        parts += [
            ("hedge", "delay", policy.hedge, "no second attempt would ever start"),
            ("hedge", "min_delay", policy.hedge, "no second attempt would ever start"),
        ]
    elif _on(policy, "retry"):
        parts.append(
            ("retry", "attempt_timeout", policy.retry, "no attempt would ever be given up for another")
        )
        if policy.retry.backoff.jitter == policy_pb2.JITTER_NONE:
            parts.append(("retry.backoff", "base", policy.retry.backoff, "no retry would ever fit"))
    if _on(policy, "circuit_breaker") and policy.circuit_breaker.slow_call_ratio:
        parts.append(
            ("circuit_breaker", "slow_call_duration", policy.circuit_breaker, "no answer would ever be slow")
        )
    for path, field, message, consequence in parts:
        value = _seconds(message, field)
        if value is not None and value >= whole:
            here = at
            for part in (*path.split("."), field):
                here = here.field(part)
            here.add(f'"{value:g}s" does not fit: {call}, so {consequence}; lower it or raise {name}')


def _on(policy: Any, section: str) -> bool:
    """Whether a section is there and not switched off."""
    if not policy.HasField(section):
        return False
    content = getattr(policy, section)
    return not content.HasField("enabled") or bool(content.enabled)


def _seconds(message: Any, name: str) -> float | None:
    if not message.HasField(name):
        return None
    duration = getattr(message, name)
    return float(duration.seconds + duration.nanos / 1e9)
