"""How much of a request's body is read, and when reading it is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.problem import RequestProblem
from mesh.call import Code

if TYPE_CHECKING:
    from gateway.asgi import Receive

_LENGTH_DIGITS: Final = 18


class ClientGone(Exception):  # noqa: N818 - not an error of ours: somebody else's end
    """The body broke off: the client closed the connection, or framed the body wrongly."""


def too_large(limit: int) -> RequestProblem:
    """Return the refusal of a body over the limit."""
    return RequestProblem(
        f"the body is larger than the limit of {limit} bytes", code=Code.INVALID_ARGUMENT, http_status=413
    )


def too_slow(seconds: float) -> RequestProblem:
    """Return the refusal of a body that did not arrive in time."""
    return RequestProblem(
        f"the body did not arrive within {seconds:g} s", code=Code.DEADLINE_EXCEEDED, http_status=408
    )


def broken_off() -> RequestProblem:
    """Return the refusal of a body without an end."""
    return RequestProblem("the body broke off, or its framing is wrong")


def read_length(value: bytes) -> int:
    """Return a Content-Length; raise RequestProblem for anything but digits."""
    # RFC 9110, 8.6: "Content-Length = 1*DIGIT".
    if not value.isdigit() or len(value) > _LENGTH_DIGITS:
        raise RequestProblem(
            f'header content-length: "{value[:40].decode("latin-1")}" is not a number of bytes'
        )
    return int(value)


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read a body of at most `limit` bytes; raise RequestProblem (413) beyond, ClientGone if it never ends."""
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise too_large(limit)
        return body
    pieces, size = [body], len(body)
    while message.get("more_body", False):
        if size > limit:
            raise too_large(limit)
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        pieces.append(piece)
    if size > limit:
        raise too_large(limit)
    return b"".join(pieces)
