"""What a feature of the mesh implements, by where it sits in a call: around it, between its attempts, or at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mesh.call import Call, Direction, Outcome

Clock = Callable[[], float]
"""Monotonic seconds."""
Random = Callable[[], float]
"""Uniform in [0, 1)."""


class Stage:
    """One feature of the mesh, as seen by one call. Override what you need."""

    __slots__ = ()

    name = "stage"
    """What explain, metrics and rejections call it."""

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        """Return an `Outcome` to reject the call; anything else is the ticket handed to `settle`."""
        return None

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:
        """Learn how it ended. Called exactly once for every call admitted."""

    def message(
        self,
        call: Call,  # noqa: ARG002 - the contract's signature
        ticket: Any,  # noqa: ARG002
        message: Any,  # noqa: ARG002
        direction: Direction,  # noqa: ARG002
        now: float,  # noqa: ARG002
    ) -> Outcome | None:
        """Look at one message; an `Outcome` ends the call with it. Only stages per call are asked."""
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Retry:
    """The decision between two attempts. This one never retries."""

    __slots__ = ()

    attempt_timeout: float | None = None
    """Seconds one attempt may take, whatever is left of the deadline."""

    def begin(self, call: Call, now: float) -> None:
        """Note that a call was admitted: calls earn the budget that retries spend."""

    def delay(self, call: Call, outcome: Outcome, now: float, random: Random) -> float | None:  # noqa: ARG002 - as above
        """Return the seconds to wait before the next attempt; None when the outcome stands."""
        return None


class Hedge:
    """The decision to try a call more than once at a time, in the place of retries."""

    __slots__ = ()

    def covers(self, call: Call) -> bool:
        """Return whether the call may be made more than once; one that may not is neither hedged nor retried."""
        return call.replayable

    def begin(self, call: Call, now: float) -> None:
        """Note that a call was admitted: calls earn the budget that hedges spend."""

    def wait(self, call: Call, now: float) -> float | None:  # noqa: ARG002 - as above
        """Return the seconds until another attempt may join those that run; None: there will be no other."""
        return None

    def try_another(self, call: Call, now: float) -> bool:  # noqa: ARG002 - as above
        """Ask, when the wait is over, whether another attempt is covered by the budget."""
        return False

    def retry(self, call: Call, outcome: Outcome, now: float) -> float | None:  # noqa: ARG002 - as above
        """Return, for an attempt that failed, the seconds until another may start; None: there will be no other."""
        return None

    def decides(self, outcome: Outcome) -> bool:  # noqa: ARG002 - as above
        """Return whether this failure is the call's answer, whatever the other attempts would bring."""
        return True

    def observe(self, number: int, seconds: float, outcome: Outcome) -> None:
        """Learn how long an attempt took until it answered, failed or lost."""


class Fallback:
    """The decision what a caller gets in the place of a failure."""

    __slots__ = ()

    def answer(self, call: Call, outcome: Outcome, now: float) -> Outcome | str | None:  # noqa: ARG002 - as above
        """Return another outcome, the full name of a method to ask instead, or None: the failure stands."""
        return None
