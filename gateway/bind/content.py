"""Decides what the content type of a body says: which are read as JSON, as a form, as a merge patch.

Anything else is refused, not guessed at. Forms are let through here; whether a browser sent one for a page of another
origin is for `gateway.edge.cross_site` to say.
"""

from __future__ import annotations

from typing import Final

from gateway.problem import RequestProblem

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
MERGE_PATCH: Final = "application/merge-patch+json"
PLAIN: Final = frozenset({JSON, ""})
"""What needs no closer look: nearly every request has one of these."""

_UNSUPPORTED: Final = 415
# JSON texts that describe a change to a document: as the document itself they would say something else.
_PATCHES: Final = frozenset({MERGE_PATCH, "application/json-patch+json"})


def media_type(content_type: str) -> str:
    """Return the type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def check(content_type: str, hint: str = "send application/json") -> None:
    """Raise RequestProblem (415) unless the body may be read as JSON; a body without a content type may."""
    if content_type in PLAIN:
        return
    media = media_type(content_type)
    if media == MERGE_PATCH:
        # RFC 7396, 1: null means removal, which only a field mask can tell a service.
        raise unsupported(media, "it is for PATCH of a method that takes a field mask beside its body")
    if media in _PATCHES or (media not in {JSON, "text/json"} and not media.endswith("+json")):
        raise unsupported(media, hint)
    check_charset(content_type)


def check_charset(content_type: str) -> None:
    """Raise RequestProblem (415) for text in another encoding than UTF-8."""
    for parameter in content_type.lower().split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        # RFC 8259, 8.1: "JSON text exchanged between systems that are not part of a closed ecosystem MUST be
        # encoded using UTF-8".
        if name == "charset" and value.strip('"') not in {"utf-8", "us-ascii"}:
            text = f'charset "{value}" is not supported: text is sent in utf-8'
            raise RequestProblem(text, http_status=_UNSUPPORTED)


def unsupported(media: str, hint: str) -> RequestProblem:
    """Return the refusal of a media type."""
    return RequestProblem(f'content type "{media}" is not supported: {hint}', http_status=_UNSUPPORTED)
