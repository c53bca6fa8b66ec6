"""What a backend does with a call, as data, so that one script runs under an event loop and in a thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc


class Send(NamedTuple):
    """Send a message; a backend with one response answers with the first."""

    message: bytes


class Abort(NamedTuple):
    code: grpc.StatusCode
    details: str
    trailing: tuple[tuple[str, str], ...] = ()


class SetCode(NamedTuple):
    code: grpc.StatusCode
    details: str


class Raise(NamedTuple):
    error: Exception


class Metadata(NamedTuple):
    """Say something before the first message and after the last."""

    opening: tuple[tuple[str, str], ...]
    closing: tuple[tuple[str, str], ...]


class Hang(NamedTuple):
    """Do nothing until the client has gone."""


Action = Send | Abort | SetCode | Raise | Metadata | Hang
Script = Callable[[int], Sequence[Action]]
"""What to do with the n-th call, from 1."""


def always(*actions: Action) -> Script:
    return lambda number: actions


ANSWER = (Send(b"one"), Send(b"two"))


def flaky(failures: int) -> Script:
    """Fail so many calls, each with its number, then answer."""

    def script(number: int) -> Sequence[Action]:
        return (Abort(grpc.StatusCode.UNAVAILABLE, f"attempt {number}"),) if number <= failures else ANSWER

    return script


def seen(metadata: Any) -> dict[str, Any]:
    """Metadata as a dictionary, whichever API it comes from."""
    return dict(metadata or ())
