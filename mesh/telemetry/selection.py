"""Which methods get spans: the filters of opentelemetry-instrumentation-grpc, honoured whoever makes the spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

EXCLUDED_SERVICES: Final = "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES"

Filter = Callable[[Any], bool]
"""A condition on call details, as `opentelemetry.instrumentation.grpc.filters` makes them: True means a span."""


class MethodDetails:
    """What a filter is shown when a method's chain is compiled, when there is no call yet."""

    __slots__ = ("method",)

    invocation_metadata: tuple[()] = ()
    metadata: tuple[()] = ()

    def __init__(self, method: str) -> None:
        self.method = method

    def __repr__(self) -> str:
        return f"<MethodDetails {self.method}>"


class Selection:
    """Selects methods by a filter and by the services that are excluded; a method needs the consent of both.

    The filter is asked once for each method, so it may look at the method's name and nothing else.
    """

    __slots__ = ("_excluded", "_filter")

    def __init__(
        self, filter_: Filter | None = None, excluded_services: frozenset[str] = frozenset()
    ) -> None:
        self._filter = filter_
        self._excluded = excluded_services

    def selects(self, method: str) -> bool:
        """Return whether calls of `/package.Service/Method` get spans."""
        if method.lstrip("/").rpartition("/")[0] in self._excluded:
            return False
        return self._filter is None or bool(self._filter(MethodDetails(method)))

    def __repr__(self) -> str:
        return f"<Selection filter={self._filter} excluded={sorted(self._excluded)}>"


def excluded_services(environ: Mapping[str, str]) -> frozenset[str]:
    """Read OTEL_PYTHON_GRPC_EXCLUDED_SERVICES: full service names, separated by commas."""
    names = environ.get(EXCLUDED_SERVICES, "").split(",")
    return frozenset(name.strip() for name in names if name.strip())
