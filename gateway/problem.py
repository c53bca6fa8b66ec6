"""A request the gateway refuses, as one exception that carries every violation found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from mesh.call import Code

VIOLATIONS_SHOWN: Final = 100


class Violation(NamedTuple):
    """One thing wrong with a request: a google.rpc.BadRequest.FieldViolation."""

    field: str
    """Path from the request message, in JSON names: `items[2].unitPrice`; empty for the whole message."""
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}" if self.field else self.description


class RequestProblem(Exception):  # noqa: N818 - a refusal, answered with a 4xx; not a fault of ours
    """The caller's fault: rendered as google.rpc.Status JSON, never as a traceback."""

    def __init__(
        self,
        message: str,
        violations: Sequence[Violation] = (),
        *,
        code: int = Code.INVALID_ARGUMENT,
        http_status: int | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.violations = tuple(violations)
        self.code = int(code)
        self.http_status = http_status
        """Overrides the status that `code` maps to, where HTTP is more precise (405, 413, 415)."""
        self.headers = headers
        """What the answer says beside the error, such as what would have been accepted."""


def refuse(violations: Sequence[Violation]) -> RequestProblem:
    """Return the problem of a request with these violations, at least one: it names the first and counts the others."""
    others = len(violations) - 1
    # The codec stops looking at one more than are shown.
    counted = f"at least {others}" if others == VIOLATIONS_SHOWN else str(others)
    more = f" (and {counted} more)" if others else ""
    return RequestProblem(f"{violations[0]}{more}", violations[:VIOLATIONS_SHOWN])
