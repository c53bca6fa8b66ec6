"""Decides which requests are refused because a page of another origin had its visitor's browser send them.

Browsers ask before they send most requests to another origin, and CORS answers. Some they send without asking, with the
visitor's cookies and passwords: POST with a form, with text/plain, or with no content type at all. Those are let through
from the API's own pages, from origins that `cors.allow_origins` names (`*` names none), and from what is no browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.bind import content
from gateway.edge.cors import compile_origins
from gateway.problem import RequestProblem
from mesh.call import Code

# Fetch, "CORS-safelisted request-header": "If mimeType's essence is not "application/x-www-form-urlencoded",
# "multipart/form-data", or "text/plain", then return false."
_UNASKED: Final = frozenset({content.FORM, content.MULTIPART, "text/plain", ""})
_OWN: Final = frozenset({b"same-origin", b"none"})


class CrossSite:
    """The rule, for one set of trusted origins."""

    __slots__ = ("_trusts",)

    def __init__(self, allow_origins: Sequence[str]) -> None:
        # `*` lets every page read what it asks for without credentials; a form brings them along.
        self._trusts = compile_origins(origin for origin in allow_origins if origin != "*")

    def check(self, headers: Iterable[tuple[bytes, bytes]], content_type: str) -> None:
        """Raise RequestProblem (403) for a POST that a page of another origin sent without having to ask."""
        if content.media_type(content_type) not in _UNASKED:
            return
        site = origin = host = None
        for name, value in headers:
            if name == b"sec-fetch-site":
                site = value
            elif name == b"origin":
                origin = value.decode("latin-1").lower()
            elif name == b"host":
                host = value.decode("latin-1").lower()
        if origin is None:
            # Browsers have sent Origin with every POST since 2020: without one nobody's page is behind it.
            own = site is None or site in _OWN
        elif site is not None:
            own = site in _OWN
        else:
            # Browsers say Sec-Fetch-Site to https and localhost only.
            own = origin.partition("://")[2] == host
        if own or (origin is not None and self._trusts(origin)):
            return
        text = f'a page of origin "{(origin or "unknown")[:100]}" may not send this: cors.allow_origins does not name it'
        raise RequestProblem(text, code=Code.PERMISSION_DENIED)

    def __repr__(self) -> str:
        return "<CrossSite>"
