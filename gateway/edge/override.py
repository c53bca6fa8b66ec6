"""Which method a POST is answered as: another one, where the operator allows `X-HTTP-Method-Override`.

It is for clients, and proxies before them, that can only GET and POST. Only a POST may become something else, and only
something that changes what is there as a POST does: one that became a GET would be read, and answered from caches, by
rules that whoever let the POST pass did not apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.problem import RequestProblem, Violation, refuse

_HEADER: Final = b"x-http-method-override"
_METHODS: Final = frozenset({"PUT", "PATCH", "DELETE"})


def overridden(method: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the method to answer; raise RequestProblem for an override that is not allowed."""
    given = [value.decode("latin-1") for name, value in headers if name == _HEADER]
    if not given:
        return method
    if method != "POST":
        raise _refusal(f"is for POST only, and this is {method[:20]}")
    if len(given) > 1:
        raise _refusal("is given twice")
    # RFC 9110, 9.1: "The method token is case-sensitive".
    if given[0] not in _METHODS:
        raise _refusal(f'"{given[0][:20]}" is not PUT, PATCH or DELETE')
    return given[0]


def _refusal(description: str) -> RequestProblem:
    return refuse([Violation("header x-http-method-override", description)])
