"""What a message looks like to the client: the wire form itself, or JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gateway.codec import Codec


class Form(NamedTuple):
    """One of the two, for one method."""

    name: str
    """As content types end: `proto` or `json`."""
    read: Callable[[bytes], bytes]
    """Makes the request's wire form of what was sent; raises RequestProblem."""
    write: Callable[[bytes], bytes]
    """Makes what is sent of the response's wire form; raises RequestProblem."""


def forms(request: Codec, response: Codec) -> tuple[Form, Form]:
    """Return both forms of one method. The wire form is not looked at: bytes in, bytes out."""
    return Form("proto", bytes, bytes), Form("json", request.decode_wire, response.encode_wire)
