"""What is counted of requests: how long each took, by route and HTTP status, and how the store of answers served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.edge.cache import Found
from mesh.telemetry.durations import Durations
from mesh.telemetry.instruments import RESULT, SECONDS, Instrument, Kind
from mesh.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from gateway.edge.cache import Cache

# "http.server.request.duration: Duration of HTTP server requests." - semantic conventions, stable since 1.23
REQUEST_DURATION: Final = Instrument(
    "http.server.request.duration",
    Kind.HISTOGRAM,
    "s",
    "How long requests took to answer.",
    ("http.request.method", "http.route", "http.response.status_code"),
    SECONDS,
)
# "http.server.active_requests: Number of active HTTP server requests." - semantic conventions
ACTIVE_REQUESTS: Final = Instrument(
    "http.server.active_requests",
    Kind.UP_DOWN_COUNTER,
    "{request}",
    "Requests that are being answered.",
    (),
)
CACHE_REQUESTS: Final = Instrument(
    "gateway.cache.requests",
    Kind.COUNTER,
    "{request}",
    "Requests for methods whose answers the gateway keeps, by where the answer came from.",
    (RESULT,),
)
CACHE_EVICTIONS: Final = Instrument(
    "gateway.cache.evictions",
    Kind.COUNTER,
    "{answer}",
    "Stored answers given up for want of room, since the schema was loaded.",
    (),
)
CACHE_SIZE: Final = Instrument(
    "gateway.cache.size", Kind.UP_DOWN_COUNTER, "By", "Memory that stored answers take.", ()
)

SCHEMA_UPDATES: Final = Instrument(
    "gateway.schema.updates",
    Kind.COUNTER,
    "{update}",
    "Schemas that were offered while another was served, by what came of it.",
    (RESULT,),
)

INSTRUMENTS: Final = (
    REQUEST_DURATION,
    ACTIVE_REQUESTS,
    CACHE_REQUESTS,
    CACHE_EVICTIONS,
    CACHE_SIZE,
    SCHEMA_UPDATES,
)


def durations(telemetry: Telemetry, method: str, route: str) -> Durations:
    """Return where the durations of one route are recorded, by HTTP status."""
    where = (("http.request.method", method), ("http.route", route))
    return telemetry.durations(
        REQUEST_DURATION, lambda status: (*where, ("http.response.status_code", str(status)))
    )


class CacheCounters:
    """What is counted of the store."""

    __slots__ = ("_aggregates", "_numbers")

    def __init__(self, telemetry: Telemetry) -> None:
        self._aggregates = telemetry.aggregates
        self._numbers = {
            found: self._aggregates.number(CACHE_REQUESTS, ((RESULT, found.value),)) for found in Found
        }

    def watch(self, cache: Cache) -> None:
        """Report the size of this cache from now on, instead of an earlier one's."""
        self._aggregates.observe(CACHE_EVICTIONS, (), lambda: cache.evictions)
        self._aggregates.observe(CACHE_SIZE, (), lambda: cache.size)

    def add(self, found: Found) -> None:
        """Count one request."""
        self._numbers[found].value += 1

    def __repr__(self) -> str:
        return f"<CacheCounters {[(found.value, number.value) for found, number in self._numbers.items()]}>"
