"""Decides whether a failed attempt is followed by another, and after how long.

Rules, in this order; the first that refuses ends the call:

1. "If the client has already exhausted its `maxAttempts`, the call will not be retried even if the server says to
   retry after a given delay." - gRFC A6
2. The status must be a retryable one, whatever the server says about delays.
3. A server that asks not to be retried is not. A delay it asks for replaces the backoff, without jitter.
4. No attempt starts at or after the deadline.
5. The budget is asked last, so that a retry refused for any other reason costs nothing.

Limits. Whether the request can be sent again and whether the caller has already seen data are properties of the call,
not of the attempt: whoever calls `decide` knows them.
"""

from __future__ import annotations

from typing import Final

from mesh.mechanism.backoff import Backoff
from mesh.mechanism.budget import RetryBudget

STOP: Final = -1.0
"""The pushback of a server that asks not to be retried; any negative pushback means the same."""

_INT32_MAX: Final = 2**31 - 1


def parse_pushback(text: str | bytes | None) -> float | None:
    """Read the value of `grpc-retry-pushback-ms`: None when not sent, else seconds to wait, or `STOP`."""
    if text is None:
        return None
    # "The value is to be an ASCII encoded signed 32-bit integer with no unnecessary leading zeros" ... "If the value
    # for pushback is negative or unparseble, then it will be seen as the server asking the client not to retry at
    # all." - gRFC A6
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_INT32_MAX))):
        return STOP
    millis = int(text)
    if millis > _INT32_MAX or len(str(millis)) != len(text):
        return STOP
    return millis / 1000.0


def decide(
    *,
    attempt: int,
    max_attempts: int,
    retryable: bool,
    pushback: float | None,
    remaining: float | None,
    backoff: Backoff,
    budget: RetryBudget | None,
    u: float,
    now: float,
    pushed_back: int = 0,
    waited: float = 0.0,
) -> float | None:
    """Return the seconds to wait before the next attempt, or None: the call ends as this attempt did.

    `attempt` is the number of the attempt that failed, from 1; `remaining` the seconds left for another one to start in,
    None without a deadline; `pushed_back` the number of the last earlier attempt that was answered with a delay, 0 if none
    was; `waited` the seconds waited before the attempt that failed.
    """
    if attempt >= max_attempts or not retryable:
        return None
    if pushback is None:
        # "Retry in n ms. If this attempt also fails, retry delay will reset to initial backoff for the following
        # retry (if applicable)" - gRFC A6
        delay = backoff.delay(attempt - pushed_back, u, waited if pushed_back < attempt - 1 else 0.0)
    elif pushback < 0.0:
        return None
    else:
        delay = pushback
    if remaining is not None and delay >= remaining:
        return None
    if budget is not None and not budget.try_withdraw(now):
        return None
    return delay
