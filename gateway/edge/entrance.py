"""What is settled of a request before its headers are read: standing headers, the caller, the method it is answered as.

Compiled from the settings once. Where they ask for nothing but standing headers that are the same for all requests,
requests are given those and nothing here runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.edge.cors import CrossOrigin, compile_cors, is_preflight, origin_of
from gateway.edge.forwarded import Proxies
from gateway.edge.override import overridden
from gateway.edge.security import standing_headers

if TYPE_CHECKING:
    from gateway.exchange import Exchange
    from mesh.config.spec import Gateway as Settings


class Entrance:
    """The settings' share of every request."""

    __slots__ = ("_overrides", "_proxies", "_secure", "_tells", "_tls", "busy", "cross_origin", "standing")

    def __init__(self, settings: Settings, tells: Sequence[str]) -> None:
        """`tells`: which of `forwarded.NAMES` backends are given."""
        self._tls = settings.tls is not None
        self._proxies = Proxies(settings.trusted_proxies)
        self._tells = tuple(tells)
        self._overrides = settings.method_override
        self._secure = standing_headers(enabled=settings.security_headers, secure=True)
        self.cross_origin: CrossOrigin | None = compile_cors(settings.cors, settings.return_headers)
        self.standing = standing_headers(enabled=settings.security_headers, secure=self._tls)
        """What every answer has, where nothing depends on the request."""
        self.busy = bool(self.cross_origin or settings.trusted_proxies or tells or settings.method_override)
        """Whether `admit` is to be called."""

    def admit(self, exchange: Exchange) -> None:
        """Settle it; raises RequestProblem for what contradicts itself."""
        headers = exchange.scope["headers"]
        if self.cross_origin is not None:
            # First: a page may read why it was refused.
            exchange.standing += self.cross_origin.standing(origin_of(headers))
        peer = (exchange.scope.get("client") or ("",))[0]
        exchange.caller = caller = self._proxies.read(peer, headers)
        if caller.scheme == "https" and not self._tls:
            exchange.standing += self._secure[len(self.standing) :]
        if self._tells:
            host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
            scheme = "https" if self._tls else "http"
            exchange.metadata += caller.metadata(self._tells, scheme, host)
        if self._overrides:
            exchange.method = overridden(exchange.method, headers)

    def preflight_of(self, exchange: Exchange) -> bytes | None:
        """Return the origin that asks what it may send; None for other requests."""
        headers = exchange.scope["headers"]
        if self.cross_origin is None or exchange.method != "OPTIONS" or not is_preflight(headers):
            return None
        return origin_of(headers)

    def __repr__(self) -> str:
        return f"<Entrance busy={self.busy}>"
