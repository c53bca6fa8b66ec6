"""Which headers every answer carries for the safety of browsers."""

from __future__ import annotations

from typing import Final

Standing = tuple[tuple[bytes, bytes], ...]
"""Headers of every answer."""

# Fetch, "X-Content-Type-Options": no script and no style is made of a body that does not say that it is one.
_PLAIN: Final[Standing] = ((b"x-content-type-options", b"nosniff"),)
# RFC 6797, 7.2: "An HSTS Host MUST NOT include the STS header field in HTTP responses conveyed over non-secure
# transport". A year; the hosts below are not ours to speak for, so no includeSubDomains.
_SECURE: Final[Standing] = (*_PLAIN, (b"strict-transport-security", b"max-age=31536000"))


def standing_headers(*, enabled: bool, secure: bool) -> Standing:
    """Return the headers of every answer; `secure`: the client's connection is TLS."""
    if not enabled:
        return ()
    return _SECURE if secure else _PLAIN
