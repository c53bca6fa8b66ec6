"""How gRPC writes the end of a call into headers: `grpc-status`, `grpc-message`, `grpc-status-details-bin`."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import quote_from_bytes

from google.rpc import status_pb2

from gateway.asgi import Headers
from gateway.protocol.ending import Ending
from mesh.stage.detail import STATUS_DETAILS

# "Percent-Byte-Unencoded -> 1*( %x20-%x24 / %x26-%x7E ) ; space and VCHAR, except %" - gRPC over HTTP2
_PLAIN: Final = "".join(chr(byte) for byte in range(0x20, 0x7F) if byte != 0x25)
_DETAILS: Final = STATUS_DETAILS.encode()


def trailers(ending: Ending) -> Headers:
    """Return the trailers of a call, its status first."""
    headers: Headers = [(b"grpc-status", b"%d" % ending.code)]
    if ending.code:
        headers.append((b"grpc-message", quote_from_bytes(ending.message.encode(), safe=_PLAIN).encode()))
        if ending.details:
            # Written anew, not passed on: clients read the message in there too, and it may only say what ours says.
            status = status_pb2.Status(code=ending.code, message=ending.message, details=ending.details)
            # "implementations should emit un-padded values" - gRPC over HTTP2, of binary headers
            encoded = base64.b64encode(status.SerializeToString()).rstrip(b"=")
            headers.append((_DETAILS, encoded))
    headers.extend(ending.trailers)
    return headers
