"""Which calls come faster than they may: by method, by caller, or by some metadata."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from mesh.call import Call, Outcome
from mesh.contract import Stage
from mesh.mechanism.bucket import KeyedRate
from mesh.policy.rate_limit import RateKey, RatePolicy
from mesh.stage import refusal
from mesh.stage.principal import principal
from mesh.stage.scope import Scope

_WHOSE: Final = {RateKey.METHOD: "", RateKey.PRINCIPAL: " for each caller"}


class Limit(NamedTuple):
    """One limit: its rate, and whom a call counts for."""

    rate: KeyedRate
    key: Callable[[Call], Hashable]
    text: str


class RateLimit(Stage):
    """Asks every limit before a call is counted against any: one that is refused costs nothing."""

    __slots__ = ("_limits", "_where")

    name = "rate_limit"

    def __init__(self, limits: tuple[Limit, ...], where: str) -> None:
        self._limits = limits
        self._where = where

    def admit(self, call: Call, now: float) -> Outcome | object:
        keys = []
        longest, text = 0.0, ""
        for rate, key_of, said in self._limits:
            key = key_of(call)
            keys.append(key)
            wait = rate.wait(key, now)
            if wait > longest:
                longest, text = wait, said
        if longest:
            details = f"{self._where} takes {text}, the limit; come back in {longest:.3g}s"
            return refusal.exhausted(details, longest, self.name)
        for (rate, _, _), key in zip(self._limits, keys, strict=True):
            rate.take(key, now)
        return None


def _method(call: Call) -> Hashable:  # noqa: ARG001 - keys are made from calls
    return ""


def _metadata(name: str) -> Callable[[Call], Hashable]:
    def key(call: Call) -> Hashable:
        return next((value for given, value in call.metadata if given == name), None)

    return key


def _text(policy: RatePolicy) -> str:
    whose = _WHOSE.get(policy.key, f" for each {policy.metadata}")
    return f"{policy.per_second:g} calls a second{whose}"


def build(scope: Scope) -> Stage | None:
    policy = scope.policy.rate_limit
    if policy is None:
        return None

    def make() -> tuple[Limit, ...]:
        keys = {RateKey.METHOD: _method, RateKey.PRINCIPAL: principal}
        return tuple(
            Limit(
                KeyedRate(rate=one.per_second, burst=one.burst, most=one.max_keys),
                keys.get(one.key) or _metadata(one.metadata),
                _text(one),
            )
            for one in policy.limits
        )

    limits = scope.state.keep(("rate_limit", scope.target, scope.method, policy), make)
    return RateLimit(limits, scope.method)


def describe(scope: Scope) -> str:
    policy = scope.policy.rate_limit
    limits = () if policy is None else policy.limits
    return "at most " + ", ".join(f"{_text(one)} ({one.burst} at once)" for one in limits)
