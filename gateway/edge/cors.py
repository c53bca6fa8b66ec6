"""Which pages of other origins may read an answer, and what they may send: the CORS protocol of the Fetch standard.

The answer to every request says so, an error's and a stream's too: a page that may not read why it failed is hard to
mend. Where it depends on the origin, every answer has `Vary: Origin`, those without an origin included, or a cache would
hand one page the answer made for another.

Nothing here protects a service: requests that need no preflight arrive whatever is said. It opens what browsers close.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.edge.security import Standing
from mesh.config.edge import Cors

ALLOW_HEADERS: Final = (
    "authorization", "content-type", "if-match", "if-none-match", "last-event-id", "grpc-timeout", "request-timeout",
    "x-request-id", "traceparent", "tracestate", "x-grpc-web", "x-user-agent", "connect-protocol-version",
    "connect-timeout-ms", "connect-content-encoding", "connect-accept-encoding",
)  # fmt: skip
"""What a page may send unless the operator lists it: what the gateway reads, and what gRPC-Web and Connect clients send."""
EXPOSE_HEADERS: Final = (
    "x-request-id", "retry-after", "etag", "grpc-status", "grpc-message", "grpc-status-details-bin",
)  # fmt: skip
"""What a page may read unless the operator lists it, besides `return_headers`."""

_ORIGIN: Final = b"origin"
_REQUESTED: Final = b"access-control-request-method"
_VARY: Final[Standing] = ((b"vary", b"origin"),)
_BELOW: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_MOST_KNOWN: Final = 1024


class CrossOrigin:
    """The compiled rules."""

    __slots__ = ("_allows", "_credentials", "_everybody", "_exposed", "_known", "_preflight")

    def __init__(self, settings: Cors, return_headers: Sequence[str]) -> None:
        self._allows = compile_origins(settings.allow_origins)
        self._everybody = "*" in settings.allow_origins
        self._credentials: Standing = (
            ((b"access-control-allow-credentials", b"true"),) if settings.allow_credentials else ()
        )
        # A prefix among them, `x-demo-*`, is not a name that browsers know.
        named = [name for name in return_headers if not name.endswith("*")]
        # Connect's unary answers carry trailers as headers, with a prefix.
        prefixed = [f"trailer-{name}" for name in named]
        exposed = settings.expose_headers or tuple(dict.fromkeys((*EXPOSE_HEADERS, *named, *prefixed)))
        self._exposed: Standing = ((b"access-control-expose-headers", ", ".join(exposed).encode()),)
        self._preflight: Standing = (
            (b"access-control-allow-headers", ", ".join(settings.allow_headers or ALLOW_HEADERS).encode()),
            (b"access-control-max-age", b"%d" % settings.max_age),
        )
        self._known: dict[bytes, Standing] = {}

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may use the API."""
        return self._allows(origin.lower())

    def standing(self, origin: bytes | None) -> Standing:
        """Return the headers of every answer to a request with this Origin, or without one."""
        if self._everybody:
            # "*" is true for everybody and does not vary. (With credentials it is refused when settings are read.)
            return ((b"access-control-allow-origin", b"*"), *self._exposed)
        if origin is None:
            return _VARY
        known = self._known.get(origin)
        if known is None:
            known = _VARY
            if self.allows(origin.decode("latin-1")):
                known = ((b"access-control-allow-origin", origin), *self._credentials, *self._exposed, *_VARY)
            if len(self._known) < _MOST_KNOWN:
                self._known[origin] = known
        return known

    def preflight(self, origin: bytes, methods: Iterable[str]) -> Standing:
        """Return what a preflight request's answer has besides; nothing for an origin that is not allowed."""
        if not self.allows(origin.decode("latin-1")):
            return ()
        return ((b"access-control-allow-methods", ", ".join(methods).encode()), *self._preflight)

    def __repr__(self) -> str:
        return f"<CrossOrigin everybody={self._everybody}>"


def compile_cors(settings: Cors, return_headers: Sequence[str]) -> CrossOrigin | None:
    """Return the rules; None where no page of another origin is allowed."""
    return CrossOrigin(settings, return_headers) if settings.allow_origins else None


def compile_origins(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return whether an origin in lower case is one of these: exact ones, `https://*.example.com`, or `*`."""
    listed = tuple(patterns)
    if "*" in listed:
        return lambda _: True
    exact = frozenset(pattern for pattern in listed if "://*." not in pattern)
    below: list[tuple[str, str]] = []
    for pattern in listed:
        scheme, wild, host = pattern.partition("://*.")
        if wild:
            below.append((f"{scheme}://", f".{host}"))

    def allows(origin: str) -> bool:
        if origin in exact:
            return True
        return any(
            origin.startswith(scheme)
            and origin.endswith(host)
            and _BELOW.fullmatch(origin, len(scheme), len(origin) - len(host)) is not None
            for scheme, host in below
        )

    return allows


def origin_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the Origin of a request; None where there is none, or several."""
    given = [value for name, value in headers if name == _ORIGIN]
    return given[0] if len(given) == 1 else None


def is_preflight(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether an OPTIONS request is a preflight one."""
    # "It uses `OPTIONS` as method and includes [...] `Access-Control-Request-Method`" - Fetch, 3.2.2, of these requests.
    names = {name for name, _ in headers}
    return _ORIGIN in names and _REQUESTED in names
