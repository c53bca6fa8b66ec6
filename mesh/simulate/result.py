"""What a simulation found: the figures of each piece of time and of the whole, as values."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mesh.simulate.record import Tally


class Circuits(NamedTuple):
    """How many clients' circuits stood where, at one moment."""

    closed: int = 0
    half_open: int = 0
    open: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The calls that began in one stretch of time, and what the backends had to bear in it. Times are in seconds."""

    begin: float
    end: float
    calls: int
    succeeded: int
    attempts: int
    """What those calls sent, whenever they sent it."""
    sent: int
    """Attempts that arrived at backends within the time, whenever their calls began."""
    wasted: int
    """Calls that backends finished within the time for callers who had gone."""
    p50: float
    """Of the calls that succeeded; NaN when none did."""
    p99: float
    statuses: Mapping[str, int]
    """Calls by status name."""
    rejections: Mapping[str, int]
    """Calls that ended with a client stage's refusal, by stage."""
    refused: Mapping[str, int]
    """Attempts that a server stage refused within the time, by stage."""

    @property
    def offered(self) -> float:
        """Calls begun a second."""
        return self.calls / (self.end - self.begin)

    @property
    def goodput(self) -> float:
        """Calls begun a second that succeeded."""
        return self.succeeded / (self.end - self.begin)

    @property
    def success_ratio(self) -> float:
        """The share of calls that succeeded; NaN without calls."""
        return self.succeeded / self.calls if self.calls else math.nan

    @property
    def attempts_per_call(self) -> float:
        """How many times the calls load what they call; NaN without calls."""
        return self.attempts / self.calls if self.calls else math.nan

    @property
    def load(self) -> float:
        """Attempts a second that arrived at backends."""
        return self.sent / (self.end - self.begin)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON takes them: what is not a number is None."""
        figures = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in ("offered", "goodput", "success_ratio", "attempts_per_call", "load"):
            figures[name] = getattr(self, name)
        return {name: _plain(value) for name, value in figures.items()}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Summary):
    """One piece of time."""

    circuits: Circuits
    """At its end."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run of a scenario found."""

    name: str
    seed: int
    slices: Sequence[Slice]
    total: Summary
    """Without the warm-up."""
    tallies: Sequence[Tally] = dataclasses.field(repr=False, compare=False)

    def between(self, begin: float, end: float) -> Summary:
        """Return the figures of the slices that lie within these times."""
        chosen = [
            (piece, tally)
            for piece, tally in zip(self.slices, self.tallies, strict=True)
            if piece.begin >= begin - _ROUNDING and piece.end <= end + _ROUNDING
        ]
        if not chosen:
            raise ValueError(f"no slice lies within {begin:g}s and {end:g}s")
        return Summary(**summarise(chosen[0][0].begin, chosen[-1][0].end, [tally for _, tally in chosen]))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON takes it."""
        return {
            "name": self.name,
            "seed": self.seed,
            "total": self.total.as_dict(),
            "slices": [piece.as_dict() for piece in self.slices],
        }


_ROUNDING = 1e-9


def summarise(begin: float, end: float, tallies: Iterable[Tally]) -> dict[str, Any]:
    """Return the fields of a Summary."""
    tallies = list(tallies)
    latencies = sorted(latency for tally in tallies for latency in tally.latencies)
    return {
        "begin": begin,
        "end": end,
        "calls": sum(tally.calls for tally in tallies),
        "succeeded": len(latencies),
        "attempts": sum(tally.attempts for tally in tallies),
        "sent": sum(tally.sent for tally in tallies),
        "wasted": sum(tally.wasted for tally in tallies),
        "p50": quantile(latencies, 0.5),
        "p99": quantile(latencies, 0.99),
        "statuses": _sum(tally.statuses for tally in tallies),
        "rejections": _sum(tally.rejections for tally in tallies),
        "refused": _sum(tally.refused for tally in tallies),
    }


def quantile(ascending: Sequence[float], q: float) -> float:
    """Return the smallest value that at least the share `q` of all values do not exceed; NaN without values."""
    return ascending[max(0, math.ceil(q * len(ascending)) - 1)] if ascending else math.nan


def _sum(counters: Iterable[Counter[str]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return dict(sorted(total.items()))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Circuits):
        return value._asdict()
    return value
