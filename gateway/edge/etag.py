"""What an answer's validator is, and what a request's preconditions say of it (RFC 9110, 8.8.3 and 13.1).

The bytes of an answer are hashed: the same answer has the same tag in every worker, replica and release. What is sent as it
is has a strong tag. A compressed answer has the same tag, but weak: replicas may compress differently, and a strong tag
stands for bytes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from hashlib import sha1
from typing import Final

from gateway.problem import RequestProblem
from mesh.call import Code

# RFC 9110, 8.8.3: etagc = %x21 / %x23-7E / obs-text
_TAG: Final = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


_READS: Final = frozenset({"GET", "HEAD"})


class Verdict(enum.Enum):
    """What preconditions say of an answer that would be a success."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


def strong(body: bytes) -> bytes:
    """Return the strong tag of these bytes."""
    # 0.56 us for 220 bytes, 0.96 us for 1 KB; with blake2b 0.7 and 1.5. CRCs collide, and `hash` differs by process.
    return b'"%b"' % sha1(body, usedforsecurity=False).hexdigest().encode()


def weak(tag: bytes) -> bytes:
    """Return a tag as a weak one."""
    return tag if tag.startswith(b"W/") else b"W/" + tag


def judge(tag: bytes, if_match: bytes | None, if_none_match: bytes | None) -> Verdict:
    """Say what the preconditions of a GET or HEAD mean for the answer with this tag; absent ones are None."""
    # RFC 9110, 13.2.2: If-Match is evaluated first, If-None-Match after it.
    # 13.1.1: "An origin server MUST use the strong comparison function when comparing entity tags for If-Match".
    if if_match is not None and not _lists(if_match, tag, strongly=True):
        return Verdict.FAILED
    # 13.1.2: "A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match".
    if if_none_match is not None and _lists(if_none_match, tag, strongly=False):
        return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def refuse_unjudged(method: str, noted: Mapping[bytes, bytes]) -> None:
    """Raise RequestProblem (412) for a change under a condition, which only whoever makes the change can judge.

    13.1.1: "the origin server MUST NOT perform the requested method" if the condition is false. To ignore it would lose the
    update it protects. Operators whose backends judge it list the header in `forward_headers`.
    """
    if method in _READS:
        return
    for name in (b"if-match", b"if-none-match"):
        if name in noted:
            raise RequestProblem(
                f"header {name.decode()}: the services behind this gateway are not asked for versions of what {method} changes",
                code=Code.FAILED_PRECONDITION,
                http_status=412,
            )


def is_current(if_range: bytes, tag: bytes) -> bool:
    """Whether a part of the answer with this tag completes what the client has.

    A date never does, since answers have none; nor does a weak tag.
    """
    # RFC 9110, 13.1.5: "the validator must match exactly by the strong comparison".
    return tag.startswith(b'"') and if_range.strip() == tag


def _lists(value: bytes, tag: bytes, *, strongly: bool) -> bool:
    if value.strip() == b"*":
        return True
    if strongly and tag.startswith(b"W/"):
        return False
    opaque = tag.removeprefix(b"W/")
    return any(opaque == found[2] and not (strongly and found[1]) for found in _TAG.finditer(value))
