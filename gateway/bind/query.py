"""Decides how a query string falls into names and values: form encoding, in which `+` is a space.

grpc-gateway reads `+` as a space and Envoy's transcoder as itself. Browsers, curl's --data-urlencode and the
URL Standard's "application/x-www-form-urlencoded" write a space as `+` and a plus as `%2B`: so does this.
"""

from __future__ import annotations

from gateway.problem import Violation
from gateway.route.template import decode


def read(query: bytes, violations: list[Violation]) -> list[tuple[str, str]]:
    """Return the decoded pairs in their order; what cannot be decoded becomes a violation and is left out."""
    pairs: list[tuple[str, str]] = []
    for piece in query.decode("utf-8", "surrogateescape").split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        if "+" in piece or "%" in piece or not piece.isascii():
            try:
                name = decode(name.replace("+", " "), multi=False)
            except ValueError as error:
                violations.append(Violation("", f"query parameter {printable(str(error))}"))
                continue
            try:
                value = decode(value.replace("+", " "), multi=False)
            except ValueError as error:
                violations.append(Violation(name, printable(str(error))))
                continue
        pairs.append((name, value))
    return pairs


def printable(text: str) -> str:
    """Return text that may hold bytes outside UTF-8 as text that can be sent in an answer."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
