"""What calls look like over a WebSocket: frames, subprotocols, and the close codes of gRPC's statuses.

    from the client    a message       a text frame of JSON, as a line of NDJSON, or a binary frame of protobuf
                       no more         an empty text frame
    to the client      a message       {"result": ...} as text, or the binary frame of protobuf
                       still here      {"keepalive": {}} as text, after a silence
                       a failure       {"error": google.rpc.Status} as text, then the close

Which of the two forms is spoken the subprotocol says, or else the client's first frame; text where it says nothing first.
Text frames from the server are never messages where messages are binary. Closing ends the call: who closes before the
end has cancelled it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
# RFC 6455, 7.4.2: "4000-4999 [...] reserved for private use [...] by prior agreements between WebSocket applications".
_PRIVATE: Final = 4000
# RFC 6455, 5.5: "All control frames MUST have a payload length of 125 bytes or less"; two of them are the code.
_MOST_REASON: Final = 123

KEEPALIVE: Final = '{"keepalive":{}}'


class Form(enum.Enum):
    """What messages are in frames."""

    JSON = "mesh.v1.json"
    BINARY = "mesh.v1.proto"


class Frame(NamedTuple):
    """What a client said."""

    data: bytes
    is_text: bool

    @property
    def ends(self) -> bool:
        """Whether it says that there is no more to come."""
        return self.is_text and not self.data


def choose_form(subprotocols: Sequence[str]) -> Form | None:
    """Return the form whose subprotocol a client names first; None if it names neither."""
    known = {form.value: form for form in Form}
    return next((known[name] for name in subprotocols if name in known), None)


def close_code(code: int) -> int:
    """Return the close code of a gRPC status."""
    return _PRIVATE + code if code else NORMAL


def close_reason(message: str) -> str:
    """Return what a close frame has room for of a status message."""
    return message.encode("utf-8", "replace")[:_MOST_REASON].decode("utf-8", "ignore")
