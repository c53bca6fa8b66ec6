"""How single messages are compressed: which coding a client used, and which one it gets."""

from __future__ import annotations

from typing import Final

from gateway.edge.compression import Coding
from gateway.problem import RequestProblem
from mesh.call import Code

# What clients of these protocols send most comes first.
CODINGS: Final = {coding.value: coding for coding in (Coding.GZIP, Coding.BROTLI, Coding.ZSTD)}
ACCEPTED: Final = ",".join(CODINGS).encode()
"""What clients are told that this server can unpack."""


def choose(accepted: bytes | None, sent: Coding | None) -> Coding | None:
    """Return the coding for a client that accepts these, None for none.

    "If the client omits Accept-Encoding, servers must assume that the client accepts the Content-Encoding used for the
    request [...] Servers should treat Accept-Encoding as an ordered list, with the client's most preferred encoding first."
    - the Connect protocol; it says the same of `connect-accept-encoding`.
    """
    if accepted is None:
        return sent
    for name in accepted.decode("latin-1").lower().split(","):
        coding = CODINGS.get(name.strip())
        if coding is not None:
            return coding
    return None


def find(header: str, name: bytes | None) -> Coding | None:
    """Return the coding a client says it used, None for none; raises RequestProblem for one that is not known."""
    if name is None:
        return None
    text = name.decode("latin-1").strip().lower()
    if text in {"", "identity"}:
        return None
    coding = CODINGS.get(text)
    if coding is None:
        # Of an unsupported encoding: "servers should return an error with code "unimplemented" and a message listing the
        # supported encodings" - the Connect protocol; gRPC's rule is the same.
        known = ", ".join(CODINGS)
        text = f'"{text[:40]}" is not supported, only identity, {known}'
        raise RequestProblem(f"{header}: {text}", code=Code.UNIMPLEMENTED)
    return coding
