"""What a caller gets in the place of a failure: a response written in the policy, or another method's answer."""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor

from mesh.call import CODE_NAMES, Call, Outcome
from mesh.contract import Fallback
from mesh.errors import ConfigError
from mesh.policy import annotation
from mesh.policy.fallback import FallbackPolicy
from mesh.policy.problem import Problems
from mesh.stage.scope import OFF, Scope
from mesh.telemetry.aggregate import Number
from mesh.telemetry.instruments import CLIENT_FALLBACKS, METHOD, RESULT, TARGET

NAME = "fallback"
MARK = "mesh-fallback"
"""Trailing metadata of an answer from the policy: the status that it replaces."""


class Fallbacks(Fallback):
    """Replaces some failures of one method's calls."""

    __slots__ = ("_codes", "_count", "_method", "_response")

    def __init__(
        self, codes: frozenset[int], *, response: bytes = b"", method: str = "", count: Number
    ) -> None:
        """Answer with `response`, or ask `method` where that is not empty."""
        self._codes = codes
        self._response = response
        self._method = method
        self._count = count

    def answer(self, call: Call, outcome: Outcome, now: float) -> Outcome | str | None:  # noqa: ARG002 - the contract's signature
        if outcome.code not in self._codes:
            return None
        self._count.value += 1
        if self._method:
            return self._method
        return Outcome(
            0, value=self._response, trailing=((MARK, CODE_NAMES[outcome.code]),), answered_by=NAME
        )


def build(scope: Scope) -> Fallback | None:
    """Return the fallback; raise ConfigError when it does not fit the method."""
    policy = scope.policy.fallback
    if policy is None or scope.arity.response_streams:
        return None
    at = Problems(f"{scope.method}: {NAME}")
    method = annotation.descriptor(scope.method, scope.pool)
    response = b""
    if method is not None:
        policy.check(method, at)
        response = _response(policy, method)
    elif policy.response:
        at.field("response").add("needs the method's proto, which is neither imported nor in the descriptors")
    if at:
        raise ConfigError(at.list)
    kind = "response" if policy.response else "method"
    where = ((METHOD, scope.method.lstrip("/")), (TARGET, scope.target), (RESULT, kind))
    counted = scope.policy.metrics is not None
    return Fallbacks(
        policy.codes,
        response=response,
        method=_full_name(scope, policy) if policy.method else "",
        count=scope.telemetry.aggregates.number(CLIENT_FALLBACKS, where) if counted else Number(),
    )


def _response(policy: FallbackPolicy, method: MethodDescriptor) -> bytes:
    """Return the response on the wire; empty where there is none, or none that fits."""
    return policy.encode(method, Problems()) if policy.response else b""


def _full_name(scope: Scope, policy: FallbackPolicy) -> str:
    return f"{scope.method.rpartition('/')[0]}/{policy.method}"


def describe(scope: Scope) -> str:
    policy = scope.policy.fallback or FallbackPolicy()
    codes = ", ".join(CODE_NAMES[code] for code in sorted(policy.codes))
    what = f"asks {policy.method}" if policy.method else f"answers {policy.response}"
    return f"on {codes} {what}"


def absent(scope: Scope) -> str:
    """Say why nothing is replaced."""
    return OFF if scope.policy.fallback is None else "the method answers with a stream"
