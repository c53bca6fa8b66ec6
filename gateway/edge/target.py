"""Which request targets are refused before they are routed: the too long, and those that others read in another way.

A proxy in front that normalises paths, a cache or an access rule may see another resource than the gateway would. So
such a path is never rewritten, and never matched as it is: it is refused, and its sender may write it plainly.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.problem import RequestProblem

# RFC 3986, 6.2.2.3: "URI normalizers should remove dot-segments"; 2.3: %2E and "." are the same.
_DOT_SEGMENT: Final = re.compile(rb"(?:^|/)(?:\.|%2[eE]){1,2}(?:/|$)")
_SHOWN: Final = 200


def check_target(path: bytes, query: bytes, limit: int) -> None:
    """Raise RequestProblem for a target that is refused."""
    length = len(path) + len(query) + bool(query)
    if length > limit:
        # RFC 9110, 15.5.15: "the target URI is longer than the server is willing to interpret".
        raise RequestProblem(
            f"the request target has {length} bytes, and the limit is {limit}", http_status=414
        )
    if _DOT_SEGMENT.search(path):
        raise _refusal(path, 'has a segment "." or "..": send it resolved (RFC 3986, 5.2.4)')
    if b"%00" in path:
        raise _refusal(path, "has a NUL, which ends the path for others")
    if b"\\" in path:
        # The URL standard's parsers read it as "/", RFC 3986 does not know it.
        raise _refusal(path, 'has a "\\", which others read as "/": send it as %5C')


def misformed(path: bytes) -> RequestProblem | None:
    """Return the refusal of a target that is no path at all."""
    if path.startswith(b"/"):
        return None
    # RFC 9112, 3.2: origin-form is what a server that is no proxy is sent; 3.2.3: authority-form is for CONNECT, and
    # 3.2.4: asterisk-form "is only used for a server-wide OPTIONS request".
    return _refusal(path, 'does not begin with "/"')


def _refusal(path: bytes, rule: str) -> RequestProblem:
    return RequestProblem(f'the path "{path[:_SHOWN].decode("utf-8", "replace")}" {rule}')
