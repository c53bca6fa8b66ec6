"""Who calls: the identity that a certificate proves, else the address the call came from."""

from __future__ import annotations

from typing import Final

from mesh.call import Call
from mesh.telemetry.peer import address

# What gRPC's core makes of a verified client certificate (tsi/ssl_transport_security.h).
_ALTERNATIVE_NAMES: Final = "x509_subject_alternative_name"
_COMMON_NAME: Final = "x509_common_name"
_SPIFFE: Final = b"spiffe://"


def principal(call: Call) -> str:
    """Return a SPIFFE id, else the certificate's common name, else the caller's address without its port.

    Without a certificate, clients behind one address are one caller. What they say about themselves does not count.
    """
    auth = call.auth
    for name in auth.get(_ALTERNATIVE_NAMES, ()):
        if name.startswith(_SPIFFE):
            return name.decode("utf-8", "replace")
    for name in auth.get(_COMMON_NAME, ()):
        if name:
            return name.decode("utf-8", "replace")
    return address(call.peer)[0]
