"""What is counted of each request: how long it took, by route and HTTP status."""

from __future__ import annotations

from typing import Final

from mesh.telemetry.durations import Durations
from mesh.telemetry.instruments import SECONDS, Instrument, Kind
from mesh.telemetry.telemetry import Telemetry

# "http.server.request.duration: Duration of HTTP server requests." - semantic conventions, stable since 1.23
REQUEST_DURATION: Final = Instrument(
    "http.server.request.duration",
    Kind.HISTOGRAM,
    "s",
    "How long requests took to answer.",
    ("http.request.method", "http.route", "http.response.status_code"),
    SECONDS,
)


def durations(telemetry: Telemetry, method: str, route: str) -> Durations:
    """Return where the durations of one route are recorded, by HTTP status."""
    where = (("http.request.method", method), ("http.route", route))
    return telemetry.durations(
        REQUEST_DURATION, lambda status: (*where, ("http.response.status_code", str(status)))
    )
