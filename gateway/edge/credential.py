"""Which request headers say who is asking: an answer to such a request is never stored or called public."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.exchange import Exchange

# Whatever an operator forwards under such a name is taken for a credential: taking one too many costs a backend call,
# one too few shows a person's answer to others.
_CREDENTIAL: Final = re.compile(
    r"auth|cookie|token|secret|session|passw|credential|signature|jwt|api[-_]?key|access[-_]?key"
)
_SURE: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization"})


def carries_credentials(exchange: Exchange) -> bool:
    """Whether a request names its sender: by a header everybody knows, or by one that is handed on to backends."""
    for name, _ in exchange.scope["headers"]:
        if name in _SURE:
            return True
    return any(_CREDENTIAL.search(name) for name, _ in exchange.metadata)
