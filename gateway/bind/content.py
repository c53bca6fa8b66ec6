"""Decides which content types are read as JSON.

Anything but JSON is refused, not guessed at: a browser sends `text/plain` and forms to other origins without
asking, so reading those as JSON would let any page act with its visitor's cookies.
"""

from __future__ import annotations

from gateway.problem import RequestProblem

_UNSUPPORTED = 415


def check(content_type: str) -> None:
    """Raise RequestProblem (415) unless the body may be read as JSON; a body without a content type may."""
    if content_type in {"application/json", ""}:
        return
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type not in {"application/json", "text/json"} and not media_type.endswith("+json"):
        text = f'content type "{media_type}" is not supported: send application/json'
        raise RequestProblem(text, http_status=_UNSUPPORTED)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        # RFC 8259, 8.1: "JSON text exchanged between systems that are not part of a closed ecosystem MUST be
        # encoded using UTF-8".
        if name == "charset" and value.strip('"') not in {"utf-8", "us-ascii"}:
            text = f'charset "{value}" is not supported: JSON is sent in utf-8'
            raise RequestProblem(text, http_status=_UNSUPPORTED)
