"""What Cache-Control says: in an answer, by a method's annotation; in a request, as limits to what it may be answered with."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mesh.config.edge import Cache, CacheScope

# RFC 9111, 1.2.2: "If a cache receives a delta-seconds value greater than the greatest integer it can represent, [...] the
# cache MUST consider the value to be 2147483648".
_FOREVER: Final = 2147483648.0
_DIRECTIVE: Final = re.compile(r'\s*([\w-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s,"]*)))?\s*(?:,|$)')


class Asked(NamedTuple):
    """The directives of a request that mean something here; `max-stale` allows what we never do anyway."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: float | None = None
    min_fresh: float = 0.0


ANYTHING: Final = Asked()


def read_cache_control(value: bytes | None) -> Asked:
    """Return what a request's Cache-Control says; directives that are not well-formed are the strictest."""
    if value is None:
        return ANYTHING
    directives: dict[str, str] = {}
    for name, quoted, plain in _DIRECTIVE.findall(value.decode("latin-1")):
        directives[name.lower()] = quoted or plain
    return Asked(
        no_store="no-store" in directives,
        no_cache="no-cache" in directives,
        only_if_cached="only-if-cached" in directives,
        max_age=_seconds(directives["max-age"], otherwise=0.0) if "max-age" in directives else None,
        min_fresh=_seconds(directives.get("min-fresh", "0"), otherwise=_FOREVER),
    )


def _seconds(text: str, *, otherwise: float) -> float:
    if not (text.isascii() and text.isdigit()):
        return otherwise
    return min(float(text), _FOREVER) if len(text) < 12 else _FOREVER


def write_cache_control(cache: Cache, *, personal: bool = False) -> bytes:
    """Return the Cache-Control of a method's answers; `personal` when the request came with credentials.

    Then a shared cache must not keep the answer, whatever the annotation says of other people's: RFC 9111, 3.5, forbids it
    but lets `public` and `s-maxage` overrule that, and nobody who annotates a method thinks of it.
    """
    if cache.scope is CacheScope.NONE:
        return b"no-store"
    public = cache.scope is CacheScope.PUBLIC and not personal
    parts = ["public" if public else "private", f"max-age={int(cache.max_age)}"]
    if public and cache.shared_max_age is not None:
        parts.append(f"s-maxage={int(cache.shared_max_age)}")
    if cache.stale_while_revalidate:
        # RFC 5861, 3.
        parts.append(f"stale-while-revalidate={int(cache.stale_while_revalidate)}")
    return ", ".join(parts).encode()


def is_kept_off(cache_control: bytes) -> bool:
    """Whether an answer's own Cache-Control forbids a shared cache to keep it, or asks for more than counting seconds."""
    lower = cache_control.lower()
    return any(word in lower for word in (b"no-store", b"private", b"no-cache", b"max-age=0"))
