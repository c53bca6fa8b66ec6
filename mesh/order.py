"""Which stages there are, in which order and why: the ORDER table. It is data; `mesh.chain` makes chains from it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from mesh.call import Side
from mesh.contract import Fallback, Hedge, Retry, Stage
from mesh.errors import ChainError
from mesh.stage import (
    access_log,
    attempt_metrics,
    breaker,
    concurrency,
    deadline,
    fallback,
    fault,
    hedge,
    load_report,
    message_limit,
    message_metrics,
    metrics,
    mirror,
    priority,
    rate_limit,
    retry,
    route,
    stream_limit,
    trace,
    validation,
)
from mesh.stage.route import Routes
from mesh.stage.scope import Scope


class Span(enum.Enum):
    """How much of a call a stage sees."""

    CHANNEL = "channel"
    """Which chain the call goes through, before it does."""
    CALL = "call"
    BETWEEN = "between"
    ATTEMPT = "attempt"


class Slot(NamedTuple):
    """One place in the order."""

    name: str
    span: Span
    sides: frozenset[Side]
    section: str
    """The field of mesh.v1.Policy that configures it."""
    build: Callable[[Scope], Stage | Retry | Hedge | Fallback | Routes | None]
    describe: Callable[[Scope], str]
    before: tuple[str, ...]
    because: str
    absent: Callable[[Scope], str] | None = None
    """Says why the stage is not there, where that takes more than "off": `OFF` is a policy that does not ask for it."""


CLIENT: Final = frozenset({Side.CLIENT})
SERVER: Final = frozenset({Side.SERVER})
BOTH: Final = CLIENT | SERVER

ORDER: Final[tuple[Slot, ...]] = (
    Slot(
        "route", Span.CHANNEL, CLIENT, "route", route.build, route.describe,
        absent=route.absent,
        before=("trace",),
        because="circuits, budgets and metrics are those of the subset that is called",
    ),
    Slot(
        "trace", Span.CALL, BOTH, "trace", trace.build, trace.describe,
        absent=trace.absent,
        before=("metrics", "access_log"),
        because="everything below must appear inside the span",
    ),
    Slot(
        "metrics", Span.CALL, BOTH, "metrics", metrics.build, metrics.describe,
        before=("deadline", "server_concurrency"),
        because="a call that is refused below must still be counted",
    ),
    Slot(
        "message_metrics", Span.CALL, BOTH, "metrics", message_metrics.build, message_metrics.describe,
        absent=message_metrics.absent,
        before=("message_limit", "validation"),
        because="a message that is refused below must still be counted",
    ),
    Slot(
        "access_log", Span.CALL, BOTH, "access_log", access_log.build, access_log.describe,
        before=("deadline", "server_concurrency"),
        because="a call that is refused below must still leave a line",
    ),
    Slot(
        "load_report", Span.CALL, SERVER, "load_report", load_report.build, load_report.describe,
        before=("server_concurrency",),
        because="calls shed below are load too",
    ),
    Slot(
        "deadline", Span.CALL, BOTH, "deadline", deadline.build, deadline.describe,
        before=("server_concurrency", "hedge", "retry"),
        because="work for a caller that has gone is waste, and all attempts share one deadline",
    ),
    Slot(
        "priority", Span.CALL, BOTH, "priority", priority.build, priority.describe,
        before=("rate_limit", "server_concurrency", "client_concurrency"),
        because="whoever refuses below asks how important the request is",
    ),
    Slot(
        "rate_limit", Span.CALL, SERVER, "rate_limit", rate_limit.build, rate_limit.describe,
        before=("validation", "server_concurrency"),
        because="what comes too fast must not take a slot, nor be looked into",
    ),
    Slot(
        "stream_limit", Span.CALL, BOTH, "stream", stream_limit.build, stream_limit.describe,
        absent=stream_limit.absent,
        before=("message_limit", "validation"),
        because="a message that is refused below has come all the same",
    ),
    Slot(
        "message_limit", Span.CALL, BOTH, "message_limit", message_limit.build, message_limit.describe,
        before=("validation", "mirror"),
        because="what is too large is not looked into",
    ),
    Slot(
        "validation", Span.CALL, SERVER, "validation", validation.build, validation.describe,
        absent=validation.absent,
        before=(),
        because="last of those that look at messages: it is the one that takes time",
    ),
    Slot(
        "mirror", Span.CALL, CLIENT, "mirror", mirror.build, mirror.describe,
        absent=mirror.absent,
        before=("fallback", "hedge", "retry"),
        because="what is refused above is not copied, and a call is copied once however often it is tried",
    ),
    Slot(
        "server_concurrency", Span.CALL, SERVER, "server_concurrency", concurrency.build, concurrency.describe,
        before=(),
        because="last before the handler: only calls that would run take a slot",
    ),
    Slot(
        "fallback", Span.BETWEEN, CLIENT, "fallback", fallback.build, fallback.describe,
        absent=fallback.absent,
        before=("hedge", "retry"),
        because="it replaces what further attempts could not save",
    ),
    Slot(
        "hedge", Span.BETWEEN, CLIENT, "hedge", hedge.build, hedge.describe,
        absent=hedge.absent,
        before=("circuit_breaker",),
        because="each attempt must ask the breaker, and retries of hedges would multiply them",
    ),
    Slot(
        "retry", Span.BETWEEN, CLIENT, "retry", retry.build, retry.describe,
        absent=retry.absent,
        before=("circuit_breaker",),
        because="each attempt must ask the breaker again",
    ),
    Slot(
        "circuit_breaker", Span.ATTEMPT, CLIENT, "circuit_breaker", breaker.build, breaker.describe,
        absent=breaker.absent,
        before=("client_concurrency",),
        because="a call to a dead target must not take a slot",
    ),
    Slot(
        "client_concurrency", Span.ATTEMPT, CLIENT, "client_concurrency",
        concurrency.build, concurrency.describe,
        before=("fault", "attempt_metrics"),
        because="only attempts that go out take a slot",
    ),
    Slot(
        "fault", Span.ATTEMPT, CLIENT, "fault", fault.build, fault.describe,
        before=("attempt_metrics",),
        because="below all that reacts to failures, so that all of it can be tried out",
    ),
    Slot(
        "attempt_metrics", Span.ATTEMPT, CLIENT, "metrics", attempt_metrics.build, attempt_metrics.describe,
        before=(),
        because="nearest the wire: it times the wire and nothing else",
    ),
)  # fmt: skip


def check(order: Iterable[Slot] = ORDER) -> None:
    """Raise ChainError with every rule of the order that does not hold."""
    slots = list(order)
    places = {slot.name: place for place, slot in enumerate(slots)}
    broken = [
        f"{slot.name} must come before {later}: {slot.because}"
        for place, slot in enumerate(slots)
        for later in slot.before
        if places.get(later, place + 1) <= place
    ]
    broken += [
        f"{slot.name} is there twice" for place, slot in enumerate(slots) if places[slot.name] != place
    ]
    spans = [list(Span).index(slot.span) for slot in slots]
    if spans != sorted(spans):
        broken.append(
            "after routes stages per call come first, then what is between attempts, then stages per attempt"
        )
    if broken:
        raise ChainError("; ".join(broken))
