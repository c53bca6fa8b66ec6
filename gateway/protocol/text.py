"""How `application/grpc-web-text` becomes bytes: base64 in chunks, each of which may be padded.

"Due to in-stream base64 padding when delimiting messages, the entire response body is not necessarily a valid
base64-encoded entity" - PROTOCOL-WEB.md. So padding ends a group of four characters and never the text; groups may be cut
anywhere by the network, which is why what is left of one is held.
"""

from __future__ import annotations

import base64
import binascii

from gateway.problem import RequestProblem


def encode(data: bytes) -> bytes:
    """Return one chunk of text."""
    return base64.b64encode(data)


class TextReader:
    """Decodes a stream of base64."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Take the next characters; return the bytes they complete. Raises RequestProblem for anything but base64."""
        text = self._held + piece if self._held else piece
        whole = len(text) - len(text) % 4
        self._held = text[whole:]
        return _decode(text[:whole])

    def end(self) -> bytes:
        """Say that no more comes; return the bytes of a last group that was sent without its padding."""
        held, self._held = self._held, b""
        if len(held) == 1:
            raise RequestProblem("the body is not base64: it ends within a group of four characters")
        return _decode(held + b"=" * (-len(held) % 4))

    def __repr__(self) -> str:
        return f"<TextReader {len(self._held)} held>"


def _decode(text: bytes) -> bytes:
    decoded: list[bytes] = []
    start = 0
    try:
        while (padded := text.find(b"=", start)) >= 0:
            end = padded - padded % 4 + 4
            decoded.append(base64.b64decode(text[start:end], validate=True))
            start = end
        decoded.append(base64.b64decode(text[start:], validate=True))
    except binascii.Error as error:
        raise RequestProblem(f"the body is not base64: {str(error).lower()}") from None
    return b"".join(decoded)
